// SPDX-License-Identifier: MIT OR Apache-2.0
//! Error numbers, and the thread's `errno`.

use libc::c_int;

/// A positive error number of errno(3).
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Errno(pub c_int);

/// The result of an operation that fails with an error number.
pub type Result<T> = core::result::Result<T, Errno>;

/// Where the calling thread keeps its `errno`; the address is the thread's for life.
#[inline]
pub fn location() -> *mut c_int {
    // SAFETY: no preconditions; glibc and musl return the thread's own word.
    unsafe { libc::__errno_location() }
}

/// The calling thread's `errno`.
#[inline]
pub fn get() -> Errno {
    // SAFETY: `location` is valid for the thread's life and nobody else writes it.
    Errno(unsafe { *location() })
}

/// Sets the calling thread's `errno`.
#[inline]
pub fn set(errno: Errno) {
    // SAFETY: as in `get`.
    unsafe { *location() = errno.0 }
}
