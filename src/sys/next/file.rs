// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptors of any kind.

use core::ffi::{c_int, c_long, c_ulong, c_void};

use libc::{iovec, size_t, ssize_t};

use super::{int, size};
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
}
