// SPDX-License-Identifier: MIT OR Apache-2.0
//! Work that a helper thread does while only the coroutine waits.
//!
//! ```text
//!   Queued ──► Running ──► Finished ──► Delivered     Finished: in the owner's inbox; Delivered: the owner has been woken
//!      └──────────┴──► Lost                           Lost: in a forked child, which has no helper that runs it
//! ```
//!
//! A job lies on the heap and owns all that its helper touches: nothing of it is in a coroutine's frame. It belongs to the
//! coroutine's extras. A coroutine that ends, or does not want to wait any longer, *abandons* it: one that has not begun is
//! taken back, one that runs goes on to its end and is then freed by its helper. Work that uses memory of the coroutine
//! itself cannot be left alone: who abandons it blocks until it has ended.
//!
//! The states, and who owns a job, are changed under the registry's lock. So a helper that tells a scheduler knows that it
//! is there.

use core::ops::{Deref, DerefMut};
use core::ptr;

use super::{Current, helpers, registry};
use crate::coroutine::Wake;
use crate::list::{Link, List};
use crate::sys::clock::Instant;
use crate::sys::{Errno, Result, errno};

mod job;

pub(super) use job::{Finished, Job, begun, finished, free, free_all, run};
use job::{State, Whole};

/// Which helpers do it: a crowd of one kind does not hold up another.
#[derive(Clone, Copy)]
#[repr(u8)]
#[cfg_attr(not(feature = "hook"), allow(dead_code))]
pub enum Kind {
    /// The program's functions, and what else may take any time.
    Functions,
    /// Looking names up.
    Names,
    /// Calls on files.
    Files,
    /// Waiting for file locks.
    Locks,
}

impl Kind {
    pub(super) const COUNT: usize = 4;
    pub(super) const ALL: [Kind; Kind::COUNT] = [Kind::Functions, Kind::Names, Kind::Files, Kind::Locks];
}

/// What a helper can do. It is dropped, and with it what it owns, by whoever has done with it last.
pub trait Work {
    /// Which helpers do it.
    const KIND: Kind;
    /// It uses memory that the coroutine lends: whoever gives it up waits for its end.
    const BORROWS: bool = false;

    /// Does it, on a helper's stack. `errno` is the caller's, before and after.
    fn run(&mut self);
}

/// Work that is done, with its results; freed when this is dropped, or with the coroutine.
pub struct Done<W: Work> {
    whole: *mut Whole<W>,
    current: Current,
}

impl<W: Work> Deref for Done<W> {
    type Target = W;

    fn deref(&self) -> &W {
        // SAFETY: done, and the caller's alone.
        unsafe { &(*self.whole).work }
    }
}

impl<W: Work> DerefMut for Done<W> {
    fn deref_mut(&mut self) -> &mut W {
        // SAFETY: as above.
        unsafe { &mut (*self.whole).work }
    }
}

impl<W: Work> Drop for Done<W> {
    fn drop(&mut self) {
        self.current.end_job();
    }
}

impl Current {
    /// Whether the thread wants file calls to wait in their coroutine only.
    #[inline]
    pub fn wants_files(self) -> bool {
        // SAFETY: the scheduler is valid while its coroutine runs.
        unsafe { (*self.scheduler()).files }
    }

    /// Whether memory at this address is a shared stack's, not the caller's while it waits: how much there is.
    pub fn room_in_slot(self, address: *const u8) -> Option<usize> {
        // SAFETY: as above.
        unsafe { (*self.scheduler()).slots.room_at(address) }
    }

    /// Has a helper do the work while only the calling coroutine waits, and returns it with its results; `errno` is what
    /// the work has left. Only where [`Current::can_offload`].
    ///
    /// ENOMEM, EMFILE, ENFILE; EAGAIN: there is no helper, or none had begun by the deadline: in these cases the work was
    /// not begun. ETIMEDOUT: it goes on after the deadline. ECANCELED: the process is a child forked in the meantime.
    pub fn offload<W: Work>(self, work: W, deadline: Instant) -> Result<Done<W>> {
        let whole = job::make(work)?;
        let job: *mut Job = whole.cast();
        // SAFETY: the job is ours until it is queued.
        unsafe {
            if let Err(error) = self.queue(job) {
                free(job);
                return Err(error);
            }
        }
        let woken = self.park_for_outside(deadline);
        // SAFETY: the job is the calling coroutine's.
        unsafe {
            if woken == Wake::TimedOut {
                self.end_wait(job)?;
            }
            if (*job).state == State::Lost {
                self.end_job();
                return Err(Errno(libc::ECANCELED));
            }
            errno::set((*job).errno);
        }
        Ok(Done { whole, current: self })
    }

    /// Whether the caller may hand work over. Not in a signal handler on a stack of its own, nor when it has interrupted
    /// such a call.
    pub fn can_offload(self) -> bool {
        // SAFETY: the extras are null or valid.
        !self.is_aside() && unsafe { self.extras().as_ref() }.is_none_or(|extras| extras.job.is_null())
    }

    /// # Safety
    /// The job is new, and the calling coroutine has none.
    unsafe fn queue(self, job: *mut Job) -> Result<()> {
        let extras = self.make_extras()?;
        let scheduler = self.scheduler();
        // SAFETY: the scheduler, the running coroutine and its extras are valid; under the lock.
        unsafe {
            (*scheduler).open_poller()?;
            ((*job).scheduler, (*job).coroutine) = (scheduler, self.coroutine());
            (*job).state = State::Queued;
            // Before it is queued: a signal handler must see it.
            (*extras).job = job;
            List::push_back(&raw mut (*scheduler).jobs, &raw mut (*job).sibling);
            registry::locked(|| helpers::queue(job)).inspect_err(|_| {
                Link::unlink(&raw mut (*job).sibling);
                (*extras).job = ptr::null_mut();
            })
        }
    }

    /// The deadline came. Unless the job has ended in the meantime, gives it up: EAGAIN or ETIMEDOUT.
    ///
    /// # Safety
    /// The job is the calling coroutine's.
    unsafe fn end_wait(self, job: *mut Job) -> Result<()> {
        // SAFETY: the caller's promise; this thread's scheduler is valid.
        unsafe {
            let error = match registry::locked(|| (*job).state) {
                State::Queued => Errno(libc::EAGAIN),
                State::Running => Errno(libc::ETIMEDOUT),
                State::Finished => {
                    (*self.scheduler()).read_finished();
                    return Ok(());
                }
                State::Delivered | State::Lost => return Ok(()),
            };
            // Begun or finished since: what was seen is what the caller is told, but for the one thing that matters.
            if self.end_job() == State::Queued { Err(error) } else { Err(Errno(libc::ETIMEDOUT)) }
        }
    }

    /// Ends the calling coroutine's job, wherever it is; returns where that was.
    fn end_job(self) -> State {
        let extras = self.extras();
        // SAFETY: who has a job has extras; this thread's scheduler is valid.
        unsafe {
            let job = core::mem::replace(&mut (*extras).job, ptr::null_mut());
            (*self.scheduler()).abandon(job)
        }
    }
}
