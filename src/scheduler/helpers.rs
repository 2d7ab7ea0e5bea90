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
use core::ffi::{CStr, c_int, c_void};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::{mem, ptr};

use libc::{pthread_cond_t, timespec};

use super::offload::{self, Job, Kind};
use super::registry;
use crate::list::{Link, List};
use crate::sys::clock::{self, Instant, MS, NEVER};
use crate::sys::{Errno, Result, next};
use crate::syscall_raw;

/// How many there are at most, unless the program says otherwise; and the most that it may say.
const THREADS: u32 = 16;
const MOST_THREADS: c_int = 1024;
/// How long one waits for a job before it ends.
const IDLE: Instant = 10_000 * MS;

/// Room for libc's resolver with the modules of nsswitch, and for functions of the program's, besides what libc itself
/// needs. Pages that are never touched cost nothing.
const STACK: usize = 256 << 10;

/// Signals that tell of a mistake of the very code that runs: blocked, they would end the process without its handler.
const MISTAKES: [c_int; 6] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS];

/// The helpers for one kind of work.
struct Pool {
    /// Jobs that nobody has begun.
    queue: List,
    queued: u32,
    threads: u32,
    /// How many threads wait for a job, and those that were woken and have not taken one yet.
    idle: u32,
    /// A job has come, or the limits have changed.
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
    ready: bool,
    /// The program's limits are known: by [`set_limits`], or by its environment.
    limited: bool,
}

struct Shared(UnsafeCell<Helpers>);

// SAFETY: touched under the registry's lock only.
unsafe impl Sync for Shared {}

// SAFETY: plain data, valid when zero; `helpers` makes it ready.
static HELPERS: Shared = Shared(UnsafeCell::new(unsafe { mem::zeroed() }));
/// The thread-specific key plus one under which a helper keeps the job that it runs; 0: none yet.
static JOB_KEY: AtomicU32 = AtomicU32::new(0);

/// # Safety
/// Under the registry's lock.
unsafe fn helpers() -> Result<*mut Helpers> {
    let helpers = HELPERS.0.get();
    // SAFETY: the caller's promise.
    unsafe {
        if !(*helpers).ready {
            if JOB_KEY.load(Relaxed) == 0 {
                let mut key = 0;
                match libc::pthread_key_create(&mut key, Some(thread_exit)) {
                    0 => JOB_KEY.store(key + 1, Relaxed),
                    errno => return Err(Errno(errno)),
                }
            }
            make_anew(helpers);
            if !(*helpers).limited {
                let threads = from_environment(c"DYCO_OFFLOAD_THREADS", 1, MOST_THREADS);
                (*helpers).limit = threads.map_or(THREADS, |threads| threads as u32);
                let idle = from_environment(c"DYCO_OFFLOAD_IDLE", -1, c_int::MAX);
                (*helpers).idle_time = idle.map_or(IDLE, idle_time);
                (*helpers).limited = true;
            }
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
            ((*pool).queued, (*pool).threads, (*pool).idle) = (0, 0, 0);
            libc::pthread_cond_init(&raw mut (*pool).more, &attributes);
        }
        libc::pthread_cond_init(&raw mut (*helpers).finished, &attributes);
        libc::pthread_condattr_destroy(&mut attributes);
    }
}

/// The pool of that kind.
fn pool(kind: Kind) -> *mut Pool {
    // SAFETY: an address only.
    unsafe { &raw mut (*HELPERS.0.get()).pools[kind as usize] }
}

/// A number from the environment, if it is one within these bounds.
pub(super) fn from_environment(name: &CStr, least: c_int, most: c_int) -> Option<c_int> {
    // SAFETY: a C string; what getenv gives is one, too, or null.
    unsafe {
        let value = libc::getenv(name.as_ptr());
        if value.is_null() || *value == 0 {
            return None;
        }
        let mut end = ptr::null_mut();
        let number = libc::strtol(value, &mut end, 10);
        (*end == 0 && (i64::from(least)..=i64::from(most)).contains(&number)).then_some(number as c_int)
    }
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

/// # Safety
/// Under the registry's lock.
unsafe fn start(kind: Kind) -> Result<()> {
    // SAFETY: the caller's promise; the attributes are valid until they are destroyed.
    unsafe {
        let mut attributes = mem::zeroed();
        libc::pthread_attr_init(&mut attributes);
        libc::pthread_attr_setdetachstate(&mut attributes, libc::PTHREAD_CREATE_DETACHED);
        libc::pthread_attr_setstacksize(&mut attributes, STACK + next::__pthread_get_minstack(&attributes));
        let mut thread = mem::zeroed();
        let life = Life { forks: forks(), kind };
        let result = libc::pthread_create(&mut thread, &attributes, help, life.pack());
        libc::pthread_attr_destroy(&mut attributes);
        if result != 0 {
            return Err(Errno(libc::EAGAIN));
        }
        (*pool(kind)).threads += 1;
        Ok(())
    }
}

/// What a helper is told of itself.
#[derive(Clone, Copy)]
struct Life {
    /// Of how many forks the process that has started it knew.
    forks: u32,
    kind: Kind,
}

impl Life {
    fn pack(self) -> *mut c_void {
        (self.forks as usize * Kind::COUNT + self.kind as usize) as *mut c_void
    }

    fn unpack(word: *mut c_void) -> Life {
        let word = word as usize;
        Life { forks: (word / Kind::COUNT) as u32, kind: Kind::ALL[word % Kind::COUNT] }
    }
}

/// A helper. Signals are blocked, as they were in who started it.
extern "C" fn help(life: *mut c_void) -> *mut c_void {
    let life = Life::unpack(life);
    let mut job: *mut Job = ptr::null_mut();
    unblock_mistakes();
    // SAFETY: the name is a C string.
    unsafe { syscall_raw!(SYS_prctl, libc::PR_SET_NAME, c"dyco-helper".as_ptr(), 0, 0, 0) };
    loop {
        // SAFETY: under the lock; a job that was taken is this thread's until it is finished.
        unsafe {
            let (unwanted, next) = registry::held(|| {
                let unwanted = if job.is_null() { job } else { end(job, life.forks) };
                // What nobody wants goes before the wait for the next one: work may own more than memory.
                (unwanted, if unwanted.is_null() { Some(take(life)) } else { None })
            });
            offload::free(unwanted);
            let Some(next) = next else {
                job = ptr::null_mut();
                continue;
            };
            if next.is_null() {
                return ptr::null_mut();
            }
            job = next;
            libc::pthread_setspecific(JOB_KEY.load(Relaxed) - 1, job.cast());
            offload::run(job);
            libc::pthread_setspecific(JOB_KEY.load(Relaxed) - 1, ptr::null());
        }
    }
}

/// Ends a job that has run; returns it when nobody else will free it.
///
/// # Safety
/// Under the registry's lock; the calling thread has run it.
unsafe fn end(job: *mut Job, forks: u32) -> *mut Job {
    // SAFETY: the caller's promise.
    unsafe {
        // A job that has forked: in the child its thread is the only one, and nobody waits for it.
        if self::forks() != forks { ptr::null_mut() } else { offload::finished(job) }
    }
}

/// The next job, after a wait for it if need be; null: the thread is to end, and does not count any more.
///
/// # Safety
/// Under the registry's lock; the calling thread is a helper.
unsafe fn take(life: Life) -> *mut Job {
    let (helpers, pool) = (HELPERS.0.get(), pool(life.kind));
    let began = clock::now();
    // SAFETY: the caller's promise; links in the queue are of jobs.
    unsafe {
        loop {
            if forks() != life.forks {
                return ptr::null_mut();
            }
            if (*pool).threads > (*helpers).limit {
                break;
            }
            let link = List::pop_front(&raw mut (*pool).queue);
            if !link.is_null() {
                (*pool).queued -= 1;
                let job = Job::of_link(link);
                offload::begun(job);
                return job;
            }
            let until = began.saturating_add((*helpers).idle_time);
            if until <= clock::now() {
                break;
            }
            (*pool).idle += 1;
            registry::wait_on(&raw mut (*pool).more, until);
            (*pool).idle -= 1;
        }
        (*pool).threads -= 1;
        ptr::null_mut()
    }
}

/// A helper's job has ended its thread (pthread_exit): it has ended itself as well.
unsafe extern "C" fn thread_exit(job: *mut c_void) {
    let job: *mut Job = job.cast();
    // SAFETY: the key holds the job that this thread runs; under the lock.
    unsafe {
        let (forks, kind) = (Job::forks(job), Job::kind(job));
        let unwanted = registry::locked(|| {
            let unwanted = end(job, forks);
            if self::forks() == forks {
                let pool = pool(kind);
                (*pool).threads -= 1;
                if (*pool).queued > (*pool).idle {
                    // Should there be none to be had, the next job tries again.
                    let _ = start(kind);
                }
            }
            unwanted
        });
        offload::free(unwanted);
    }
}

/// How often the process has forked.
///
/// # Safety
/// Under the registry's lock.
pub(super) unsafe fn forks() -> u32 {
    // SAFETY: the caller's promise.
    unsafe { (*HELPERS.0.get()).forks }
}

/// Blocks, in the calling helper, all signals but those of [`MISTAKES`].
pub fn block_signals() {
    // SAFETY: a valid set.
    unsafe {
        let mut all = mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, ptr::null_mut());
    }
    unblock_mistakes();
}

fn unblock_mistakes() {
    // SAFETY: a valid set.
    unsafe {
        let mut mistakes = mem::zeroed();
        libc::sigemptyset(&mut mistakes);
        for signal in MISTAKES {
            libc::sigaddset(&mut mistakes, signal);
        }
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &mistakes, ptr::null_mut());
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

/// A point on the clock as libc has it.
pub(super) fn time_of(instant: Instant) -> timespec {
    timespec {
        tv_sec: (instant / 1_000_000_000).min(i64::MAX as u64) as libc::time_t,
        tv_nsec: (instant % 1_000_000_000) as libc::c_long,
    }
}
