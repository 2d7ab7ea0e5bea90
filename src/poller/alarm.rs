// SPDX-License-Identifier: MIT OR Apache-2.0
//! A timerfd(2) that ends waits whose deadline is far off.
//!
//! A wait with a timeout programs the processor's timer when the thread falls asleep and again when it wakes, which costs
//! about a microsecond on a virtual machine: 6 % of an echo over a single connection. Most deadlines never come: the peer
//! answers first. So the alarm stays set across waits, at a time that some earlier wait asked for; at worst it wakes the
//! thread once for nothing, and is then set to what is next.

use crate::sys::clock::{self, Instant, MS, NEVER};
use crate::sys::{Errno, Result};
use crate::{syscall, syscall_raw};

/// A deadline this near is left to the wait's own timeout: an alarm that goes off each time costs a system call more.
const FAR: Instant = 10 * MS;

/// The alarm of an epoll set.
pub struct Alarm {
    /// Negative: there is none, and waits have timeouts.
    fd: i32,
    /// When it goes off; [`NEVER`]: it is not set.
    at: Instant,
}

impl Alarm {
    /// Not there yet.
    pub const NONE: Alarm = Alarm { fd: -1, at: NEVER };

    /// A new one, which is not set.
    pub fn open() -> Alarm {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: no pointers.
        let fd = unsafe { syscall_raw!(SYS_timerfd_create, libc::CLOCK_MONOTONIC, flags) } as i32;
        Alarm { fd, at: NEVER }
    }

    /// The timerfd; negative where there is none.
    pub fn fd(&self) -> i32 {
        self.fd
    }

    /// Whether it goes off by `deadline`; where that is worth it, it is set.
    #[inline]
    pub fn ends(&mut self, deadline: Instant, now: Instant) -> bool {
        self.at <= deadline && self.at != NEVER || deadline.saturating_sub(now) >= FAR && self.set(deadline).is_ok()
    }

    #[cold]
    fn set(&mut self, deadline: Instant) -> Result<()> {
        if self.fd < 0 || deadline == NEVER {
            return Err(Errno(libc::EBADF));
        }
        let spec = libc::itimerspec { it_interval: clock::timespec(0), it_value: clock::timespec(deadline) };
        // SAFETY: `spec` is valid for the call.
        unsafe { syscall!(SYS_timerfd_settime, self.fd, libc::TFD_TIMER_ABSTIME, &raw const spec, 0) }?;
        self.at = deadline;
        Ok(())
    }

    /// It has gone off.
    pub fn has_rung(&mut self) {
        self.at = NEVER;
    }
}
