// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waits that are trusted are checked when they stay silent: what was registered may have been closed behind our back.
//!
//! The first time soon; a descriptor that has been found in order, and any one of a thread that is busy with others, is
//! looked at late: in a crowd each is silent for long without being stale, and to ask the kernel each time would cost more
//! than the waits. So there are two queues, in each of which all wait for the same time.

use core::ptr;

use super::{READ, WRITE, Watch, Watches};
use crate::coroutine::Wake;
use crate::poller::descriptors;
use crate::poller::epoll::Added;
use crate::scheduler::Scheduler;
use crate::sys::clock::{Instant, MS, NEVER, SECOND};

/// How long a trusted wait stays silent before its registration is checked.
const SOON: Instant = 50 * MS;
const LATE: Instant = SECOND;

/// A watch's place in the queues. Zeroed: it is in none.
pub(super) struct Place {
    next: *mut Watch,
    /// When it was put into its queue.
    queued_at: Instant,
    /// When the last trusted wait began.
    since: Instant,
    is_queued: bool,
    /// A check has found the registration in order.
    pub is_proven: bool,
}

/// Both queues. Zeroed: empty.
pub(super) struct Checks {
    soon: Queue,
    late: Queue,
}

#[derive(Clone, Copy)]
struct Queue {
    first: *mut Watch,
    last: *mut Watch,
}

impl Checks {
    pub const NONE: Checks = {
        let none = Queue { first: ptr::null_mut(), last: ptr::null_mut() };
        Checks { soon: none, late: none }
    };
}

impl Queue {
    /// When its first one is due, if all wait for so long; [`NEVER`] when it is empty.
    fn due(&self, wait: Instant) -> Instant {
        // SAFETY: queued watches are valid.
        if self.first.is_null() { NEVER } else { unsafe { (*self.first).check.queued_at + wait } }
    }

    /// # Safety
    /// `watch` is one of the scheduler's, and in no queue.
    #[inline(always)]
    unsafe fn push(&mut self, watch: *mut Watch, now: Instant) {
        // SAFETY: the caller's promise; queued watches are valid.
        unsafe {
            let place = &raw mut (*watch).check;
            (*place).is_queued = true;
            (*place).queued_at = now;
            (*place).next = ptr::null_mut();
            if self.first.is_null() {
                self.first = watch;
            } else {
                (*self.last).check.next = watch;
            }
            self.last = watch;
        }
    }

    /// Takes the first one out. There is one.
    fn pop(&mut self) -> *mut Watch {
        let watch = self.first;
        // SAFETY: queued watches are valid.
        unsafe {
            self.first = (*watch).check.next;
            (*watch).check.is_queued = false;
        }
        watch
    }
}

impl Watches {
    /// A trusted wait begins.
    ///
    /// # Safety
    /// `watch` is one of ours.
    #[inline(always)]
    pub(super) unsafe fn check_later(&mut self, watch: *mut Watch, now: Instant) {
        // SAFETY: the caller's promise.
        unsafe {
            let place = &raw mut (*watch).check;
            (*place).since = now;
            if !(*place).is_queued {
                let queue = if (*place).is_proven { &mut self.checks.late } else { &mut self.checks.soon };
                queue.push(watch, now);
            }
        }
    }

    /// When the next check is due; [`NEVER`] when there is none.
    pub fn next_check(&self) -> Instant {
        self.checks.soon.due(SOON).min(self.checks.late.due(LATE))
    }
}

impl Scheduler {
    /// Checks the trusted waits that have been silent for long. `busy`: something else has happened.
    pub(in crate::scheduler) fn check_watches(&mut self, busy: bool) {
        let now = self.now;
        while self.watches.checks.soon.due(SOON) <= now {
            let watch = self.watches.checks.soon.pop();
            // SAFETY: queued watches are valid, and in no queue when they have been taken out.
            unsafe {
                if !(*watch).is_trusted() {
                    continue;
                }
                if busy {
                    self.watches.checks.late.push(watch, now);
                } else if (*watch).check.since + SOON > now {
                    self.watches.checks.soon.push(watch, now);
                } else {
                    self.check(watch);
                }
            }
        }
        while self.watches.checks.late.due(LATE) <= now {
            let watch = self.watches.checks.late.pop();
            // SAFETY: as above.
            unsafe {
                if !(*watch).is_trusted() {
                    continue;
                }
                if (*watch).check.since + LATE > now {
                    self.watches.checks.late.push(watch, now);
                } else {
                    self.check(watch);
                }
            }
        }
    }

    /// Checks a watch that is waited for.
    ///
    /// # Safety
    /// It is one of this scheduler's.
    unsafe fn check(&mut self, watch: *mut Watch) {
        // SAFETY: the caller's promise.
        unsafe {
            let registered = (*watch).registered;
            if descriptors::get((*watch).fd).generation != (*watch).generation {
                return self.unregister(watch, Wake::Closed);
            }
            match self.poller.add((*watch).fd, (*watch).generation, registered) {
                Ok(Added::Present) => (*watch).check.is_proven = true,
                // It was closed behind our back; who waited, waited for that. The number is a new file's.
                Ok(Added::New) => {
                    self.unregister(watch, Wake::Ready);
                    (*watch).registered = registered;
                    (*watch).began = (*watch).generation;
                    (*watch).ready = READ | WRITE;
                }
                Ok(Added::AlwaysReady) => self.unregister(watch, Wake::Ready),
                Err(_) => self.unregister(watch, Wake::Closed),
            }
        }
    }
}

impl Watch {
    /// Whether somebody waits and relies on the registration.
    fn is_trusted(&self) -> bool {
        self.registered != 0 && self.has_waiters()
    }
}
