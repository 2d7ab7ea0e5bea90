// SPDX-License-Identifier: MIT OR Apache-2.0
//! Version

use core::ffi::{CStr, c_char};

use super::types::DYCO_VERSION;

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!("v", env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(text) => text,
    Err(_) => panic!("a NUL in the version"),
};

// The header cannot ask cargo, so its constant is written out; here it is held to the truth.
const _: () = {
    let (header, library) = (DYCO_VERSION.as_bytes(), VERSION.to_bytes());
    assert!(header.len() == library.len());
    let mut i = 0;
    while i < header.len() {
        assert!(header[i] == library[i]);
        i += 1;
    }
};

/// The version of the library that the program runs with, as "v3.0.0".
///
/// DYCO_VERSION is that of the header it was compiled with. The string is
/// the library's and stays valid.
#[unsafe(no_mangle)]
pub extern "C" fn dyco_version() -> *const c_char {
    VERSION.as_ptr()
}
