// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accepting. What has come is taken at once; an accept that has to wait may do so in the ring, which then brings one
//! connection.

use libc::{c_int, sockaddr, socklen_t};

use super::operate::{Begin, End};
use super::{AT_ONCE, COROUTINE, KIND};
use crate::coroutine::{Coroutine, loose};
use crate::poller::descriptors::{self, Snapshot};
use crate::scheduler::{Current, Scheduler};
use crate::sys::clock::{self, Instant};
use crate::sys::ring::{self, Entry};
use crate::sys::{Errno, Result};
use crate::syscall_raw;

impl Current {
    /// Whether there is a ring; it is opened if need be.
    pub fn has_ring(self) -> bool {
        // SAFETY: the scheduler is valid while its coroutine runs.
        unsafe { (*self.scheduler()).operations.with_ring(|_| Some(())).is_some() }
    }

    /// `accept4` that does not wait, although the listener may be blocking: EAGAIN. `None`: there is no ring. With it comes
    /// whether there are more connections, of a TCP listener.
    ///
    /// # Safety
    /// As accept4(2).
    pub unsafe fn accept_now(
        self,
        fd: c_int,
        address: *mut sockaddr,
        length: *mut socklen_t,
        flags: c_int,
    ) -> Option<(Result<usize>, bool)> {
        let entry = Entry { ioprio: ring::ACCEPT_DONTWAIT, data: AT_ONCE, ..entry(fd, address, length, flags) };
        // SAFETY: the scheduler is valid while its coroutine runs.
        let scheduler = unsafe { &mut *self.scheduler() };
        // An operation that does not wait is done when it has been submitted: the kernel does not keep the addresses.
        scheduler.operations.with_ring(|operations| {
            operations.push(&entry)?;
            operations.give();
            // Otherwise the kernel has not got so far.
            if operations.ring.pending() > 0 && operations.ring.take_back() { None } else { Some(()) }
        })?;
        scheduler.reap();
        if scheduler.operations.at_once.is_none() {
            // There was no room for its completion.
            scheduler.look_at_ring();
        }
        scheduler
            .operations
            .at_once
            .take()
            .map(|completion| (completion.result(), completion.flags & ring::NONEMPTY != 0))
    }

    /// `accept4` from a blocking TCP listener of which a hook has seen the birth, in which there is nothing yet. EAGAIN: the
    /// deadline came. `None`: not by the ring.
    ///
    /// # Safety
    /// As accept4(2); the address can be lent.
    pub unsafe fn accept(
        self,
        fd: c_int,
        address: *mut sockaddr,
        length: *mut socklen_t,
        flags: c_int,
        deadline: Instant,
    ) -> Option<Result<usize>> {
        if !self.watches_alone(fd) {
            return None;
        }
        let me = self.coroutine();
        let generation = descriptors::get(fd).generation;
        let entry = || Entry { ioprio: ring::ACCEPT_POLL_FIRST, ..entry(fd, address, length, flags) };
        loop {
            // SAFETY: the running coroutine is valid; the caller's promise.
            let end = unsafe {
                (*me).loose |= loose::ACCEPTS;
                let end = self.operate(fd, deadline, Begin::WithNextTurn, entry);
                (*me).loose &= !loose::ACCEPTS;
                end
            };
            match end? {
                End::Cancelled if clock::now() < deadline => {}
                End::Cancelled => return Some(Err(Errno(libc::EAGAIN))),
                End::Result(Err(Errno(libc::EAGAIN))) => return self.otherwise(fd, generation),
                End::Result(result) => {
                    // SAFETY: as above; the scheduler's watches live as long as it does.
                    unsafe { (*(*self.scheduler()).watches.get(fd)).dry = result.is_ok() && !(*me).more };
                    return Some(result);
                }
            }
        }
    }

    /// Whether no other thread has waited for `fd`. The kernel tells only one of all rings that accept from a listener of a
    /// connection, be its thread busy or not; but every epoll set.
    pub(super) fn watches_alone(self, fd: c_int) -> bool {
        let generation = descriptors::get(fd).generation;
        // SAFETY: the scheduler is valid while its coroutine runs; its watches live as long as it does.
        unsafe {
            match (*self.scheduler()).operated(fd, generation) {
                Some(Ok(watch)) => {
                    let ours = 1 + u32::from((*watch).is_registered(&Snapshot::of_generation(generation)));
                    descriptors::watchers(fd) <= ours
                }
                _ => false,
            }
        }
    }
}

fn entry(fd: c_int, address: *mut sockaddr, length: *mut socklen_t, flags: c_int) -> Entry {
    Entry {
        opcode: ring::ACCEPT,
        fd,
        offset: length as u64,
        address: address as u64,
        call_flags: flags as u32,
        ..Entry::default()
    }
}

impl Scheduler {
    /// In a forked child: closes what the parent's ring has accepted and nobody has looked at. It is in both processes, and
    /// the parent's coroutine gets it.
    pub(super) fn lose_accepted(&mut self) {
        if !self.operations.ring.is_open() {
            return;
        }
        while let Some(completion) = self.operations.ring.next() {
            if completion.data & KIND == COROUTINE {
                // SAFETY: a coroutine stays while it is in the ring.
                unsafe {
                    let coroutine = completion.data as *mut Coroutine;
                    (*coroutine).waiter.result = completion.result;
                    refuse(coroutine);
                }
            }
        }
    }
}

/// Closes a connection that was accepted for a coroutine that will not run again.
///
/// # Safety
/// It is a live one that does not run, and is in the ring no more.
#[inline(always)]
pub(in crate::scheduler) unsafe fn refuse(coroutine: *mut Coroutine) {
    // SAFETY: the caller's promise; a descriptor that nobody knows.
    unsafe {
        if (*coroutine).loose & loose::ACCEPTS != 0 && (*coroutine).waiter.result >= 0 {
            syscall_raw!(SYS_close, (*coroutine).waiter.result);
        }
    }
}
