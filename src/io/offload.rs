// SPDX-License-Identifier: MIT OR Apache-2.0
//! A function of the program's, run by a helper thread while only the coroutine waits.

use core::ffi::{c_int, c_void};

use crate::scheduler::offload::{Kind, Work};
use crate::scheduler::{self, Entry};
use crate::sys::clock;
use crate::sys::{Errno, Result};

pub use scheduler::set_helper_limits as set_limits;

struct Call {
    function: Entry,
    argument: *mut c_void,
}

impl Work for Call {
    const KIND: Kind = Kind::Functions;
    fn run(&mut self) {
        // SAFETY: the program's function and argument, which it has promised to be good for each other.
        unsafe { (self.function)(self.argument) };
        // The next one finds the helper as this one has.
        let _ = scheduler::free(core::ptr::null_mut());
        scheduler::block_helper_signals();
    }
}

/// Runs `function(argument)` elsewhere, and waits for at most `timeout` milliseconds. Outside coroutines it simply runs
/// here. EAGAIN: it was not begun, and will not be. ETIMEDOUT: it goes on.
pub fn run(function: Entry, argument: *mut c_void, timeout: c_int) -> Result<()> {
    match scheduler::current().filter(|current| current.can_offload()) {
        None => {
            // SAFETY: as in `Call::run`.
            unsafe { function(argument) };
            Ok(())
        }
        Some(_) if timeout == 0 => Err(Errno(libc::EAGAIN)),
        Some(current) => current.offload(Call { function, argument }, clock::deadline_ms(timeout)).map(drop),
    }
}
