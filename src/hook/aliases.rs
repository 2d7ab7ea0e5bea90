// SPDX-License-Identifier: MIT OR Apache-2.0
//! The names with underscores that glibc has always exported beside the plain ones, for programs that import them. Not in
//! the archive: libc's own objects call each other by these names.

use core::arch::naked_asm;
use core::ffi::{c_char, c_int, c_long, c_uint};

use libc::{c_void, fd_set, nfds_t, pid_t, pollfd, size_t, sockaddr, socklen_t, ssize_t, timespec, timeval};

use super::{fd, flags, open, poll, process, socket, time, wait};

/// For each alias, a function that calls the plain one.
macro_rules! aliases {
    ($($alias:ident = $module:ident::$name:ident($($arg:ident: $type:ty),*) -> $return:ty;)*) => {
        $(#[unsafe(no_mangle)]
        unsafe extern "C" fn $alias($($arg: $type),*) -> $return {
            // SAFETY: the C caller's promise, passed on.
            unsafe { $module::$name($($arg),*) }
        })*
    };
}

aliases! {
    __read = fd::read(fd: c_int, buffer: *mut c_void, length: size_t) -> ssize_t;
    __write = fd::write(fd: c_int, buffer: *const c_void, length: size_t) -> ssize_t;
    __close = fd::close(fd: c_int) -> c_int;
    __open = open::open(path: *const c_char, flags: c_int, mode: c_uint) -> c_int;
    __open64 = open::open64(path: *const c_char, flags: c_int, mode: c_uint) -> c_int;
    __pipe = open::pipe(ends: *mut c_int) -> c_int;
    __dup2 = flags::dup2(fd: c_int, to: c_int) -> c_int;
    __fcntl = flags::fcntl(fd: c_int, command: c_int, arg: c_long) -> c_int;
    __connect = socket::connect(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int;
    __send = socket::send(fd: c_int, buffer: *const c_void, length: size_t, flags: c_int) -> ssize_t;
    __poll = poll::poll(fds: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int;
    __select = poll::select(
        count: c_int, reads: *mut fd_set, writes: *mut fd_set, exceptions: *mut fd_set, timeout: *mut timeval
    ) -> c_int;
    __nanosleep = time::nanosleep(time: *const timespec, left: *mut timespec) -> c_int;
    __wait = wait::wait(status: *mut c_int) -> pid_t;
    __waitpid = wait::waitpid(pid: pid_t, status: *mut c_int, options: c_int) -> pid_t;
}

/// Without a frame, as `vfork` itself.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn __vfork() -> c_int {
    #[cfg(target_arch = "x86_64")]
    naked_asm!("endbr64", "jmp {vfork}", vfork = sym process::vfork);
    #[cfg(target_arch = "aarch64")]
    naked_asm!("hint #34", "b {vfork}", vfork = sym process::vfork);
}
