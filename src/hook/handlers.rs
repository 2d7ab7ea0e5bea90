// SPDX-License-Identifier: MIT OR Apache-2.0
//! The calls that install signal handlers. They do not wait; we have to know when a handler runs.

use core::ffi::c_int;

use libc::sighandler_t;

use crate::io::handlers;

/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sigaction(signal: c_int, new: *const libc::sigaction, old: *mut libc::sigaction) -> c_int {
    // SAFETY: the caller keeps libc's promises.
    unsafe { handlers::sigaction(signal, new, old) }
}

/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn signal(signal: c_int, handler: sighandler_t) -> sighandler_t {
    // SAFETY: the caller keeps libc's promises.
    unsafe { handlers::signal(signal, handler) }
}
