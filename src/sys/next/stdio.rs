// SPDX-License-Identifier: MIT OR Apache-2.0
//! Streams. No system call stands behind these: a seed looks libc's function up itself. In a static program these names are
//! libc's, and nobody comes here.

use core::ffi::{c_char, c_int};
use core::ptr;

use libc::FILE;

use super::found;

next_definitions! {
    fn fdopen(fd: c_int, mode: *const c_char) -> *mut FILE {
        if !found(c"fdopen", &slot::fdopen) { return ptr::null_mut() }
        super::fdopen(fd, mode)
    }
    fn fclose(file: *mut FILE) -> c_int {
        if !found(c"fclose", &slot::fclose) { return libc::EOF }
        super::fclose(file)
    }
    fn freopen(path: *const c_char, mode: *const c_char, file: *mut FILE) -> *mut FILE {
        if !found(c"freopen", &slot::freopen) { return ptr::null_mut() }
        super::freopen(path, mode, file)
    }
    fn freopen64(path: *const c_char, mode: *const c_char, file: *mut FILE) -> *mut FILE {
        if !found(c"freopen64", &slot::freopen64) { return ptr::null_mut() }
        super::freopen64(path, mode, file)
    }
}
