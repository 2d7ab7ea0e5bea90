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

use core::mem::offset_of;
use core::ops::{Deref, DerefMut};
use core::ptr;

use super::{Current, Scheduler, helpers, registry};
use crate::coroutine::{Coroutine, Wake};
use crate::list::{Link, List};
use crate::sys::clock::Instant;
use crate::sys::{Errno, Result, errno, memory};

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

#[derive(Clone, Copy, PartialEq)]
pub(super) enum State {
    Queued,
    Running,
    Finished,
    Delivered,
    Lost,
}

/// What helpers and schedulers know of a job; the work lies behind.
pub struct Job {
    /// In the queue.
    link: Link,
    /// Among its scheduler's jobs; touched by its thread only.
    sibling: Link,
    /// In the inbox.
    next: *mut Job,
    /// Null: abandoned.
    scheduler: *mut Scheduler,
    coroutine: *mut Coroutine,
    state: State,
    borrows: bool,
    kind: Kind,
    /// Of how many forks the process that runs it knew.
    forks: u32,
    errno: Errno,
    run: unsafe fn(*mut Job),
    free: unsafe fn(*mut Job),
}

#[repr(C)]
struct Whole<W> {
    job: Job,
    work: W,
}

unsafe fn run_whole<W: Work>(job: *mut Job) {
    // SAFETY: a job that was made for this kind of work, and nobody else touches the work now.
    unsafe { (*job.cast::<Whole<W>>()).work.run() }
}

unsafe fn free_whole<W: Work>(job: *mut Job) {
    // SAFETY: a job that was made for this kind of work, by `memory`, and nobody else knows it any more.
    unsafe {
        ptr::drop_in_place(&raw mut (*job.cast::<Whole<W>>()).work);
        memory::free(job);
    }
}

impl Job {
    /// Its link in the queue.
    pub(super) fn link(job: *mut Job) -> *mut Link {
        // SAFETY: an address only.
        unsafe { &raw mut (*job).link }
    }

    /// The job with that link in the queue.
    pub(super) unsafe fn of_link(link: *mut Link) -> *mut Job {
        // SAFETY: the link is a job's.
        unsafe { link.byte_sub(offset_of!(Job, link)).cast() }
    }

    unsafe fn of_sibling(link: *mut Link) -> *mut Job {
        // SAFETY: the link is a job's.
        unsafe { link.byte_sub(offset_of!(Job, sibling)).cast() }
    }

    /// Who does it.
    pub(super) unsafe fn kind(job: *mut Job) -> Kind {
        // SAFETY: the job is valid; this does not change.
        unsafe { (*job).kind }
    }

    /// Of how many forks the process that runs it knew.
    pub(super) unsafe fn forks(job: *mut Job) -> u32 {
        // SAFETY: the job is valid; this does not change while it runs.
        unsafe { (*job).forks }
    }
}

/// Finished jobs of a scheduler, oldest first. Zeroed memory is none.
pub(super) struct Finished {
    first: *mut Job,
    last: *mut Job,
}

impl Finished {
    unsafe fn push(&mut self, job: *mut Job) {
        // SAFETY: the jobs in the chain are valid.
        unsafe {
            (*job).next = ptr::null_mut();
            if self.first.is_null() {
                self.first = job;
            } else {
                (*self.last).next = job;
            }
            self.last = job;
        }
    }
}

/// A helper has taken the job.
///
/// # Safety
/// Under the registry's lock; the job was queued.
pub(super) unsafe fn begun(job: *mut Job) {
    // SAFETY: the caller's promise.
    unsafe {
        (*job).state = State::Running;
        (*job).forks = helpers::forks();
    }
}

/// Does the work.
///
/// # Safety
/// The calling helper has taken the job.
pub(super) unsafe fn run(job: *mut Job) {
    // SAFETY: the caller's promise: while it runs, nobody else touches these fields.
    unsafe {
        errno::set((*job).errno);
        ((*job).run)(job);
        (*job).errno = errno::get();
    }
}

/// The work is done: tells the coroutine. Returns the job when nobody else will free it.
///
/// # Safety
/// Under the registry's lock; the calling helper has run the job.
pub(super) unsafe fn finished(job: *mut Job) -> *mut Job {
    // SAFETY: the caller's promise. A job that was not abandoned has a scheduler that is there: it abandons its jobs, under
    // this lock, before it goes.
    unsafe {
        (*job).state = State::Finished;
        if (*job).scheduler.is_null() {
            return job;
        }
        registry::post((*job).scheduler, |inbox| inbox.add_finished(|finished| finished.push(job)));
        if (*job).borrows {
            helpers::tell_finished();
        }
    }
    ptr::null_mut()
}

/// Frees a job, if it is one.
///
/// # Safety
/// Null, or nobody else knows it.
pub(super) unsafe fn free(job: *mut Job) {
    if !job.is_null() {
        // SAFETY: the caller's promise.
        unsafe { ((*job).free)(job) };
    }
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
        const { assert!(align_of::<Whole<W>>() <= 16 && memoffset::offset_of!(Whole<W>, job) == 0) };
        let whole = memory::zeroed::<Whole<W>>()?.as_ptr();
        let job: *mut Job = whole.cast();
        // SAFETY: fresh memory, and ours until it is queued.
        unsafe {
            (*job).state = State::Delivered;
            (*job).borrows = W::BORROWS;
            (*job).kind = W::KIND;
            (*job).errno = errno::get();
            (&raw mut (*job).run).write(run_whole::<W>);
            (&raw mut (*job).free).write(free_whole::<W>);
            (&raw mut (*whole).work).write(work);
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

impl Scheduler {
    /// Gives up a job of one of its coroutines, and says where it was. Null is none.
    ///
    /// # Safety
    /// Nobody uses the job after this.
    pub(super) unsafe fn abandon(&mut self, job: *mut Job) -> State {
        if job.is_null() {
            return State::Delivered;
        }
        // SAFETY: the caller's promise; under the lock.
        unsafe {
            Link::unlink(&raw mut (*job).sibling);
            let (state, unwanted) = registry::locked(|| {
                let state = (*job).state;
                if state == State::Queued {
                    helpers::withdraw(job);
                }
                if (*job).borrows {
                    helpers::wait_finished(&|| (*job).state == State::Running);
                }
                (*job).scheduler = ptr::null_mut();
                // A helper has the one, and the inbox the other: they will free it.
                (state, !matches!((*job).state, State::Running | State::Finished))
            });
            if unwanted {
                free(job);
            }
            state
        }
    }

    /// Wakes the coroutines whose jobs have ended.
    pub(super) fn read_finished(&mut self) {
        // SAFETY: under the lock; taken jobs are this thread's. Those that were not abandoned are of live coroutines.
        unsafe {
            let mut job = registry::locked(|| {
                self.inbox.take_finished(|finished| core::mem::replace(&mut finished.first, ptr::null_mut()))
            });
            while !job.is_null() {
                let next = (*job).next;
                if (*job).scheduler.is_null() {
                    free(job);
                } else {
                    (*job).state = State::Delivered;
                    self.unpark((*job).coroutine, Wake::Ready);
                }
                job = next;
            }
        }
    }

    /// In a forked child: what no helper will do any more is lost, and who waits for it is woken.
    pub(super) fn lose_jobs(&mut self) {
        self.read_finished();
        // SAFETY: the jobs in the list are of live coroutines; no other thread knows them.
        unsafe {
            let jobs = &raw mut self.jobs;
            let mut link = (*jobs).first();
            while !link.is_null() {
                let job = Job::of_sibling(link);
                if matches!((*job).state, State::Queued | State::Running) {
                    (*job).state = State::Lost;
                    self.unpark((*job).coroutine, Wake::Ready);
                }
                link = (*jobs).after(link);
            }
        }
    }
}

/// For the inbox of a scheduler that goes: all its jobs have been abandoned.
///
/// # Safety
/// No other thread knows the inbox.
pub(super) unsafe fn free_all(finished: &mut Finished) {
    let mut job = core::mem::replace(&mut finished.first, ptr::null_mut());
    while !job.is_null() {
        // SAFETY: the caller's promise.
        unsafe {
            let next = (*job).next;
            free(job);
            job = next;
        }
    }
}
