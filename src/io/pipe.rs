// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making pipes: nothing here waits, but the births of both ends are noted.

use core::ffi::c_int;

use crate::poller::descriptors::{self, flag};
use crate::scheduler::in_vfork_child;

/// Notes the births of a pipe that libc was asked for, if it was made; gives `result` back.
///
/// # Safety
/// `ends` is what libc's pipe2 was given.
pub unsafe fn note(result: c_int, ends: *const c_int, flags: c_int) -> c_int {
    if result == 0 && !in_vfork_child() {
        let facts = if flags & libc::O_NONBLOCK != 0 { flag::PIPE | flag::NONBLOCK } else { flag::PIPE };
        for index in 0..2 {
            // SAFETY: libc has just filled in two numbers.
            descriptors::born(unsafe { *ends.add(index) }, facts);
        }
    }
    result
}
