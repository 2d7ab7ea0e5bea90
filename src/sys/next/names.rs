// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names. No system call stands behind these: a seed looks libc's function up itself. In a static program these names are
//! libc's, and nobody comes here.

use core::ffi::{c_char, c_int, c_void};
use core::ptr;

use libc::{addrinfo, hostent, size_t, sockaddr, socklen_t};

use super::found;
use crate::sys::errno;

next_definitions! {
    fn getaddrinfo(
        node: *const c_char, service: *const c_char, hints: *const addrinfo, list: *mut *mut addrinfo,
    ) -> c_int {
        if !found(c"getaddrinfo", &slot::getaddrinfo) { return libc::EAI_SYSTEM }
        super::getaddrinfo(node, service, hints, list)
    }
    fn freeaddrinfo(list: *mut addrinfo) -> () {
        if found(c"freeaddrinfo", &slot::freeaddrinfo) { super::freeaddrinfo(list) }
    }
    fn getnameinfo(
        address: *const sockaddr, length: socklen_t, host: *mut c_char, host_room: socklen_t, service: *mut c_char,
        service_room: socklen_t, flags: c_int,
    ) -> c_int {
        if !found(c"getnameinfo", &slot::getnameinfo) { return libc::EAI_SYSTEM }
        super::getnameinfo(address, length, host, host_room, service, service_room, flags)
    }

    fn gethostbyname(name: *const c_char) -> *mut hostent {
        if !found(c"gethostbyname", &slot::gethostbyname) { return ptr::null_mut() }
        super::gethostbyname(name)
    }
    fn gethostbyname2(name: *const c_char, family: c_int) -> *mut hostent {
        if !found(c"gethostbyname2", &slot::gethostbyname2) { return ptr::null_mut() }
        super::gethostbyname2(name, family)
    }
    fn gethostbyaddr(address: *const c_void, length: socklen_t, family: c_int) -> *mut hostent {
        if !found(c"gethostbyaddr", &slot::gethostbyaddr) { return ptr::null_mut() }
        super::gethostbyaddr(address, length, family)
    }
    fn gethostbyname_r(
        name: *const c_char, host: *mut hostent, buffer: *mut c_char, room: size_t, result: *mut *mut hostent,
        error: *mut c_int,
    ) -> c_int {
        if !found(c"gethostbyname_r", &slot::gethostbyname_r) { return libc::ENOSYS }
        super::gethostbyname_r(name, host, buffer, room, result, error)
    }
    fn gethostbyname2_r(
        name: *const c_char, family: c_int, host: *mut hostent, buffer: *mut c_char, room: size_t,
        result: *mut *mut hostent, error: *mut c_int,
    ) -> c_int {
        if !found(c"gethostbyname2_r", &slot::gethostbyname2_r) { return libc::ENOSYS }
        super::gethostbyname2_r(name, family, host, buffer, room, result, error)
    }
    fn gethostbyaddr_r(
        address: *const c_void, length: socklen_t, family: c_int, host: *mut hostent, buffer: *mut c_char, room: size_t,
        result: *mut *mut hostent, error: *mut c_int,
    ) -> c_int {
        if !found(c"gethostbyaddr_r", &slot::gethostbyaddr_r) { return libc::ENOSYS }
        super::gethostbyaddr_r(address, length, family, host, buffer, room, result, error)
    }
    fn __h_errno_location() -> *mut c_int {
        // Where there is none, nobody reads it.
        if !found(c"__h_errno_location", &slot::__h_errno_location) { return errno::location() }
        super::__h_errno_location()
    }
}
