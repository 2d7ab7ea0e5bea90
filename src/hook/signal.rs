// SPDX-License-Identifier: MIT OR Apache-2.0
//! sigwait and its kin, pause, sigsuspend.

use core::ffi::c_int;

use libc::{siginfo_t, sigset_t, timespec};

use crate::io::signal_mask::SignalMask;
use crate::io::{c_number, signal_wait};
use crate::scheduler::blocked::watched;
use crate::scheduler::hooked as current;
use crate::sys::next;

/// As libc's; inside a coroutine only the coroutine waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sigwait(set: *const sigset_t, signal: *mut c_int) -> c_int {
    watched("sigwait", move || {
        match current() {
            // SAFETY: the C caller's promise, as everywhere in this file.
            Some(current) => unsafe { signal_wait::sigwait(current, set, signal) },
            // SAFETY: see above.
            None => unsafe { next::sigwait(set, signal) },
        }
    })
}

/// As libc's; inside a coroutine only the coroutine waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sigwaitinfo(set: *const sigset_t, info: *mut siginfo_t) -> c_int {
    watched("sigwaitinfo", move || {
        match current() {
            // SAFETY: see `sigwait`.
            Some(current) => c_number(unsafe { signal_wait::sigtimedwait(current, set, info, core::ptr::null()) }),
            // SAFETY: see `sigwait`.
            None => unsafe { next::sigwaitinfo(set, info) },
        }
    })
}

/// As libc's; inside a coroutine only the coroutine waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sigtimedwait(set: *const sigset_t, info: *mut siginfo_t, timeout: *const timespec) -> c_int {
    watched("sigtimedwait", move || {
        match current() {
            // SAFETY: see `sigwait`.
            Some(current) => c_number(unsafe { signal_wait::sigtimedwait(current, set, info, timeout) }),
            // SAFETY: see `sigwait`.
            None => unsafe { next::sigtimedwait(set, info, timeout) },
        }
    })
}

/// As libc's; inside a coroutine only the coroutine waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pause() -> c_int {
    watched("pause", move || match current() {
        Some(current) => c_number(Err(signal_wait::suspend(current, SignalMask::none()))),
        // SAFETY: no preconditions.
        None => unsafe { next::pause() },
    })
}

/// As libc's; inside a coroutine only the coroutine waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sigsuspend(mask: *const sigset_t) -> c_int {
    watched("sigsuspend", move || match current() {
        Some(current) => {
            c_number(Err(SignalMask::new(mask).map_or_else(|error| error, |mask| signal_wait::suspend(current, mask))))
        }
        // SAFETY: see `sigwait`.
        None => unsafe { next::sigsuspend(mask) },
    })
}
