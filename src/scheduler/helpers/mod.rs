// SPDX-License-Identifier: MIT OR Apache-2.0
//! Threads that run what would make the scheduler's thread wait: jobs, in the order in which they come. Started on
//! demand, never more than the limit, and each ends when it has had nothing to do for a while. Each kind of work has threads
//! of its own: a dead name server does not stop the files, nor a long calculation the names.
//!
//! To the program a helper is not there: it has no scheduler, so that hooks are libc's own; signals are blocked in it, but
//! for those that tell of a mistake of the running code; it is detached, for a process may end at any time. A forked child
//! has none and starts its own.
//!
//! All of this is under the registry's lock. `offload` says what a job is.

use core::cell::UnsafeCell;
use core::ffi::c_int;
use core::mem;

use libc::pthread_cond_t;

use super::offload::{Job, Kind};
use super::registry;
use crate::list::{Link, List};
use crate::sys::clock::{self, Instant, MS, NEVER};
use crate::sys::{Errno, Result, environment};

mod thread;

pub use thread::block_signals;
use thread::start;

/// How many there are at most, unless the program says otherwise; and the most that it may say.
const THREADS: u32 = 16;
const MOST_THREADS: c_int = 1024;
/// How long one waits for a job before it ends.
const IDLE: Instant = 10_000 * MS;

/// How long a look-up that has begun may hold locks of libc's, for reading addresses and settings of this machine. After
/// that it waits for a server, without any.
const HOLDS_LOCKS: Instant = 20 * MS;

/// The helpers for one kind of work.
struct Pool {
    /// Jobs that nobody has begun.
    queue: List,
    queued: u32,
    threads: u32,
    /// How many threads wait for a job, and those that were woken and have not taken one yet.
    idle: u32,
    /// Jobs that have begun and not ended, and when the last one began.
    running: u32,
    last_begun: Instant,
    /// A job has come, or the limits have changed, or a fork is over.
    more: pthread_cond_t,
}

struct Helpers {
    pools: [Pool; Kind::COUNT],
    /// For each kind.
    limit: u32,
    idle_time: Instant,
    /// A job has ended for which somebody blocks.
    finished: pthread_cond_t,
    /// How often the process has forked since its ancestor's beginning: a thread that ran a job then is not in the child.
    forks: u32,
    /// How many threads are about to fork: no look-up begins.
    forking: u32,
    ready: bool,
}

struct Shared(UnsafeCell<Helpers>);

// SAFETY: touched under the registry's lock only.
unsafe impl Sync for Shared {}

// SAFETY: plain data, valid when zero; `helpers` makes it ready.
static HELPERS: Shared = Shared(UnsafeCell::new(unsafe { mem::zeroed() }));

/// The helpers, with the limits that the environment sets until the program does.
///
/// # Safety
/// Under the registry's lock.
unsafe fn helpers() -> Result<*mut Helpers> {
    let helpers = HELPERS.0.get();
    // SAFETY: the caller's promise.
    unsafe {
        if !(*helpers).ready {
            thread::prepare()?;
            make_anew(helpers);
            let threads = environment::number(c"DYCO_OFFLOAD_THREADS", 1, MOST_THREADS);
            (*helpers).limit = threads.map_or(THREADS, |threads| threads as u32);
            let idle = environment::number(c"DYCO_OFFLOAD_IDLE", -1, c_int::MAX);
            (*helpers).idle_time = idle.map_or(IDLE, idle_time);
            (*helpers).ready = true;
        }
    }
    Ok(helpers)
}

/// No jobs, no threads.
///
/// # Safety
/// Under the registry's lock, and nobody waits on a condition.
unsafe fn make_anew(helpers: *mut Helpers) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut attributes = mem::zeroed();
        libc::pthread_condattr_init(&mut attributes);
        libc::pthread_condattr_setclock(&mut attributes, libc::CLOCK_MONOTONIC);
        for kind in Kind::ALL {
            let pool = pool(kind);
            List::init(&raw mut (*pool).queue);
            ((*pool).queued, (*pool).threads, (*pool).idle, (*pool).running) = (0, 0, 0, 0);
            libc::pthread_cond_init(&raw mut (*pool).more, &attributes);
        }
        (*helpers).forking = 0;
        libc::pthread_cond_init(&raw mut (*helpers).finished, &attributes);
        libc::pthread_condattr_destroy(&mut attributes);
    }
}

/// The pool of that kind.
fn pool(kind: Kind) -> *mut Pool {
    // SAFETY: an address only.
    unsafe { &raw mut (*HELPERS.0.get()).pools[kind as usize] }
}

fn idle_time(ms: c_int) -> Instant {
    if ms < 0 { NEVER } else { ms as Instant * MS }
}

/// How many helpers of each kind there may be, and for how many milliseconds one waits for a job (negative: for ever). EINVAL.
pub fn set_limits(threads: c_int, idle_ms: c_int) -> Result<()> {
    if !(1..=MOST_THREADS).contains(&threads) {
        return Err(Errno(libc::EINVAL));
    }
    // SAFETY: under the lock.
    registry::locked(|| unsafe {
        let helpers = helpers()?;
        (*helpers).limit = threads as u32;
        (*helpers).idle_time = idle_time(idle_ms);
        for kind in Kind::ALL {
            let pool = pool(kind);
            libc::pthread_cond_broadcast(&raw mut (*pool).more);
            // A higher limit is for those, too, that wait already.
            while (*pool).queued > (*pool).idle && (*pool).threads < (*helpers).limit && start(kind).is_ok() {}
        }
        Ok(())
    })
}

/// How many helpers of each kind there may be.
#[cfg(feature = "hook")]
pub fn limit() -> Result<u32> {
    // SAFETY: under the lock.
    registry::locked(|| unsafe { helpers().map(|helpers| (*helpers).limit) })
}

/// Puts a job at the end of the queue and sees to it that somebody will run it. EAGAIN: there are no threads to be had.
///
/// # Safety
/// Under the registry's lock: signals are blocked, and so they are in a helper. The job is in no list.
pub(super) unsafe fn queue(job: *mut Job) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let helpers = helpers()?;
        let kind = Job::kind(job);
        let pool = pool(kind);
        if (*pool).queued >= (*pool).idle && (*pool).threads < (*helpers).limit {
            // With others at work the job does not depend on a new one.
            if let Err(errno) = start(kind)
                && (*pool).threads == 0
            {
                return Err(errno);
            }
        }
        List::push_back(&raw mut (*pool).queue, Job::link(job));
        (*pool).queued += 1;
        if (*pool).idle > 0 {
            libc::pthread_cond_signal(&raw mut (*pool).more);
        }
        Ok(())
    }
}

/// Takes a job off the queue again.
///
/// # Safety
/// Under the registry's lock; the job is queued.
pub(super) unsafe fn withdraw(job: *mut Job) {
    // SAFETY: the caller's promise.
    unsafe {
        Link::unlink(Job::link(job));
        (*pool(Job::kind(job))).queued -= 1;
    }
}

/// Blocks the thread until [`tell_finished`] was called for a job because of which `runs` was true.
///
/// # Safety
/// Under the registry's lock, which is free meanwhile; jobs exist.
pub(super) unsafe fn wait_finished(runs: &dyn Fn() -> bool) {
    while runs() {
        // SAFETY: the caller's promise.
        unsafe { registry::wait_on(&raw mut (*HELPERS.0.get()).finished, NEVER) };
    }
}

/// Wakes who is in [`wait_finished`].
///
/// # Safety
/// Under the registry's lock; jobs exist.
pub(super) unsafe fn tell_finished() {
    // SAFETY: the caller's promise.
    unsafe { libc::pthread_cond_broadcast(&raw mut (*HELPERS.0.get()).finished) };
}

/// How often the process has forked.
///
/// # Safety
/// Under the registry's lock.
pub(super) unsafe fn forks() -> u32 {
    // SAFETY: the caller's promise.
    unsafe { (*HELPERS.0.get()).forks }
}

/// Before a fork: waits until no look-up holds locks of libc's, which in the child nobody would release. None begins until
/// [`after_fork`].
///
/// # Safety
/// Under the registry's lock, which is free meanwhile.
pub(super) unsafe fn before_fork() {
    let (helpers, names) = (HELPERS.0.get(), pool(Kind::Names));
    // SAFETY: the caller's promise.
    unsafe {
        if !(*helpers).ready {
            return;
        }
        (*helpers).forking += 1;
        loop {
            let (now, until) = (clock::now(), (*names).last_begun + HOLDS_LOCKS);
            if (*names).running == 0 || now >= until {
                break;
            }
            registry::wait_on(&raw mut (*helpers).finished, until.min(now + MS));
        }
    }
}

/// After it, in the parent.
///
/// # Safety
/// Under the registry's lock; [`before_fork`] came before.
pub(super) unsafe fn after_fork() {
    let helpers = HELPERS.0.get();
    // SAFETY: the caller's promise.
    unsafe {
        // 0: there were no helpers, nor have they been made since, for the lock was held.
        if (*helpers).forking > 0 {
            (*helpers).forking -= 1;
            libc::pthread_cond_broadcast(&raw mut (*pool(Kind::Names)).more);
        }
    }
}

/// In a forked child: its helpers and their jobs are the parent's. Memory of other threads' jobs stays, as all of theirs.
///
/// # Safety
/// Under the registry's lock.
pub(super) unsafe fn forked() {
    let helpers = HELPERS.0.get();
    // SAFETY: the caller's promise; who waited on the conditions is not in the child.
    unsafe {
        (*helpers).forks = (*helpers).forks.wrapping_add(1);
        if (*helpers).ready {
            make_anew(helpers);
        }
    }
}
