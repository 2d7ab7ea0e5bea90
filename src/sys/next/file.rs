// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptors of any kind.

use core::ffi::{c_char, c_int, c_long, c_uint, c_ulong, c_void};

use libc::{iovec, loff_t, off_t, sigset_t, size_t, ssize_t};

use super::{int, size};
use crate::sys::syscall::KERNEL_SIGSET;
use crate::syscall_raw;

next_definitions! {
    fn read(fd: c_int, buffer: *mut c_void, length: size_t) -> ssize_t { size(syscall_raw!(SYS_read, fd, buffer, length)) }
    fn readv(fd: c_int, pieces: *const iovec, count: c_int) -> ssize_t { size(syscall_raw!(SYS_readv, fd, pieces, count)) }
    fn write(fd: c_int, buffer: *const c_void, length: size_t) -> ssize_t { size(syscall_raw!(SYS_write, fd, buffer, length)) }
    fn writev(fd: c_int, pieces: *const iovec, count: c_int) -> ssize_t { size(syscall_raw!(SYS_writev, fd, pieces, count)) }

    fn close(fd: c_int) -> c_int { int(syscall_raw!(SYS_close, fd)) }

    fn dup(fd: c_int) -> c_int { int(syscall_raw!(SYS_dup, fd)) }
    fn dup2(fd: c_int, to: c_int) -> c_int {
        // Some machines have dup3 only, which refuses equal numbers where dup2 asks whether the number is open.
        if fd == to {
            return match syscall_raw!(SYS_fcntl, fd, libc::F_GETFD) {
                word if word < 0 => int(word),
                _ => fd,
            };
        }
        int(syscall_raw!(SYS_dup3, fd, to, 0))
    }
    fn dup3(fd: c_int, to: c_int, flags: c_int) -> c_int { int(syscall_raw!(SYS_dup3, fd, to, flags)) }
    // Variadic in C; on our machines a variadic integer argument travels where a named one does.
    fn fcntl(fd: c_int, command: c_int, arg: c_long) -> c_int { int(syscall_raw!(SYS_fcntl, fd, command, arg)) }
    fn fcntl64(fd: c_int, command: c_int, arg: c_long) -> c_int { int(syscall_raw!(SYS_fcntl, fd, command, arg)) }
    fn ioctl(fd: c_int, request: c_ulong, arg: c_long) -> c_int { int(syscall_raw!(SYS_ioctl, fd, request, arg)) }

    // Variadic in C, too.
    fn open(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
        int(syscall_raw!(SYS_openat, libc::AT_FDCWD, path, flags, mode))
    }
    fn open64(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
        int(syscall_raw!(SYS_openat, libc::AT_FDCWD, path, flags, mode))
    }
    fn openat(dir: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
        int(syscall_raw!(SYS_openat, dir, path, flags, mode))
    }
    fn openat64(dir: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
        int(syscall_raw!(SYS_openat, dir, path, flags, mode))
    }
    fn creat(path: *const c_char, mode: c_uint) -> c_int {
        int(syscall_raw!(SYS_openat, libc::AT_FDCWD, path, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, mode))
    }
    fn pipe(ends: *mut c_int) -> c_int { int(syscall_raw!(SYS_pipe2, ends, 0)) }
    fn pipe2(ends: *mut c_int, flags: c_int) -> c_int { int(syscall_raw!(SYS_pipe2, ends, flags)) }
    fn eventfd(count: c_uint, flags: c_int) -> c_int { int(syscall_raw!(SYS_eventfd2, count, flags)) }
    fn eventfd_read(fd: c_int, count: *mut u64) -> c_int {
        if size(syscall_raw!(SYS_read, fd, count, 8)) == 8 { 0 } else { -1 }
    }
    fn eventfd_write(fd: c_int, count: u64) -> c_int {
        if size(syscall_raw!(SYS_write, fd, &raw const count, 8)) == 8 { 0 } else { -1 }
    }
    fn timerfd_create(clock: c_int, flags: c_int) -> c_int { int(syscall_raw!(SYS_timerfd_create, clock, flags)) }
    fn signalfd(fd: c_int, mask: *const sigset_t, flags: c_int) -> c_int {
        int(syscall_raw!(SYS_signalfd4, fd, mask, KERNEL_SIGSET, flags))
    }
    fn inotify_init() -> c_int { int(syscall_raw!(SYS_inotify_init1, 0)) }
    fn inotify_init1(flags: c_int) -> c_int { int(syscall_raw!(SYS_inotify_init1, flags)) }
    fn epoll_create(size: c_int) -> c_int {
        int(if size > 0 { syscall_raw!(SYS_epoll_create1, 0) } else { -libc::EINVAL as isize })
    }
    fn epoll_create1(flags: c_int) -> c_int { int(syscall_raw!(SYS_epoll_create1, flags)) }
    fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int {
        int(syscall_raw!(SYS_close_range, first, last, flags))
    }
    fn closefrom(first: c_int) -> () { syscall_raw!(SYS_close_range, first, c_uint::MAX, 0); }

    fn sendfile(output: c_int, input: c_int, offset: *mut off_t, count: size_t) -> ssize_t {
        size(syscall_raw!(SYS_sendfile, output, input, offset, count))
    }
    fn splice(
        input: c_int, input_offset: *mut loff_t, output: c_int, output_offset: *mut loff_t, count: size_t, flags: c_uint,
    ) -> ssize_t {
        size(syscall_raw!(SYS_splice, input, input_offset, output, output_offset, count, flags))
    }
    fn tee(input: c_int, output: c_int, count: size_t, flags: c_uint) -> ssize_t {
        size(syscall_raw!(SYS_tee, input, output, count, flags))
    }
    fn vmsplice(fd: c_int, list: *const iovec, count: size_t, flags: c_uint) -> ssize_t {
        size(syscall_raw!(SYS_vmsplice, fd, list, count, flags))
    }

    fn flock(fd: c_int, operation: c_int) -> c_int { int(syscall_raw!(SYS_flock, fd, operation)) }
    fn lockf(fd: c_int, command: c_int, length: off_t) -> c_int {
        let mut lock: libc::flock = core::mem::zeroed();
        lock.l_whence = libc::SEEK_CUR as _;
        lock.l_len = length;
        let set = match command {
            libc::F_ULOCK => {
                lock.l_type = libc::F_UNLCK as _;
                libc::F_SETLK
            }
            libc::F_LOCK => {
                lock.l_type = libc::F_WRLCK as _;
                libc::F_SETLKW
            }
            libc::F_TLOCK => {
                lock.l_type = libc::F_WRLCK as _;
                libc::F_SETLK
            }
            libc::F_TEST => {
                lock.l_type = libc::F_RDLCK as _;
                let word = syscall_raw!(SYS_fcntl, fd, libc::F_GETLK, &raw mut lock);
                let free = lock.l_type == libc::F_UNLCK as _ || lock.l_pid == libc::getpid();
                return int(if word == 0 && !free { -libc::EACCES as isize } else { word });
            }
            _ => return int(-libc::EINVAL as isize),
        };
        int(syscall_raw!(SYS_fcntl, fd, set, &raw const lock))
    }
}
