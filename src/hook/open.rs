// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making descriptors: files, FIFOs, pipes.
//!
//! `open` and `openat` are variadic in C. On our machines a variadic integer travels where a named one does; the mode is
//! looked at only where the call makes a file.

use core::ffi::{c_char, c_int, c_uint};

use crate::io::open::{self, HERE};
use crate::io::{c_number, pipe as pipes};
use crate::scheduler::blocked::watched;
use crate::scheduler::hooked as current;
use crate::sys::next;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    watched("open", move || {
        match current() {
            // SAFETY: the C caller's promise, as everywhere in this file.
            Some(current) => c_number(unsafe { open::openat(current, HERE, path, flags, mode) }),
            // SAFETY: see above.
            None => open::note(unsafe { next::open(path, flags, mode) }),
        }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    watched("open64", move || {
        match current() {
            // SAFETY: see `open`.
            Some(current) => c_number(unsafe { open::openat(current, HERE, path, flags, mode) }),
            // SAFETY: see `open`.
            None => open::note(unsafe { next::open64(path, flags, mode) }),
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn openat(dir: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    watched("openat", move || {
        match current() {
            // SAFETY: see `open`.
            Some(current) => c_number(unsafe { open::openat(current, dir, path, flags, mode) }),
            // SAFETY: see `open`.
            None => open::note(unsafe { next::openat(dir, path, flags, mode) }),
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn openat64(dir: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    watched("openat64", move || {
        match current() {
            // SAFETY: see `open`.
            Some(current) => c_number(unsafe { open::openat(current, dir, path, flags, mode) }),
            // SAFETY: see `open`.
            None => open::note(unsafe { next::openat64(dir, path, flags, mode) }),
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn creat(path: *const c_char, mode: c_uint) -> c_int {
    watched("creat", move || {
        match current() {
            // SAFETY: see `open`.
            Some(current) => c_number(unsafe { open::creat(current, path, mode) }),
            // SAFETY: see `open`.
            None => open::note(unsafe { next::creat(path, mode) }),
        }
    })
}

/// What programs with 64-bit file offsets call.
#[unsafe(no_mangle)]
unsafe extern "C" fn creat64(path: *const c_char, mode: c_uint) -> c_int {
    // SAFETY: see `open`.
    unsafe { creat(path, mode) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pipe(ends: *mut c_int) -> c_int {
    // SAFETY: see `open`; the numbers are where libc has put them.
    unsafe { pipes::note(next::pipe(ends), ends, 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pipe2(ends: *mut c_int, flags: c_int) -> c_int {
    // SAFETY: see `open`; the numbers are where libc has put them.
    unsafe { pipes::note(next::pipe2(ends, flags), ends, flags) }
}
