// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the program's environment asks of the library. Words are read where they are, and stay there as long as nobody
//! changes the environment meanwhile, as getenv(3) asks.

use core::ffi::{CStr, c_char, c_int};
use core::ptr;

/// The value of that name; null: there is none.
fn value(name: &CStr) -> *const c_char {
    // SAFETY: a C string.
    unsafe { libc::getenv(name.as_ptr()) }
}

/// Whether the name stands for that word.
pub fn is(name: &CStr, word: &CStr) -> bool {
    let value = value(name);
    // SAFETY: both are C strings.
    !value.is_null() && unsafe { libc::strcmp(value, word.as_ptr()) } == 0
}

/// A number, if it is one within these bounds.
pub fn number(name: &CStr, least: c_int, most: c_int) -> Option<c_int> {
    let value = value(name);
    // SAFETY: a C string, and a valid out parameter, which points into it then.
    unsafe {
        if value.is_null() || *value == 0 {
            return None;
        }
        let mut end = ptr::null_mut();
        let number = libc::strtol(value, &mut end, 10);
        (*end == 0 && (i64::from(least)..=i64::from(most)).contains(&number)).then_some(number as c_int)
    }
}
