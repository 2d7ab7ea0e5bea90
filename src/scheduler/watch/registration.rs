// SPDX-License-Identifier: MIT OR Apache-2.0
//! Registering descriptors with the poller.

use core::sync::atomic::Ordering::Relaxed;

use super::events::{OUT, interest};
use super::{READ, WRITE, Watch};
use crate::coroutine::Wake;
use crate::poller::descriptors::{self, Snapshot};
use crate::poller::epoll::{Added, BASE};
use crate::scheduler::Scheduler;
use crate::sys::Result;

/// What came of preparing a wait.
#[derive(PartialEq, Eq)]
pub enum Armed {
    /// An event will come.
    Yes,
    /// The descriptor cannot be waited for: it is always ready.
    AlwaysReady,
}

impl Watch {
    /// What is to be asked of the kernel for who waits for `events`.
    #[inline(always)]
    fn wanted(&self, events: u32) -> u32 {
        BASE | self.registered | (interest(events) & OUT)
    }

    /// Whether the kernel has been asked for these events of a descriptor of which a hook has seen the birth.
    #[inline(always)]
    fn is_armed(&self, snapshot: Snapshot, events: u32) -> bool {
        snapshot.known() && self.generation == snapshot.generation && self.registered == self.wanted(events)
    }
}

impl Scheduler {
    /// Sees to it that the kernel and other threads can tell this one something.
    #[inline(always)]
    pub(in crate::scheduler) fn open_poller(&mut self) -> Result<()> {
        if self.poller.wake_fd() < 0 {
            self.poller.open()?;
            self.wake_fd.store(self.poller.wake_fd(), Relaxed);
        }
        Ok(())
    }

    /// Sees to it that an event of `fd`, of which that was just known, reaches this scheduler. EBADF, ENOMEM, ENOSPC, EMFILE.
    #[inline(always)]
    pub(in crate::scheduler) fn arm(
        &mut self,
        fd: i32,
        snapshot: Snapshot,
        events: u32,
    ) -> Result<(Armed, *mut Watch)> {
        let watch = self.watches.get(fd);
        // SAFETY: watches do not move and live as long as the scheduler.
        unsafe {
            if !watch.is_null() && (*watch).is_armed(snapshot, events) {
                self.watches.check_later(watch, self.now);
                return Ok((Armed::Yes, watch));
            }
        }
        self.arm_anew(fd, events)
    }

    /// As [`Scheduler::arm`]. Not inlined: it is rare, and below the frames of one that parks it would touch more of its stack.
    #[inline(never)]
    fn arm_anew(&mut self, fd: i32, events: u32) -> Result<(Armed, *mut Watch)> {
        let snapshot = descriptors::get(fd);
        self.open_poller()?;
        let watch = self.watches.entry(fd)?;
        // SAFETY: watches do not move and live as long as the scheduler.
        unsafe {
            if (*watch).registered != 0 && (*watch).generation != snapshot.generation {
                self.unregister(watch, Wake::Closed);
            }
            let wanted = (*watch).wanted(events);
            let armed = self.register(watch, snapshot.generation, wanted)?;
            if armed == Armed::Yes && descriptors::get(fd).generation != snapshot.generation {
                // Another thread is closing it, and may have looked for those who wait before it could see this one.
                self.unregister(watch, Wake::Closed);
                return self.arm(fd, descriptors::get(fd), events);
            }
            Ok((armed, watch))
        }
    }

    /// # Safety
    /// `watch` is one of this scheduler's.
    unsafe fn register(&mut self, watch: *mut Watch, generation: u32, wanted: u32) -> Result<Armed> {
        // SAFETY: the caller's promise.
        unsafe {
            let fd = (*watch).fd;
            match self.poller.add(fd, generation, wanted)? {
                Added::AlwaysReady => return Ok(Armed::AlwaysReady),
                Added::New => {
                    if (*watch).registered != 0 {
                        // What the others wait for was closed behind our back.
                        self.unregister(watch, Wake::Closed);
                    }
                    descriptors::watched(fd);
                    (*watch).began = generation;
                    (*watch).ready = 0;
                    (*watch).sticky = false;
                    (*watch).check.is_proven = false;
                }
                Added::Present => {
                    // An item of an older generation tells the wrong one; changing it reports what is ready.
                    if (*watch).registered != wanted {
                        self.poller.modify(fd, generation, wanted)?;
                        if (*watch).registered == 0 {
                            descriptors::watched(fd);
                            (*watch).ready = READ | WRITE;
                            (*watch).sticky = false;
                        }
                    }
                }
            }
            (*watch).generation = generation;
            (*watch).registered = wanted;
            Ok(Armed::Yes)
        }
    }

    /// Forgets a registration and wakes who waited for it.
    ///
    /// # Safety
    /// `watch` is one of this scheduler's.
    pub(in crate::scheduler) unsafe fn unregister(&mut self, watch: *mut Watch, wake: Wake) {
        // SAFETY: the caller's promise; waiters in the lists belong to live coroutines.
        unsafe {
            (*watch).registered = 0;
            (*watch).mixed = false;
            (*watch).check.is_proven = false;
            self.wake_all(&raw mut (*watch).readers, u32::MAX, wake);
            self.wake_all(&raw mut (*watch).writers, u32::MAX, wake);
        }
    }

    /// After fork, in the child: registers anew what is waited for, in a set of its own.
    pub(in crate::scheduler) fn watch_anew(&mut self) {
        let scheduler: *mut Scheduler = self;
        // SAFETY: the watches are not added to while they are walked.
        unsafe {
            let watches = &raw mut (*scheduler).watches;
            (*watches).for_each(&mut |watch| {
                (*watch).registered = 0;
                if (*watch).has_waiters() {
                    (*scheduler).unregister(watch, Wake::Ready);
                }
                (*scheduler).begin_anew(watch);
            });
        }
    }
}
