// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether the program reaches the hooks, and whether it wants to.

use core::ffi::{CStr, c_void};

use crate::scheduler;
use crate::sys::next;

/// The name number `index` of those that lead the program, and the libraries that it is linked with, to another library's
/// definition before ours; `None`: there are no more.
pub fn missing(index: usize) -> Option<&'static CStr> {
    let mut index = index;
    next::find_name(&mut |_, found: *mut c_void| {
        // Nobody defines it for the dynamic linker: the program was bound to ours when it was linked.
        let ours = found.is_null() || next::is_own(found);
        if !ours && index > 0 {
            index -= 1;
            return false;
        }
        !ours
    })
}

/// Whether all of them lead here.
pub fn are_reached() -> bool {
    cfg!(feature = "hook") && missing(0).is_none()
}

/// Switches them on or off for this thread; how they were.
pub fn enable(on: bool) -> bool {
    scheduler::enable_hooks(on)
}
