// SPDX-License-Identifier: MIT OR Apache-2.0
//! One operation, from its beginning to its end.

use libc::c_int;

use super::{CLOSED, LEFT};
use crate::poller::descriptors;
use crate::scheduler::watch::{Watch, life_of};
use crate::scheduler::{Current, Scheduler};
use crate::sys::clock::Instant;
use crate::sys::ring::Entry;
use crate::sys::syscall::check;
use crate::sys::{Errno, Result};

impl Current {
    /// Carries out an operation on a descriptor; the coroutine parks until it has ended, and at the deadline it is cancelled.
    /// EBADF: the descriptor was closed meanwhile. `None`: there is no ring, or it cannot be used now. Inlined, and in three
    /// pieces: the frames of one that is parked must not have room for an entry.
    ///
    /// # Safety
    /// What the entry points to stays until the operation ends, or until it is begun if the kernel copies it.
    #[inline(always)]
    pub(super) unsafe fn operate(
        self,
        fd: c_int,
        deadline: Instant,
        begin: Begin,
        entry: impl FnOnce() -> Entry,
    ) -> Option<End> {
        // SAFETY: the caller's promise.
        let begun = match unsafe { self.begin(fd, begin, entry) }? {
            Ok(begun) => begun,
            Err(error) => return Some(End::Result(Err(error))),
        };
        if begun.waits {
            self.park_for_outside(deadline);
        }
        self.ended(fd, begun.generation)
    }

    /// What there is to say of an operation that is to be made otherwise: nothing (`None`), unless the number means another
    /// file than when it had that generation, and the operation was begun.
    pub(super) fn otherwise(self, fd: c_int, generation: u32) -> Option<Result<usize>> {
        (descriptors::get(fd).generation != generation).then_some(Err(Errno(libc::EBADF)))
    }

    /// # Safety
    /// As of [`Current::operate`].
    #[inline(never)]
    unsafe fn begin(self, fd: c_int, begin: Begin, entry: impl FnOnce() -> Entry) -> Option<Result<Begun>> {
        if self.is_aside() {
            return None;
        }
        // SAFETY: the caller's promise. The scheduler and its running coroutine are valid; watches live as long as the scheduler.
        unsafe {
            let scheduler = &mut *self.scheduler();
            let generation = descriptors::get(fd).generation;
            scheduler.open_poller().ok()?;
            let watch = match scheduler.operated(fd, generation)? {
                Ok(watch) => watch,
                Err(error) => return Some(Err(error)),
            };
            if !scheduler.begin_operation(watch, generation, &mut entry(), begin) {
                return None;
            }
            self.prefetch_next();
            Some(Ok(Begun { generation, waits: begin != Begin::Now || scheduler.begin_now()? }))
        }
    }

    #[inline(never)]
    fn ended(self, fd: c_int, generation: u32) -> Option<End> {
        // SAFETY: the running coroutine is valid.
        let waiter = unsafe { &(*self.coroutine()).waiter };
        match check(waiter.result as isize) {
            Err(Errno(libc::ECANCELED | libc::EINTR | libc::EBADF)) if waiter.events & CLOSED != 0 => {
                Some(End::Result(Err(Errno(libc::EBADF))))
            }
            Err(Errno(libc::ECANCELED | libc::EINTR | libc::EBADF))
                if descriptors::get(fd).generation != generation =>
            {
                // What it means to whom it is left is for the kernel to say; else another file may have it by now.
                if waiter.events & LEFT != 0 { None } else { Some(End::Result(Err(Errno(libc::EBADF)))) }
            }
            Err(Errno(libc::ECANCELED | libc::EINTR)) => Some(End::Cancelled),
            result => Some(End::Result(result)),
        }
    }
}

impl Scheduler {
    /// The watch of a descriptor; who closes that tells us from now on. EBADF: it was closed meanwhile. `None`: no memory.
    #[inline]
    pub(super) fn operated(&mut self, fd: c_int, generation: u32) -> Option<Result<*mut Watch>> {
        let watch = self.watches.entry(fd).ok()?;
        // SAFETY: watches live as long as the scheduler.
        unsafe {
            if !(*watch).is_operated(generation) {
                // Those of the number's last life are found by its generation.
                self.settle();
                (*watch).operated = life_of(generation);
                (*watch).dry = false;
                descriptors::watched(fd);
                if descriptors::get(fd).generation != generation {
                    (*watch).operated = 0;
                    return Some(Err(Errno(libc::EBADF)));
                }
            }
        }
        Some(Ok(watch))
    }
}

/// When the kernel takes an entry.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Begin {
    /// When the loop turns.
    WithNextTurn,
    /// The same, with a copy of so many bytes that it points to.
    Copied(usize),
    /// Before the coroutine parks. It does not park when that was all.
    Now,
}

/// An operation under way.
struct Begun {
    generation: u32,
    /// Its end is still to come.
    waits: bool,
}

/// How an operation ended.
pub(super) enum End {
    Result(Result<usize>),
    /// By its deadline, or for no reason of its own.
    Cancelled,
}
