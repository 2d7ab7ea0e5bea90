// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sleeps.

use core::ffi::{c_int, c_uint};

use libc::{clockid_t, timespec};

use crate::io::{c_number, time};
use crate::scheduler::blocked::watched;
use crate::scheduler::hooked as current;
use crate::sys::clock::SECOND;
use crate::sys::next;

/// As libc's; inside a coroutine only the coroutine sleeps, and always to the end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sleep(seconds: c_uint) -> c_uint {
    watched("sleep", move || {
        match current() {
            Some(current) => {
                time::sleep(current, u64::from(seconds) * SECOND);
                0
            }
            // SAFETY: no preconditions.
            None => unsafe { next::sleep(seconds) },
        }
    })
}

/// As libc's; inside a coroutine only the coroutine sleeps, and always to the end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn usleep(microseconds: c_uint) -> c_int {
    watched("usleep", move || {
        match current() {
            Some(current) => {
                time::sleep(current, u64::from(microseconds) * 1000);
                0
            }
            // SAFETY: no preconditions.
            None => unsafe { next::usleep(microseconds) },
        }
    })
}

/// As libc's; inside a coroutine only the coroutine sleeps, and always to the end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nanosleep(time: *const timespec, left: *mut timespec) -> c_int {
    watched("nanosleep", move || {
        match current() {
            // SAFETY: the caller keeps libc's promises.
            Some(current) => c_number(unsafe { time::nanosleep(current, time) }.map(|()| 0)),
            // SAFETY: the same.
            None => unsafe { next::nanosleep(time, left) },
        }
    })
}

/// As libc's, which returns the error number. Inside a coroutine as [`nanosleep`] by the clocks that show the time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_nanosleep(
    clock: clockid_t,
    flags: c_int,
    time: *const timespec,
    left: *mut timespec,
) -> c_int {
    watched("clock_nanosleep", move || {
        match current() {
            // SAFETY: the caller keeps libc's promises.
            Some(current) if time::can_sleep_by(clock) => {
                // SAFETY: the program's promise.
                match unsafe { time::clock_nanosleep(current, clock, flags, time) } {
                    Ok(()) => 0,
                    Err(errno) => errno.0,
                }
            }
            // SAFETY: the same.
            _ => unsafe { next::clock_nanosleep(clock, flags, time, left) },
        }
    })
}
