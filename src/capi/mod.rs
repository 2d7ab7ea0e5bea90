// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C functions: argument checks, errno, documentation; no logic. One file per section of the header, in the
//! header's order. The comments here become the header's, so they are written for C programmers.

#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals)]

pub mod types;
pub mod version;

pub mod coroutine;
pub mod schedule;
pub mod socket;

use core::ffi::c_int;

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
