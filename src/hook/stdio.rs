// SPDX-License-Identifier: MIT OR Apache-2.0
//! Streams on descriptors. Not in the archive, as `names`.

use core::ffi::{c_char, c_int};

use libc::FILE;

use crate::io::stream;
use crate::scheduler::blocked::watched;
use crate::sys::next;

/// As libc's; a stream on a socket, a pipe or a terminal waits in the coroutine that uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdopen(fd: c_int, mode: *const c_char) -> *mut FILE {
    // SAFETY: the C caller's promise, as everywhere in this file.
    unsafe { stream::fdopen(fd, mode) }
}

/// As libc's; who waits for the descriptor learns of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fclose(file: *mut FILE) -> c_int {
    watched("fclose", move || {
        // SAFETY: see `fdopen`.
        unsafe { stream::fclose(file) }
    })
}

/// As libc's; who waits for the descriptor learns of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freopen(path: *const c_char, mode: *const c_char, file: *mut FILE) -> *mut FILE {
    watched("freopen", move || {
        // SAFETY: see `fdopen`.
        unsafe { stream::freopen(file, || next::freopen(path, mode, file)) }
    })
}

/// What programs with 64-bit file offsets call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freopen64(path: *const c_char, mode: *const c_char, file: *mut FILE) -> *mut FILE {
    watched("freopen64", move || {
        // SAFETY: see `fdopen`.
        unsafe { stream::freopen(file, || next::freopen64(path, mode, file)) }
    })
}
