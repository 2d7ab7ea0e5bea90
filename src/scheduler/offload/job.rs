// SPDX-License-Identifier: MIT OR Apache-2.0
//! Jobs: their states, and who owns one.

use core::mem::offset_of;
use core::ptr;

use super::{Kind, Work};
use crate::coroutine::{Coroutine, Wake};
use crate::list::Link;
use crate::scheduler::{Scheduler, helpers, registry};
use crate::sys::{Errno, Result, errno, memory};

#[derive(Clone, Copy, PartialEq)]
pub(in crate::scheduler) enum State {
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
    pub(super) sibling: Link,
    /// In the inbox.
    next: *mut Job,
    /// Null: abandoned.
    pub(super) scheduler: *mut Scheduler,
    pub(super) coroutine: *mut Coroutine,
    pub(super) state: State,
    borrows: bool,
    kind: Kind,
    /// Of how many forks the process that runs it knew.
    forks: u32,
    pub(super) errno: Errno,
    run: unsafe fn(*mut Job),
    free: unsafe fn(*mut Job),
}

#[repr(C)]
pub(super) struct Whole<W> {
    job: Job,
    pub(super) work: W,
}

/// Makes a job of the work, which nobody knows yet.
pub(super) fn make<W: Work>(work: W) -> Result<*mut Whole<W>> {
    const { assert!(align_of::<Whole<W>>() <= 16 && memoffset::offset_of!(Whole<W>, job) == 0) };
    let whole = memory::zeroed::<Whole<W>>()?.as_ptr();
    let job: *mut Job = whole.cast();
    // SAFETY: fresh memory, of which what is not written is valid when zero.
    unsafe {
        (*job).state = State::Delivered;
        (*job).borrows = W::BORROWS;
        (*job).kind = W::KIND;
        (*job).errno = errno::get();
        (&raw mut (*job).run).write(run_whole::<W>);
        (&raw mut (*job).free).write(free_whole::<W>);
        (&raw mut (*whole).work).write(work);
    }
    Ok(whole)
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
    pub(in crate::scheduler) fn link(job: *mut Job) -> *mut Link {
        // SAFETY: an address only.
        unsafe { &raw mut (*job).link }
    }

    /// The job with that link in the queue.
    ///
    /// # Safety
    /// The link is a job's.
    pub(in crate::scheduler) unsafe fn of_link(link: *mut Link) -> *mut Job {
        // SAFETY: the caller's promise.
        unsafe { link.byte_sub(offset_of!(Job, link)).cast() }
    }

    /// The job with that link among a scheduler's.
    ///
    /// # Safety
    /// The link is a job's.
    unsafe fn of_sibling(link: *mut Link) -> *mut Job {
        // SAFETY: the caller's promise.
        unsafe { link.byte_sub(offset_of!(Job, sibling)).cast() }
    }

    /// Who does it.
    ///
    /// # Safety
    /// The job is valid.
    pub(in crate::scheduler) unsafe fn kind(job: *mut Job) -> Kind {
        // SAFETY: the caller's promise; this does not change.
        unsafe { (*job).kind }
    }

    /// Of how many forks the process that runs it knew.
    ///
    /// # Safety
    /// The job is valid.
    pub(in crate::scheduler) unsafe fn forks(job: *mut Job) -> u32 {
        // SAFETY: the caller's promise; this does not change while it runs.
        unsafe { (*job).forks }
    }
}

/// Finished jobs of a scheduler, oldest first. Zeroed memory is none.
pub(in crate::scheduler) struct Finished {
    first: *mut Job,
    last: *mut Job,
}

impl Finished {
    /// # Safety
    /// The job is valid until it is taken out again, and in no other chain.
    unsafe fn push(&mut self, job: *mut Job) {
        // SAFETY: the caller's promise, also of those that are in the chain.
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
pub(in crate::scheduler) unsafe fn begun(job: *mut Job) {
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
pub(in crate::scheduler) unsafe fn run(job: *mut Job) {
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
pub(in crate::scheduler) unsafe fn finished(job: *mut Job) -> *mut Job {
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
pub(in crate::scheduler) unsafe fn free(job: *mut Job) {
    if !job.is_null() {
        // SAFETY: the caller's promise.
        unsafe { ((*job).free)(job) };
    }
}

impl Scheduler {
    /// Gives up a job of one of its coroutines, and says where it was. Null is none.
    ///
    /// # Safety
    /// Nobody uses the job after this.
    pub(in crate::scheduler) unsafe fn abandon(&mut self, job: *mut Job) -> State {
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
    pub(in crate::scheduler) fn read_finished(&mut self) {
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
    pub(in crate::scheduler) fn lose_jobs(&mut self) {
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
pub(in crate::scheduler) unsafe fn free_all(finished: &mut Finished) {
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
