// SPDX-License-Identifier: MIT OR Apache-2.0
//! A helper's life: jobs, waits for jobs, and its end.

use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::{mem, ptr};

use super::{HELPERS, forks, pool};
use crate::list::List;
use crate::scheduler::aside::has_room_for_thread;
use crate::scheduler::offload::{self, Job, Kind};
use crate::scheduler::registry;
use crate::sys::clock::{self, NEVER};
use crate::sys::{Errno, Result, next};
use crate::syscall_raw;

/// Room for libc's resolver with the modules of nsswitch, and for functions of the program's, besides what libc itself
/// needs. Pages that are never touched cost nothing.
const STACK: usize = 256 << 10;

/// Signals that tell of a mistake of the very code that runs: blocked, they would end the process without its handler.
const MISTAKES: [c_int; 6] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS];

/// The thread-specific key plus one under which a helper keeps the job that it runs; 0: none yet.
static JOB_KEY: AtomicU32 = AtomicU32::new(0);

/// Makes the thread-specific key, once.
///
/// # Safety
/// Under the registry's lock.
pub(super) unsafe fn prepare() -> Result<()> {
    if JOB_KEY.load(Relaxed) == 0 {
        let mut key = 0;
        // SAFETY: a valid out parameter; the destructor gets what was set.
        match unsafe { libc::pthread_key_create(&mut key, Some(thread_exit)) } {
            0 => JOB_KEY.store(key + 1, Relaxed),
            errno => return Err(Errno(errno)),
        }
    }
    Ok(())
}

/// EAGAIN: there are no more threads to be had, or not on this stack.
///
/// # Safety
/// Under the registry's lock.
pub(super) unsafe fn start(kind: Kind) -> Result<()> {
    if !has_room_for_thread() {
        return Err(Errno(libc::EAGAIN));
    }
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
        if self::forks() != forks {
            return ptr::null_mut();
        }
        (*pool(Job::kind(job))).running -= 1;
        offload::finished(job)
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
            if (*helpers).forking > 0 && matches!(life.kind, Kind::Names) {
                (*pool).idle += 1;
                registry::wait_on(&raw mut (*pool).more, NEVER);
                (*pool).idle -= 1;
                continue;
            }
            let link = List::pop_front(&raw mut (*pool).queue);
            if !link.is_null() {
                (*pool).queued -= 1;
                ((*pool).running, (*pool).last_begun) = ((*pool).running + 1, clock::now());
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
