// SPDX-License-Identifier: MIT OR Apache-2.0
//! Version

use core::ffi::{CStr, c_char};

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!("v", env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(text) => text,
    Err(_) => panic!("a NUL in the version"),
};

/// The version of the library that the program runs with, as "v3.0.0".
///
/// DYCO_VERSION is that of the header it was compiled with. The string is
/// the library's and stays valid.
#[unsafe(no_mangle)]
pub extern "C" fn dyco_version() -> *const c_char {
    VERSION.as_ptr()
}
