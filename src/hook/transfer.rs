// SPDX-License-Identifier: MIT OR Apache-2.0
//! sendfile, splice, tee, vmsplice.

use core::ffi::{c_int, c_uint};

use libc::{iovec, loff_t, off_t, size_t, ssize_t};

use crate::io::{c_size, transfer};
use crate::scheduler::blocked::watched;
use crate::scheduler::hooked as current;
use crate::sys::next;

#[unsafe(no_mangle)]
unsafe extern "C" fn sendfile(output: c_int, input: c_int, offset: *mut off_t, count: size_t) -> ssize_t {
    watched("sendfile", move || {
        match current() {
            // SAFETY: the C caller's promise, as everywhere in this file.
            Some(current) => c_size(unsafe { transfer::sendfile(current, output, input, offset, count) }),
            // SAFETY: see above.
            None => unsafe { next::sendfile(output, input, offset, count) },
        }
    })
}

/// What programs with 64-bit file offsets call.
#[unsafe(no_mangle)]
unsafe extern "C" fn sendfile64(output: c_int, input: c_int, offset: *mut off_t, count: size_t) -> ssize_t {
    // SAFETY: see `sendfile`.
    unsafe { sendfile(output, input, offset, count) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn splice(
    input: c_int,
    input_offset: *mut loff_t,
    output: c_int,
    output_offset: *mut loff_t,
    count: size_t,
    flags: c_uint,
) -> ssize_t {
    watched("splice", move || {
        match current() {
            Some(current) => {
                // SAFETY: see `sendfile`.
                c_size(unsafe { transfer::splice(current, input, input_offset, output, output_offset, count, flags) })
            }
            // SAFETY: see `sendfile`.
            None => unsafe { next::splice(input, input_offset, output, output_offset, count, flags) },
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn tee(input: c_int, output: c_int, count: size_t, flags: c_uint) -> ssize_t {
    watched("tee", move || {
        match current() {
            // SAFETY: see `sendfile`.
            Some(current) => c_size(unsafe { transfer::tee(current, input, output, count, flags) }),
            // SAFETY: see `sendfile`.
            None => unsafe { next::tee(input, output, count, flags) },
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmsplice(fd: c_int, list: *const iovec, count: size_t, flags: c_uint) -> ssize_t {
    watched("vmsplice", move || {
        match current() {
            // SAFETY: see `sendfile`.
            Some(current) => c_size(unsafe { transfer::vmsplice(current, fd, list, count, flags) }),
            // SAFETY: see `sendfile`.
            None => unsafe { next::vmsplice(fd, list, count, flags) },
        }
    })
}
