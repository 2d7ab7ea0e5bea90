// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one way in which poll, select and epoll_wait wait: the kernel is asked without waiting, the coroutine waits until
//! something may have changed, and the kernel is asked again. So every answer is the kernel's own.

use libc::{c_int, timespec};

use super::pointers;
use super::signal_mask::{SignalMask, Signals};
use crate::scheduler::Wake;
use crate::sys::clock::{self, Instant, MS, NEVER, SECOND};
use crate::sys::{Errno, Result};

/// How long to wait, in nanoseconds; `None` for ever.
pub type Limit = Option<u64>;

/// The limit that poll(2) and epoll_wait(2) mean by `timeout`.
pub fn milliseconds(timeout: c_int) -> Limit {
    u64::try_from(timeout).ok().map(|ms| ms * MS)
}

/// The limit that `timeout` means, which may be null; EFAULT and EINVAL as the kernel says it.
pub fn limit(timeout: *const timespec) -> Result<Limit> {
    // SAFETY: plain data.
    unsafe { pointers::read_any(timeout) }?.as_ref().map(nanoseconds).transpose()
}

/// A time in nanoseconds, as far as they reach; EINVAL as the kernel says it.
pub fn nanoseconds(time: &timespec) -> Result<u64> {
    if time.tv_sec < 0 || !(0..SECOND as i64).contains(&time.tv_nsec) {
        return Err(Errno(libc::EINVAL));
    }
    Ok((time.tv_sec as u64).saturating_mul(SECOND).saturating_add(time.tv_nsec as u64))
}

/// The deadline of a wait that begins now.
pub fn deadline(limit: Limit) -> Instant {
    limit.map_or(NEVER, clock::after)
}

/// Asks (`ask`: how many are ready, without waiting) and waits (`park`: until more may be ready, a signal comes, or the
/// deadline) until something is ready. 0: nothing was until the limit. EINTR: a signal came that the mask lets through.
pub fn wait(
    limit: Limit,
    mask: SignalMask,
    mut ask: impl FnMut() -> Result<usize>,
    mut park: impl FnMut(&Signals, Instant) -> Result<Wake>,
) -> Result<usize> {
    let ready = ask()?;
    if ready > 0 {
        return Ok(ready);
    }
    mask.deliver()?;
    if limit == Some(0) {
        return Ok(0);
    }
    let (signals, deadline) = (mask.watch()?, deadline(limit));
    loop {
        let woken = park(&signals, deadline)?;
        let ready = ask()?;
        if ready > 0 {
            return Ok(ready);
        }
        mask.deliver()?;
        if woken == Wake::TimedOut {
            return Ok(0);
        }
    }
}
