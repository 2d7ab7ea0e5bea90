// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C functions: argument checks, errno, documentation; no logic. One file per section of the header, in the
//! header's order. The comments here become the header's, so they are written for C programmers.

#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals)]

pub mod types;
pub mod version;

pub mod coroutine;
pub mod pool;
pub mod schedule;

pub mod epoll;
pub mod signal;

pub mod socket;

pub mod hook;

pub mod channel;
pub mod pubsub;
pub mod waitgroup;

pub mod semaphore;

pub mod offload;

#[cfg(feature = "ssl")]
pub mod tls;

pub mod asymmetric;

use core::ffi::c_int;

use crate::io::c_size;
use crate::sys::{Errno, Result, errno};

/// Sets errno and gives back the -1 that goes with it.
fn fail(error: Errno) -> c_int {
    errno::set(error);
    -1
}

/// A result as C has it: 0, or -1 and errno.
fn status(result: Result<()>) -> c_int {
    result.map_or_else(fail, |()| 0)
}

/// A result as C has it: the number, or -1 and errno.
fn number<T: Into<c_int>>(result: Result<T>) -> c_int {
    result.map_or_else(fail, T::into)
}

/// As [`c_size`], but an object that was destroyed meanwhile is 0.
fn transferred(result: Result<usize>) -> isize {
    if let Err(Errno(libc::EIDRM)) = result { 0 } else { c_size(result) }
}

/// -2 and errno: what channels answer to a bad argument.
fn bad_argument(error: Errno) -> isize {
    errno::set(error);
    -2
}

/// A pointer as C has it, or NULL and errno.
fn pointer<T, C>(result: Result<*mut T>) -> *mut C {
    result.map_or_else(
        |error| {
            errno::set(error);
            core::ptr::null_mut()
        },
        |pointer| pointer.cast(),
    )
}

/// Whether an object has been destroyed; errno otherwise.
fn destroyed(result: Result<()>) -> bool {
    status(result) == 0
}

/// Writes a value through an out parameter; null is EINVAL, and on any error nothing is written.
///
/// # Safety
/// `out` is null or valid for a write.
unsafe fn store<T>(out: *mut T, value: impl FnOnce() -> Result<T>) -> Result<()> {
    if out.is_null() {
        return Err(Errno(libc::EINVAL));
    }
    let value = value()?;
    // SAFETY: passed on to the caller; null was turned away above.
    unsafe { *out = value };
    Ok(())
}
