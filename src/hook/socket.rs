// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets.

use core::ffi::{c_int, c_uint};

use libc::{c_void, mmsghdr, msghdr, size_t, sockaddr, socklen_t, ssize_t, timespec};

use crate::io::Caller::Libc;
use crate::io::{accept, c_number, c_size, connect, messages, receive, send, socket as sockets};
use crate::scheduler::blocked::watched;
use crate::scheduler::hooked as current;
use crate::sys::next;

#[unsafe(no_mangle)]
unsafe extern "C" fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    sockets::socket(domain, kind, protocol, current().is_some())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn socketpair(domain: c_int, kind: c_int, protocol: c_int, pair: *mut c_int) -> c_int {
    // SAFETY: the C caller's promise, as everywhere in this file.
    unsafe { sockets::socketpair(domain, kind, protocol, pair) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn connect(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int {
    watched("connect", move || {
        match current() {
            // SAFETY: see `socketpair`.
            Some(current) => c_number(unsafe { connect::connect(Libc(current), fd, address, length) }),
            // SAFETY: see `socketpair`.
            None => unsafe { next::connect(fd, address, length) },
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn accept(fd: c_int, address: *mut sockaddr, length: *mut socklen_t) -> c_int {
    watched("accept", move || {
        match current() {
            // SAFETY: see `socketpair`.
            Some(current) => c_number(unsafe { accept::accept4(Libc(current), fd, address, length, 0) }),
            // SAFETY: see `socketpair`.
            None => accept::note(unsafe { next::accept(fd, address, length) }, fd, 0),
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn accept4(fd: c_int, address: *mut sockaddr, length: *mut socklen_t, flags: c_int) -> c_int {
    watched("accept4", move || {
        match current() {
            // SAFETY: see `socketpair`.
            Some(current) => c_number(unsafe { accept::accept4(Libc(current), fd, address, length, flags) }),
            // SAFETY: see `socketpair`.
            None => accept::note(unsafe { next::accept4(fd, address, length, flags) }, fd, flags),
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn recv(fd: c_int, buffer: *mut c_void, length: size_t, flags: c_int) -> ssize_t {
    watched("recv", move || {
        match current() {
            // SAFETY: see `socketpair`.
            Some(current) => unsafe { receive::c_recv(Libc(current), fd, buffer, length, flags) },
            // SAFETY: see `socketpair`.
            None => unsafe { next::recv(fd, buffer, length, flags) },
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn recvfrom(
    fd: c_int,
    buffer: *mut c_void,
    length: size_t,
    flags: c_int,
    address: *mut sockaddr,
    address_length: *mut socklen_t,
) -> ssize_t {
    watched("recvfrom", move || {
        match current() {
            Some(current) => {
                // SAFETY: see `socketpair`.
                c_size(unsafe { receive::recvfrom(Libc(current), fd, buffer, length, flags, address, address_length) })
            }
            // SAFETY: see `socketpair`.
            None => unsafe { next::recvfrom(fd, buffer, length, flags, address, address_length) },
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t {
    watched("recvmsg", move || {
        match current() {
            // SAFETY: see `socketpair`.
            Some(current) => c_size(unsafe { receive::recvmsg(Libc(current), fd, message, flags) }),
            // SAFETY: see `socketpair`; `message` is the one that was received.
            None => unsafe { receive::note(next::recvmsg(fd, message, flags), message) },
        }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn send(fd: c_int, buffer: *const c_void, length: size_t, flags: c_int) -> ssize_t {
    watched("send", move || {
        match current() {
            // SAFETY: see `socketpair`.
            Some(current) => c_size(unsafe { send::send(Libc(current), fd, buffer, length, flags) }),
            // SAFETY: see `socketpair`.
            None => unsafe { next::send(fd, buffer, length, flags) },
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sendto(
    fd: c_int,
    buffer: *const c_void,
    length: size_t,
    flags: c_int,
    address: *const sockaddr,
    address_length: socklen_t,
) -> ssize_t {
    watched("sendto", move || {
        match current() {
            Some(current) => {
                // SAFETY: see `socketpair`.
                c_size(unsafe { send::sendto(Libc(current), fd, buffer, length, flags, address, address_length) })
            }
            // SAFETY: see `socketpair`.
            None => unsafe { next::sendto(fd, buffer, length, flags, address, address_length) },
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t {
    watched("sendmsg", move || {
        match current() {
            // SAFETY: see `socketpair`.
            Some(current) => c_size(unsafe { send::sendmsg(Libc(current), fd, message, flags) }),
            // SAFETY: see `socketpair`; `message` is the one that was sent.
            None => unsafe { send::note(next::sendmsg(fd, message, flags), message) },
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn recvmmsg(
    fd: c_int,
    list: *mut mmsghdr,
    count: c_uint,
    flags: c_int,
    timeout: *mut timespec,
) -> c_int {
    watched("recvmmsg", move || {
        match current() {
            // SAFETY: see `socketpair`.
            Some(current) => c_number(unsafe { messages::recvmmsg(current, fd, list, count, flags, timeout) }),
            // SAFETY: see `socketpair`; the list is the one that was received.
            None => unsafe { messages::note_outside_received(next::recvmmsg(fd, list, count, flags, timeout), list) },
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sendmmsg(fd: c_int, list: *mut mmsghdr, count: c_uint, flags: c_int) -> c_int {
    watched("sendmmsg", move || {
        match current() {
            // SAFETY: see `socketpair`.
            Some(current) => c_number(unsafe { messages::sendmmsg(current, fd, list, count, flags) }),
            // SAFETY: see `socketpair`; the list is the one that was sent.
            None => unsafe { messages::note_outside_sent(next::sendmmsg(fd, list, count, flags), list) },
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn shutdown(fd: c_int, how: c_int) -> c_int {
    // Nothing to do for us: the kernel tells who waits.
    // SAFETY: takes numbers only.
    unsafe { next::shutdown(fd, how) }
}
