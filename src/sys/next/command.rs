// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands for the shell: as with names, a seed looks libc's function up itself.

use core::ffi::{c_char, c_int};
use core::ptr;

use libc::FILE;

use super::found;

next_definitions! {
    fn system(command: *const c_char) -> c_int {
        if !found(c"system", &slot::system) { return -1 }
        super::system(command)
    }
    fn popen(command: *const c_char, mode: *const c_char) -> *mut FILE {
        if !found(c"popen", &slot::popen) { return ptr::null_mut() }
        super::popen(command, mode)
    }
    fn pclose(stream: *mut FILE) -> c_int {
        if !found(c"pclose", &slot::pclose) { return -1 }
        super::pclose(stream)
    }
}
