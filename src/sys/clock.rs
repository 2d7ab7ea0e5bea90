// SPDX-License-Identifier: MIT OR Apache-2.0
//! The monotonic clock, in nanoseconds.

/// A point on the monotonic clock, in nanoseconds. [`NEVER`] does not come.
pub type Instant = u64;

/// The deadline of a wait without one.
pub const NEVER: Instant = u64::MAX;

/// Nanoseconds in a millisecond.
pub const MS: u64 = 1_000_000;

/// Nanoseconds in a second.
pub const SECOND: u64 = 1000 * MS;

/// Now. Answered by the vDSO, without a system call.
#[inline]
pub fn now() -> Instant {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is a valid out parameter; CLOCK_MONOTONIC always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut ts) };
    ts.tv_sec as u64 * SECOND + ts.tv_nsec as u64
}

/// The deadline of a wait of `timeout` milliseconds that begins now; any negative one is [`NEVER`].
#[inline]
pub fn deadline_ms(timeout: i32) -> Instant {
    if timeout < 0 { NEVER } else { after(timeout as u64 * MS) }
}

/// The deadline `ns` nanoseconds from now. One that the clock cannot reach is [`NEVER`]. Not inlined: who has something on the
/// stack that others can see cannot leave its frame for the last call that it makes.
#[inline(never)]
pub fn after(ns: u64) -> Instant {
    now().saturating_add(ns)
}

/// So many nanoseconds, as the kernel and libc take a time.
#[inline]
pub fn timespec(ns: u64) -> libc::timespec {
    libc::timespec { tv_sec: (ns / SECOND) as libc::time_t, tv_nsec: (ns % SECOND) as libc::c_long }
}

/// The nanoseconds of a time that is not negative, as far as they reach.
pub fn of_timeval(time: &libc::timeval) -> u64 {
    (time.tv_sec as u64).saturating_mul(SECOND).saturating_add((time.tv_usec as u64).saturating_mul(1000))
}
