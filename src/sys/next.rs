// SPDX-License-Identifier: MIT OR Apache-2.0
//! The next definition of each libc name that we hook: what the program would have called without us.
//!
//! Each entry starts as a *seed*, a function of our own that makes the system call as libc would, so that a call that comes
//! before our constructor (from another library's constructor) works. The constructor then looks libc's definition
//! up. In a static link there is no `dlsym` and the seeds stay.

// Without the hooks some have no caller.
#![cfg_attr(not(feature = "hook"), allow(dead_code))]

use core::arch::global_asm;
use core::ffi::{CStr, c_char, c_int, c_long, c_uint, c_ulong, c_void};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use libc::{
    epoll_event, fd_set, iovec, msghdr, nfds_t, pollfd, sigset_t, size_t, sockaddr, socklen_t, ssize_t, timespec,
    timeval,
};

use super::syscall::KERNEL_SIGSET;
use super::{Errno, errno};
use crate::syscall_raw;

/// Defines the table: for each name a function to call, the slot behind it and the seed in the slot.
macro_rules! next_definitions {
    ($(fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> $return:ty { $($seed:tt)* })*) => {
        $(
            #[doc = concat!("`", stringify!($name), "` as the program would have without us; sets `errno`.")]
            ///
            /// # Safety
            /// As libc's function of this name.
            #[inline]
            pub unsafe fn $name($($arg: $type),*) -> $return {
                type Function = unsafe extern "C" fn($($type),*) -> $return;
                // SAFETY: the slot holds the seed or libc's function of this name; both have this type.
                let next = unsafe { core::mem::transmute::<*mut c_void, Function>(slot::$name.load(Relaxed)) };
                // SAFETY: passed on to the caller.
                unsafe { next($($arg),*) }
            }
        )*

        #[allow(non_upper_case_globals)]
        mod slot {
            use super::*;
            $(pub static $name: AtomicPtr<c_void> = AtomicPtr::new(seed::$name as *mut c_void);)*
        }

        mod seed {
            use super::*;
            $(pub unsafe extern "C" fn $name($($arg: $type),*) -> $return {
                // SAFETY: passed on to the caller, who made the call that libc's function would have to answer.
                unsafe { $($seed)* }
            })*
        }

        /// Replaces the seeds with what the dynamic linker finds behind us.
        unsafe extern "C" fn look_up() {
            // SAFETY: a word in our data that the linker has filled in with the function's address, or 0.
            let Some(dlsym) = (unsafe { dyco_weak_dlsym }) else { return };
            let table: &[(&CStr, &AtomicPtr<c_void>)] = &[$((
                // SAFETY: an identifier holds no NUL; the one at the end is ours.
                unsafe { CStr::from_bytes_with_nul_unchecked(concat!(stringify!($name), "\0").as_bytes()) },
                &slot::$name,
            )),*];
            for (name, slot) in table {
                // SAFETY: `name` is a C string; dlsym may be called from constructors.
                let found = unsafe { dlsym(libc::RTLD_NEXT, name.as_ptr()) };
                if !found.is_null() {
                    slot.store(found, Relaxed);
                }
            }
        }
    };
}

#[used]
#[unsafe(link_section = ".init_array.00101")]
static LOOK_UP: unsafe extern "C" fn() = look_up;

// Weak: a static link has no `dlsym` and must not draw one in, and musl has no `__chk_fail`.
global_asm!(
    ".weak dlsym",
    ".weak __chk_fail",
    ".pushsection .data.rel.ro.dyco_weak,\"aw\"",
    ".balign 8",
    ".hidden dyco_weak_dlsym",
    ".globl dyco_weak_dlsym",
    "dyco_weak_dlsym: .quad dlsym",
    ".hidden dyco_weak_chk_fail",
    ".globl dyco_weak_chk_fail",
    "dyco_weak_chk_fail: .quad __chk_fail",
    ".popsection",
);

unsafe extern "C" {
    static dyco_weak_dlsym: Option<unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void>;
    static dyco_weak_chk_fail: Option<unsafe extern "C" fn() -> !>;
}

/// Ends the process as `_FORTIFY_SOURCE` does when a call would overflow the caller's buffer.
pub fn buffer_overflow() -> ! {
    // SAFETY: a word in our data that the linker has filled in; neither function has preconditions.
    unsafe {
        match dyco_weak_chk_fail {
            Some(fail) => fail(),
            None => libc::abort(),
        }
    }
}

/// The kernel's word as a C function that returns `ssize_t` gives it: -1 and `errno`, or the result.
fn size(word: isize) -> ssize_t {
    if word < 0 {
        errno::set(Errno(-word as c_int));
        return -1;
    }
    word
}

/// As [`size`], for a function that returns `int`.
fn int(word: isize) -> c_int {
    size(word) as c_int
}

/// A copy of the caller's timeout: the kernel writes what is left into the one it is given, libc's functions do not.
unsafe fn copy(timeout: *const timespec) -> Option<timespec> {
    // SAFETY: null, or the caller's valid timeout.
    unsafe { timeout.as_ref().copied() }
}

fn or_null(timeout: &mut Option<timespec>) -> *mut timespec {
    timeout.as_mut().map_or(ptr::null_mut(), ptr::from_mut)
}

next_definitions! {
    fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int { int(syscall_raw!(SYS_socket, domain, kind, protocol)) }
    fn socketpair(domain: c_int, kind: c_int, protocol: c_int, pair: *mut c_int) -> c_int {
        int(syscall_raw!(SYS_socketpair, domain, kind, protocol, pair))
    }
    fn connect(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int {
        int(syscall_raw!(SYS_connect, fd, address, length))
    }
    fn accept(fd: c_int, address: *mut sockaddr, length: *mut socklen_t) -> c_int {
        int(syscall_raw!(SYS_accept, fd, address, length))
    }
    fn accept4(fd: c_int, address: *mut sockaddr, length: *mut socklen_t, flags: c_int) -> c_int {
        int(syscall_raw!(SYS_accept4, fd, address, length, flags))
    }
    fn close(fd: c_int) -> c_int { int(syscall_raw!(SYS_close, fd)) }
    fn shutdown(fd: c_int, how: c_int) -> c_int { int(syscall_raw!(SYS_shutdown, fd, how)) }

    fn recv(fd: c_int, buffer: *mut c_void, length: size_t, flags: c_int) -> ssize_t {
        size(syscall_raw!(SYS_recvfrom, fd, buffer, length, flags, 0, 0))
    }
    fn recvfrom(
        fd: c_int, buffer: *mut c_void, length: size_t, flags: c_int, address: *mut sockaddr, address_length: *mut socklen_t,
    ) -> ssize_t {
        size(syscall_raw!(SYS_recvfrom, fd, buffer, length, flags, address, address_length))
    }
    fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t {
        size(syscall_raw!(SYS_recvmsg, fd, message, flags))
    }
    fn send(fd: c_int, buffer: *const c_void, length: size_t, flags: c_int) -> ssize_t {
        size(syscall_raw!(SYS_sendto, fd, buffer, length, flags, 0, 0))
    }
    fn sendto(
        fd: c_int, buffer: *const c_void, length: size_t, flags: c_int, address: *const sockaddr, address_length: socklen_t,
    ) -> ssize_t {
        size(syscall_raw!(SYS_sendto, fd, buffer, length, flags, address, address_length))
    }
    fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t {
        size(syscall_raw!(SYS_sendmsg, fd, message, flags))
    }

    fn read(fd: c_int, buffer: *mut c_void, length: size_t) -> ssize_t { size(syscall_raw!(SYS_read, fd, buffer, length)) }
    fn readv(fd: c_int, pieces: *const iovec, count: c_int) -> ssize_t { size(syscall_raw!(SYS_readv, fd, pieces, count)) }
    fn write(fd: c_int, buffer: *const c_void, length: size_t) -> ssize_t { size(syscall_raw!(SYS_write, fd, buffer, length)) }
    fn writev(fd: c_int, pieces: *const iovec, count: c_int) -> ssize_t { size(syscall_raw!(SYS_writev, fd, pieces, count)) }

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
    fn setsockopt(fd: c_int, level: c_int, name: c_int, value: *const c_void, length: socklen_t) -> c_int {
        int(syscall_raw!(SYS_setsockopt, fd, level, name, value, length))
    }

    fn poll(fds: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int {
        let limit = timespec { tv_sec: (timeout / 1000).into(), tv_nsec: (timeout % 1000 * 1_000_000).into() };
        let mut limit = (timeout >= 0).then_some(limit);
        int(syscall_raw!(SYS_ppoll, fds, count, or_null(&mut limit), 0, KERNEL_SIGSET))
    }
    fn ppoll(fds: *mut pollfd, count: nfds_t, timeout: *const timespec, mask: *const sigset_t) -> c_int {
        int(syscall_raw!(SYS_ppoll, fds, count, or_null(&mut copy(timeout)), mask, KERNEL_SIGSET))
    }
    fn select(
        count: c_int, reads: *mut fd_set, writes: *mut fd_set, exceptions: *mut fd_set, timeout: *mut timeval,
    ) -> c_int {
        let mut limit = timeout.as_ref().map(|t| timespec {
            tv_sec: t.tv_sec.saturating_add(t.tv_usec / 1_000_000),
            tv_nsec: t.tv_usec % 1_000_000 * 1000,
        });
        let word = syscall_raw!(SYS_pselect6, count, reads, writes, exceptions, or_null(&mut limit), 0);
        // Unlike pselect, select tells what was left of the timeout.
        if let (Some(left), Some(timeout)) = (limit, timeout.as_mut()) {
            *timeout = timeval { tv_sec: left.tv_sec, tv_usec: left.tv_nsec / 1000 };
        }
        int(word)
    }
    fn pselect(
        count: c_int, reads: *mut fd_set, writes: *mut fd_set, exceptions: *mut fd_set, timeout: *const timespec,
        mask: *const sigset_t,
    ) -> c_int {
        let mask = [mask as usize, KERNEL_SIGSET];
        int(syscall_raw!(SYS_pselect6, count, reads, writes, exceptions, or_null(&mut copy(timeout)), &raw const mask))
    }
    fn epoll_wait(set: c_int, events: *mut epoll_event, count: c_int, timeout: c_int) -> c_int {
        int(syscall_raw!(SYS_epoll_pwait, set, events, count, timeout, 0, KERNEL_SIGSET))
    }
    fn epoll_pwait(set: c_int, events: *mut epoll_event, count: c_int, timeout: c_int, mask: *const sigset_t) -> c_int {
        int(syscall_raw!(SYS_epoll_pwait, set, events, count, timeout, mask, KERNEL_SIGSET))
    }
    fn epoll_pwait2(
        set: c_int, events: *mut epoll_event, count: c_int, timeout: *const timespec, mask: *const sigset_t,
    ) -> c_int {
        int(syscall_raw!(SYS_epoll_pwait2, set, events, count, timeout, mask, KERNEL_SIGSET))
    }

    fn sleep(seconds: c_uint) -> c_uint {
        let mut time = timespec { tv_sec: seconds.into(), tv_nsec: 0 };
        match syscall_raw!(SYS_nanosleep, &raw mut time, &raw mut time) {
            0 => 0,
            word => {
                int(word);
                time.tv_sec as c_uint
            }
        }
    }
    fn usleep(microseconds: c_uint) -> c_int {
        let microseconds = c_long::from(microseconds);
        let time = timespec { tv_sec: microseconds / 1_000_000, tv_nsec: microseconds % 1_000_000 * 1000 };
        int(syscall_raw!(SYS_nanosleep, &raw const time, 0))
    }
    fn nanosleep(time: *const timespec, left: *mut timespec) -> c_int { int(syscall_raw!(SYS_nanosleep, time, left)) }
    // Returns the error number itself.
    fn clock_nanosleep(clock: libc::clockid_t, flags: c_int, time: *const timespec, left: *mut timespec) -> c_int {
        if clock == libc::CLOCK_THREAD_CPUTIME_ID {
            return libc::EINVAL;
        }
        -syscall_raw!(SYS_clock_nanosleep, clock, flags, time, left) as c_int
    }

    fn wait(status: *mut c_int) -> libc::pid_t { int(syscall_raw!(SYS_wait4, -1isize, status, 0, 0)) }
    fn waitpid(pid: libc::pid_t, status: *mut c_int, options: c_int) -> libc::pid_t {
        int(syscall_raw!(SYS_wait4, pid, status, options, 0))
    }
    fn wait3(status: *mut c_int, options: c_int, usage: *mut libc::rusage) -> libc::pid_t {
        int(syscall_raw!(SYS_wait4, -1isize, status, options, usage))
    }
    fn wait4(pid: libc::pid_t, status: *mut c_int, options: c_int, usage: *mut libc::rusage) -> libc::pid_t {
        int(syscall_raw!(SYS_wait4, pid, status, options, usage))
    }
    fn waitid(kind: libc::idtype_t, id: libc::id_t, info: *mut libc::siginfo_t, options: c_int) -> c_int {
        int(syscall_raw!(SYS_waitid, kind, id, info, options, 0))
    }

    fn __read_chk(fd: c_int, buffer: *mut c_void, length: size_t, room: size_t) -> ssize_t {
        if length > room { buffer_overflow() }
        size(syscall_raw!(SYS_read, fd, buffer, length))
    }
    fn __recv_chk(fd: c_int, buffer: *mut c_void, length: size_t, room: size_t, flags: c_int) -> ssize_t {
        if length > room { buffer_overflow() }
        size(syscall_raw!(SYS_recvfrom, fd, buffer, length, flags, 0, 0))
    }
    fn __recvfrom_chk(
        fd: c_int, buffer: *mut c_void, length: size_t, room: size_t, flags: c_int, address: *mut sockaddr,
        address_length: *mut socklen_t,
    ) -> ssize_t {
        if length > room { buffer_overflow() }
        size(syscall_raw!(SYS_recvfrom, fd, buffer, length, flags, address, address_length))
    }
    fn __poll_chk(fds: *mut pollfd, count: nfds_t, timeout: c_int, room: size_t) -> c_int {
        if room / size_of::<pollfd>() < count as usize { buffer_overflow() }
        poll(fds, count, timeout)
    }
    fn __ppoll_chk(
        fds: *mut pollfd, count: nfds_t, timeout: *const timespec, mask: *const sigset_t, room: size_t,
    ) -> c_int {
        if room / size_of::<pollfd>() < count as usize { buffer_overflow() }
        ppoll(fds, count, timeout, mask)
    }
}
