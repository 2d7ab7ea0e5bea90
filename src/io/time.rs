// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sleeps. A parked coroutine sleeps to the end: never early, never EINTR, nothing left over. A sleep of no length
//! gives way.

use core::ffi::c_int;

use libc::{clockid_t, timespec};

use super::level::nanoseconds;
use super::pointers;
use crate::scheduler::{self, Current};
use crate::sys::clock::{self, Instant, NEVER, SECOND};
use crate::sys::{Errno, Result};
use crate::syscall;

/// How long a sleep by a clock that can be set, or that counts suspended time, may go without a look at that clock.
const CLOCK_CHECK: u64 = SECOND;

/// Sleeps for `ns` nanoseconds, or lets the thread sleep.
#[inline(always)]
pub fn sleep_anywhere(ns: u64) {
    // A look at the clock would cost three times as much as giving way.
    match scheduler::current_at_once() {
        Some(current) if ns == 0 => current.yield_now(),
        _ => sleep_slowly(ns),
    }
}

#[inline(never)]
fn sleep_slowly(ns: u64) {
    match scheduler::current() {
        Some(current) => sleep(current, ns),
        None => sleep_thread(ns),
    }
}

/// Sleeps for `ns` nanoseconds.
pub fn sleep(current: Current, ns: u64) {
    sleep_until(current, ns, if ns == 0 { 0 } else { clock::after(ns) });
}

/// Outside coroutines: lets the thread sleep for `ns` nanoseconds, to the end.
fn sleep_thread(ns: u64) {
    let until = clock::timespec(clock::after(ns));
    loop {
        // SAFETY: `until` is valid for the call, and an absolute sleep writes no rest.
        let slept =
            unsafe { syscall!(SYS_clock_nanosleep, libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &raw const until, 0) };
        if slept != Err(Errno(libc::EINTR)) {
            return;
        }
    }
}

fn sleep_until(current: Current, ns: u64, deadline: Instant) {
    // However far away, a sleep has an end: whoever sleeps is not stuck.
    if ns == 0 { current.yield_now() } else { current.sleep_until(deadline.min(NEVER - 1)) }
}

/// `nanosleep` inside a coroutine.
///
/// # Safety
/// As libc's.
pub unsafe fn nanosleep(current: Current, time: *const timespec) -> Result<()> {
    // SAFETY: plain data.
    let time = unsafe { pointers::read(time) }?;
    sleep(current, nanoseconds(&time)?);
    Ok(())
}

/// Whether a coroutine can sleep by this clock. The CPU-time clocks stand still while nothing runs, and those that wake
/// the machine up ask for a privilege: they are the kernel's matter.
pub fn can_sleep_by(clock: clockid_t) -> bool {
    matches!(clock, libc::CLOCK_REALTIME | libc::CLOCK_MONOTONIC | libc::CLOCK_BOOTTIME | libc::CLOCK_TAI)
}

/// `clock_nanosleep` inside a coroutine, by a clock that [`can_sleep_by`] allows.
///
/// # Safety
/// As libc's.
pub unsafe fn clock_nanosleep(current: Current, clock: clockid_t, flags: c_int, time: *const timespec) -> Result<()> {
    // SAFETY: plain data.
    let ns = nanoseconds(&unsafe { pointers::read(time) }?)?;
    let absolute = flags & libc::TIMER_ABSTIME != 0;
    match clock {
        libc::CLOCK_MONOTONIC if absolute => sleep_until(current, ns.saturating_sub(clock::now()), ns),
        // Setting the time of day does not change how long a relative sleep takes.
        libc::CLOCK_MONOTONIC | libc::CLOCK_REALTIME if !absolute => sleep(current, ns),
        _ => {
            let end = if absolute { ns } else { read(clock)?.saturating_add(ns) };
            sleep_by(current, clock, end)?;
        }
    }
    Ok(())
}

/// Sleeps until `clock` shows `end`, which setting the clock or suspending the machine may bring nearer or put off.
fn sleep_by(current: Current, clock: clockid_t, end: u64) -> Result<()> {
    let mut left = end.saturating_sub(read(clock)?);
    if left == 0 {
        current.yield_now();
    }
    while left > 0 {
        current.sleep_until(clock::after(left.min(CLOCK_CHECK)));
        left = end.saturating_sub(read(clock)?);
    }
    Ok(())
}

fn read(clock: clockid_t) -> Result<u64> {
    let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is valid for the call.
    unsafe { syscall!(SYS_clock_gettime, clock, &raw mut now) }?;
    // A clock set to a time before 1970 shows 0.
    Ok(nanoseconds(&now).unwrap_or(0))
}
