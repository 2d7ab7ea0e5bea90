// SPDX-License-Identifier: MIT OR Apache-2.0
//! flock and lockf; fcntl's locks are in `flags`.

use core::ffi::c_int;

use libc::off_t;

use crate::io::{c_number, lock};
use crate::scheduler::blocked::watched;
use crate::scheduler::hooked as current;
use crate::sys::next;

/// As libc's; inside a coroutine only the coroutine waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn flock(fd: c_int, operation: c_int) -> c_int {
    watched("flock", move || {
        match current() {
            Some(current) => c_number(lock::flock(current, fd, operation)),
            // SAFETY: takes numbers only, as everywhere in this file.
            None => unsafe { next::flock(fd, operation) },
        }
    })
}

/// As libc's; inside a coroutine only the coroutine waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lockf(fd: c_int, command: c_int, length: off_t) -> c_int {
    watched("lockf", move || {
        match current() {
            Some(current) if lock::lockf_waits(command) => c_number(lock::lockf(current, fd, length)),
            // SAFETY: see `flock`.
            _ => unsafe { next::lockf(fd, command, length) },
        }
    })
}

/// What programs with 64-bit file offsets call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lockf64(fd: c_int, command: c_int, length: off_t) -> c_int {
    // SAFETY: see `flock`.
    unsafe { lockf(fd, command, length) }
}
