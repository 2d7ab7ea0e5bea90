// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making eventfds, timerfds, signalfds, inotify descriptors and epoll sets: nothing here waits, but the births are noted.

use core::ffi::c_int;

use crate::poller::descriptors::{self, flag};
use crate::scheduler::in_vfork_child;

/// What libc has made, or not.
fn born(result: c_int, flags: c_int, facts: u32) -> c_int {
    if result >= 0 && !in_vfork_child() {
        // EFD_NONBLOCK, TFD_NONBLOCK and their like are O_NONBLOCK.
        let facts = if flags & libc::O_NONBLOCK != 0 { facts | flag::NONBLOCK } else { facts };
        descriptors::born(result, facts);
    }
    result
}

/// Notes the birth of an eventfd; gives `result` back, as all of these do.
pub fn note_event(result: c_int, flags: c_int) -> c_int {
    born(result, flags, flag::NAMELESS | flag::EVENT | flag::WRITE_WAITS)
}

/// Notes the birth of a timerfd, a signalfd or an inotify descriptor.
pub fn note(result: c_int, flags: c_int) -> c_int {
    born(result, flags, flag::NAMELESS)
}

/// Notes the birth of an epoll set, which cannot be read.
pub fn note_set(result: c_int) -> c_int {
    born(result, 0, 0)
}
