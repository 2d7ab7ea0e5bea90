// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations that end otherwise than by what they wait for.

use super::{CANCEL, CLOSED, IGNORED, LEFT, Operations, POLLER};
use crate::coroutine::{Coroutine, Wake};
use crate::scheduler::Scheduler;
use crate::scheduler::table::Table;
use crate::scheduler::watch::Watch;
use crate::sys::clock::MS;
use crate::sys::ring::{self, ENTRIES, Entry};

/// How many cancels the kernel gets together.
const AT_A_TIME: u32 = ENTRIES / 2;

impl Operations {
    /// Ends this thread's operations on the file of a watch's descriptor that is about to be closed. May be called at any
    /// moment, also in a signal handler; one that has interrupted a use of the ring leaves it to [`Scheduler::settle`].
    ///
    /// # Safety
    /// `watch` is one of this scheduler's.
    #[cold]
    pub(in crate::scheduler) unsafe fn let_go(&mut self, watch: *mut Watch, fd: i32) {
        self.with_ring(|operations| {
            // SAFETY: the caller's promise. A handler that has interrupted a change of the list finds a link of it or null, and
            // cancels at worst what has just ended.
            let alone = unsafe {
                let first = (*watch).operators.first();
                let is_alone = !first.is_null() && (*watch).operators.after(first).is_null();
                is_alone.then(|| Coroutine::from_link(first))
            };
            operations.push(&match alone {
                Some(coroutine) => cancel(coroutine as u64),
                // For that the kernel looks at all that is in the ring.
                None => Entry { fd, call_flags: ring::CANCEL_FD | ring::CANCEL_ALL, ..cancel(0) },
            });
            // So that the kernel carries all of them to their end now, but does not wait.
            operations.enter(ENTRIES.max(operations.count), Some(0));
            Some(())
        });
    }
}

/// Cancels what has that name. Nobody wants to know whether it was there.
fn cancel(name: u64) -> Entry {
    Entry { opcode: ring::CANCEL, fd: -1, address: name, data: IGNORED, ..Entry::default() }
}

impl Scheduler {
    /// Asks the kernel to end an operation early.
    ///
    /// # Safety
    /// `coroutine` is a live one of this scheduler, and in the ring.
    #[cold]
    pub(in crate::scheduler) unsafe fn cancel_operation(&mut self, coroutine: *mut Coroutine) {
        // SAFETY: the caller's promise.
        let cid = unsafe { (*coroutine).cid };
        self.release_all();
        self.push_surely(Entry { data: (cid as u64) << 3 | CANCEL, ..cancel(coroutine as u64) });
    }

    /// What the kernel has not got it does not find.
    fn release_all(&mut self) {
        self.operations.with_ring(|operations| {
            operations.release(u32::MAX);
            Some(())
        });
    }

    /// The kernel does not find an operation that is just on its way from one of its lists to another.
    #[cold]
    pub(super) fn cancel_again(&mut self, cid: i32) {
        // SAFETY: a live coroutine is valid.
        unsafe {
            if let Ok(coroutine) = self.coroutines.find(cid)
                && (*coroutine).in_ring
            {
                self.cancel_operation(coroutine);
            }
        }
    }

    /// Cancels what has been begun on a watch's descriptor, which was closed, or about to be.
    ///
    /// # Safety
    /// `watch` is one of this scheduler's.
    #[cold]
    pub(in crate::scheduler) unsafe fn end_operations(&mut self, watch: *mut Watch, wake: Wake) {
        // SAFETY: the caller's promise; cancelling takes nobody off the list.
        unsafe {
            (*watch).operated = 0;
            let mut link = (*watch).operators.first();
            while !link.is_null() {
                let coroutine = Coroutine::from_link(link);
                (*coroutine).waiter.events |= if wake == Wake::Closed { CLOSED } else { LEFT };
                self.cancel_operation(coroutine);
                link = (*watch).operators.after(link);
            }
        }
    }

    /// To be called when the loop stops, and may not run again for long: what has been begun to send goes out, once and whatever
    /// becomes of this process; and nobody is told here of a connection that another thread waits for, too.
    pub(in crate::scheduler) fn rest_operations(&mut self) {
        if self.operations.any() {
            if self.operations.accepting > 0 {
                let call_flags = ring::CANCEL_ALL | ring::CANCEL_OPCODE;
                self.push_surely(Entry { call_flags, length: ring::ACCEPT.into(), ..cancel(0) });
            }
            self.look_at_ring();
        }
    }

    /// Cancels all operations, and waits until the kernel has let go of every stack.
    pub(in crate::scheduler) fn end_all_operations(&mut self) {
        if self.forked != 0 {
            self.lose_operations();
        }
        if !self.operations.any() {
            return;
        }
        let scheduler: *mut Scheduler = self;
        // Again and again, for the reason that `cancel_again` has.
        while self.operations.any() {
            self.release_all();
            let mut cancelled = 0;
            if self.operations.watching {
                self.push_surely(cancel(POLLER));
            }
            // Each by its name: to cancel all at once the kernel looks for each among all the others, also among those that it
            // has found before, which takes half a minute with fifty thousand.
            // SAFETY: the walk goes through raw pointers, and nobody is made or freed meanwhile.
            unsafe {
                let table: *mut Table = &raw mut (*scheduler).coroutines;
                (*table).for_each(&mut |coroutine| {
                    if (*coroutine).in_ring {
                        (*scheduler).push_surely(cancel(coroutine as u64));
                        cancelled += 1;
                        if cancelled % AT_A_TIME == 0 {
                            (*scheduler).carry_out(AT_A_TIME);
                        }
                    }
                });
            }
            self.carry_out(cancelled % AT_A_TIME);
        }
    }

    /// Lets the kernel carry out so many cancels, and waits a moment for what they end.
    fn carry_out(&mut self, cancels: u32) {
        self.operations.enter(2 * cancels, Some(MS));
        self.reap();
    }

    /// After fork, in the child: the ring and what is in it are the parent's.
    pub(in crate::scheduler) fn lose_operations(&mut self) {
        self.lose_accepted();
        self.operations.ring.free(true);
        self.operations.busy = false;
        self.operations.watching = false;
        self.operations.held.forget();
        self.operations.count = 0;
        self.operations.accepting = 0;
        self.watches.for_each(&mut |watch| {
            // SAFETY: operators are live coroutines.
            unsafe {
                (*watch).operated = 0;
                let mut link = (*watch).operators.first();
                while !link.is_null() {
                    let coroutine = Coroutine::from_link(link);
                    (*coroutine).in_ring = false;
                    (*coroutine).waiter.result = -libc::ECANCELED;
                    link = (*watch).operators.after(link);
                }
            }
        });
    }

    /// After fork, in the child: lets those who are left begin their operations anew.
    ///
    /// # Safety
    /// `watch` is one of this scheduler's, after [`Scheduler::lose_operations`].
    pub(in crate::scheduler) unsafe fn begin_anew(&mut self, watch: *mut Watch) {
        // SAFETY: the caller's promise; waking takes a coroutine off the list.
        unsafe {
            while !(*watch).operators.is_empty() {
                self.unpark(Coroutine::from_link((*watch).operators.first()), Wake::Ready);
            }
        }
    }
}
