// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looking names up. Not in the archive: a static program keeps libc's own, whose object would collide with ours.

use core::ffi::{c_char, c_int, c_void};

use libc::{addrinfo, hostent, size_t, sockaddr, socklen_t};

use crate::io::names::{self, Query};
use crate::scheduler::blocked::watched;
use crate::scheduler::hooked as current;
use crate::sys::next;

/// As libc's; inside a coroutine only the coroutine waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    list: *mut *mut addrinfo,
) -> c_int {
    watched("getaddrinfo", move || {
        match current() {
            // SAFETY: the C caller's promise, as everywhere in this file.
            Some(current) => unsafe { names::getaddrinfo(current, node, service, hints, list) },
            // SAFETY: see above.
            None => unsafe { next::getaddrinfo(node, service, hints, list) },
        }
    })
}

/// As libc's; inside a coroutine only the coroutine waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getnameinfo(
    address: *const sockaddr,
    length: socklen_t,
    host: *mut c_char,
    host_room: socklen_t,
    service: *mut c_char,
    service_room: socklen_t,
    flags: c_int,
) -> c_int {
    watched("getnameinfo", move || {
        let (texts, rooms) = ([host, service], [host_room, service_room]);
        match current() {
            // SAFETY: see `getaddrinfo`.
            Some(current) => unsafe { names::getnameinfo(current, address, length, texts, rooms, flags) },
            // SAFETY: see `getaddrinfo`.
            None => unsafe { next::getnameinfo(address, length, host, host_room, service, service_room, flags) },
        }
    })
}

/// As libc's; inside a coroutine only the coroutine waits, and the answer is its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gethostbyname(name: *const c_char) -> *mut hostent {
    watched("gethostbyname", move || {
        match current() {
            // SAFETY: see `getaddrinfo`.
            Some(current) => unsafe { names::get_host(current, Query::Name(name)) },
            // SAFETY: see `getaddrinfo`.
            None => unsafe { next::gethostbyname(name) },
        }
    })
}

/// As [`gethostbyname`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gethostbyname2(name: *const c_char, family: c_int) -> *mut hostent {
    watched("gethostbyname2", move || {
        match current() {
            // SAFETY: see `getaddrinfo`.
            Some(current) => unsafe { names::get_host(current, Query::NameOf(name, family)) },
            // SAFETY: see `getaddrinfo`.
            None => unsafe { next::gethostbyname2(name, family) },
        }
    })
}

/// As [`gethostbyname`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gethostbyaddr(address: *const c_void, length: socklen_t, family: c_int) -> *mut hostent {
    watched("gethostbyaddr", move || {
        match current() {
            // SAFETY: see `getaddrinfo`.
            Some(current) => unsafe { names::get_host(current, Query::Address(address, length, family)) },
            // SAFETY: see `getaddrinfo`.
            None => unsafe { next::gethostbyaddr(address, length, family) },
        }
    })
}

/// As libc's; inside a coroutine only the coroutine waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gethostbyname_r(
    name: *const c_char,
    host: *mut hostent,
    buffer: *mut c_char,
    room: size_t,
    result: *mut *mut hostent,
    error: *mut c_int,
) -> c_int {
    watched("gethostbyname_r", move || {
        match current() {
            // SAFETY: see `getaddrinfo`.
            Some(current) => unsafe {
                names::get_host_r(current, Query::Name(name), host, (buffer, room), result, error)
            },
            // SAFETY: see `getaddrinfo`.
            None => unsafe { next::gethostbyname_r(name, host, buffer, room, result, error) },
        }
    })
}

/// As [`gethostbyname_r`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gethostbyname2_r(
    name: *const c_char,
    family: c_int,
    host: *mut hostent,
    buffer: *mut c_char,
    room: size_t,
    result: *mut *mut hostent,
    error: *mut c_int,
) -> c_int {
    watched("gethostbyname2_r", move || {
        match current() {
            // SAFETY: see `getaddrinfo`.
            Some(current) => unsafe {
                names::get_host_r(current, Query::NameOf(name, family), host, (buffer, room), result, error)
            },
            // SAFETY: see `getaddrinfo`.
            None => unsafe { next::gethostbyname2_r(name, family, host, buffer, room, result, error) },
        }
    })
}

/// As [`gethostbyname_r`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gethostbyaddr_r(
    address: *const c_void,
    length: socklen_t,
    family: c_int,
    host: *mut hostent,
    buffer: *mut c_char,
    room: size_t,
    result: *mut *mut hostent,
    error: *mut c_int,
) -> c_int {
    watched("gethostbyaddr_r", move || {
        match current() {
            // SAFETY: see `getaddrinfo`.
            Some(current) => unsafe {
                names::get_host_r(current, Query::Address(address, length, family), host, (buffer, room), result, error)
            },
            // SAFETY: see `getaddrinfo`.
            None => unsafe { next::gethostbyaddr_r(address, length, family, host, buffer, room, result, error) },
        }
    })
}

/// Where `h_errno` is: inside a coroutine its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __h_errno_location() -> *mut c_int {
    match current() {
        Some(current) => names::location(current),
        // SAFETY: no preconditions.
        None => unsafe { next::__h_errno_location() },
    }
}
