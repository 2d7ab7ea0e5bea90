// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets.

use core::ffi::{c_int, c_uint, c_void};

use libc::{mmsghdr, msghdr, size_t, sockaddr, socklen_t, ssize_t, timespec};

use super::{int, size};
use crate::syscall_raw;

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
    fn setsockopt(fd: c_int, level: c_int, name: c_int, value: *const c_void, length: socklen_t) -> c_int {
        int(syscall_raw!(SYS_setsockopt, fd, level, name, value, length))
    }

    fn recvmmsg(fd: c_int, list: *mut mmsghdr, count: c_uint, flags: c_int, timeout: *mut timespec) -> c_int {
        int(syscall_raw!(SYS_recvmmsg, fd, list, count, flags, timeout))
    }
    fn sendmmsg(fd: c_int, list: *mut mmsghdr, count: c_uint, flags: c_int) -> c_int {
        int(syscall_raw!(SYS_sendmmsg, fd, list, count, flags))
    }
}
