// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptors of any kind: reading, writing, closing.

use core::ffi::{c_int, c_uint};

use libc::{c_void, iovec, size_t, ssize_t};

use crate::io::{c_size, close as closing, file};
use crate::scheduler::blocked::watched;
use crate::scheduler::hooked as current;
use crate::sys::next;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn read(fd: c_int, buffer: *mut c_void, length: size_t) -> ssize_t {
    watched("read", move || {
        match current() {
            // SAFETY: the C caller's promise, as everywhere in this file.
            Some(current) => unsafe { file::c_read(current, fd, buffer, length) },
            // SAFETY: see above.
            None => unsafe { next::read(fd, buffer, length) },
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn readv(fd: c_int, list: *const iovec, count: c_int) -> ssize_t {
    watched("readv", move || {
        match current() {
            // SAFETY: see `read`.
            Some(current) => c_size(unsafe { file::readv(current, fd, list, count) }),
            // SAFETY: see `read`.
            None => unsafe { next::readv(fd, list, count) },
        }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, length: size_t) -> ssize_t {
    watched("write", move || {
        match current() {
            // SAFETY: see `read`.
            Some(current) => c_size(unsafe { file::write(current, fd, buffer, length) }),
            // SAFETY: see `read`.
            None => unsafe { next::write(fd, buffer, length) },
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn writev(fd: c_int, list: *const iovec, count: c_int) -> ssize_t {
    watched("writev", move || {
        match current() {
            // SAFETY: see `read`.
            Some(current) => c_size(unsafe { file::writev(current, fd, list, count) }),
            // SAFETY: see `read`.
            None => unsafe { next::writev(fd, list, count) },
        }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn close(fd: c_int) -> c_int {
    watched("close", || closing::close(fd))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int {
    closing::close_range(first, last, flags)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn closefrom(first: c_int) {
    closing::closefrom(first);
}
