// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the compiler calls instead in programs built with _FORTIFY_SOURCE.

use core::ffi::{c_char, c_int, c_void};

use libc::{nfds_t, pollfd, sigset_t, size_t, sockaddr, socklen_t, ssize_t, timespec};

use super::{buffer_overflow, int, poll, ppoll, size};
use crate::syscall_raw;

/// Whether the call makes a file, with a mode that was not given.
fn opens_without_mode(flags: c_int) -> bool {
    flags & libc::O_CREAT != 0 || flags & libc::O_TMPFILE == libc::O_TMPFILE
}

next_definitions! {
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
    // No mode is given: that is a mistake where one is needed.
    fn __open_2(path: *const c_char, flags: c_int) -> c_int {
        if opens_without_mode(flags) { buffer_overflow() }
        int(syscall_raw!(SYS_openat, libc::AT_FDCWD, path, flags, 0))
    }
    fn __open64_2(path: *const c_char, flags: c_int) -> c_int {
        if opens_without_mode(flags) { buffer_overflow() }
        int(syscall_raw!(SYS_openat, libc::AT_FDCWD, path, flags, 0))
    }
    fn __openat_2(dir: c_int, path: *const c_char, flags: c_int) -> c_int {
        if opens_without_mode(flags) { buffer_overflow() }
        int(syscall_raw!(SYS_openat, dir, path, flags, 0))
    }
    fn __openat64_2(dir: c_int, path: *const c_char, flags: c_int) -> c_int {
        if opens_without_mode(flags) { buffer_overflow() }
        int(syscall_raw!(SYS_openat, dir, path, flags, 0))
    }
}
