// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signal handlers. The kernel wants an address to return to from them that only libc knows, so the seeds are libc's own
//! functions under their other names.

use core::ffi::c_int;

use libc::{sigaction as Action, sighandler_t};

unsafe extern "C" {
    fn __sigaction(signal: c_int, new: *const Action, old: *mut Action) -> c_int;
    fn ssignal(signal: c_int, handler: sighandler_t) -> sighandler_t;
}

next_definitions! {
    fn sigaction(signal: c_int, new: *const Action, old: *mut Action) -> c_int { __sigaction(signal, new, old) }
    fn signal(signal: c_int, handler: sighandler_t) -> sighandler_t { ssignal(signal, handler) }
}
