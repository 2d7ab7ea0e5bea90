// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the compiler calls instead in programs built with _FORTIFY_SOURCE.

use core::ffi::{c_int, c_void};

use libc::{nfds_t, pollfd, sigset_t, size_t, sockaddr, socklen_t, ssize_t, timespec};

use super::{buffer_overflow, poll, ppoll, size};
use crate::syscall_raw;

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
}
