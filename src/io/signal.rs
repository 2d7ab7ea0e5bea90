// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signals that a coroutine holds and waits for; see `scheduler::signals` for how they come.

use libc::{c_int, signalfd_siginfo};

use crate::scheduler::{self, Current, SignalSet};
use crate::sys::clock::deadline_ms;
use crate::sys::{Errno, Result};

fn current() -> Result<Current> {
    scheduler::current().ok_or(Errno(libc::EPERM))
}

/// Holds the signals of `set`. EBUSY: the coroutine holds some already; EPERM outside coroutines.
pub fn init(set: SignalSet) -> Result<()> {
    current()?.hold_signals(set)
}

/// Lets go of them.
pub fn destroy() {
    if let Some(current) = scheduler::current() {
        current.release_signals();
    }
}

/// The next of them, waiting at most `timeout` milliseconds. ETIMEDOUT; EINVAL: the coroutine holds none.
pub fn wait(timeout: c_int) -> Result<signalfd_siginfo> {
    current()?.wait_signal(deadline_ms(timeout))?.ok_or(Errno(libc::ETIMEDOUT))
}
