// SPDX-License-Identifier: MIT OR Apache-2.0
//! All threads' schedulers: so that a thread's goes with the thread, and closing a descriptor reaches every waiter.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering::Relaxed};

use libc::{signalfd_siginfo, timespec};

use super::inbox::{Closed, Inbox};
use super::{Scheduler, fork, sanitizers};
use crate::arch::slot;
use crate::coroutine::Wake;
use crate::poller::epoll;
use crate::sys::clock::{self, Instant, NEVER};
use crate::sys::{Errno, Result};
use crate::syscall_raw;

/// A scheduler's place in the registry.
pub struct Place {
    next: *mut Scheduler,
    previous: *mut Scheduler,
}

struct Registry {
    lock: UnsafeCell<libc::pthread_mutex_t>,
    first: UnsafeCell<*mut Scheduler>,
}

// SAFETY: `first` and the places are touched under the lock only.
unsafe impl Sync for Registry {}

static REGISTRY: Registry =
    Registry { lock: UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER), first: UnsafeCell::new(ptr::null_mut()) };
static IDS: AtomicI32 = AtomicI32::new(0);
/// The thread-exit key plus one; 0 before the first scheduler.
static EXIT_KEY: AtomicU32 = AtomicU32::new(0);

/// Whether forks are watched.
static FORK_WATCHED: AtomicI32 = AtomicI32::new(libc::PTHREAD_ONCE_INIT);

unsafe extern "C" {
    /// pthread_once(3). A child that was forked while another thread was in the middle of it begins it anew.
    fn pthread_once(control: *mut libc::pthread_once_t, begin: extern "C" fn()) -> libc::c_int;
}

/// Forks wait for the lock, from before it is first taken: in the child nobody would free it.
extern "C" fn watch_fork() {
    // Begun anew in such a child when the other thread was done but for saying so.
    static DONE: AtomicBool = AtomicBool::new(false);
    if !DONE.load(Relaxed) {
        // SAFETY: the functions stay.
        unsafe { libc::pthread_atfork(Some(fork::prepare), Some(fork::parent), Some(fork::child)) };
        DONE.store(true, Relaxed);
    }
}

/// A signal mask as the kernel has it: libc's is sixteen times as large, and on a coroutine's stack.
pub(super) type Mask = u64;

/// All signals but libc's own two, 32 and 33.
static ALL: Mask = !(0b11 << 31);

/// Runs `action` under the lock, with signals blocked: `close` and `waitpid` are allowed in signal handlers, and come here.
pub(super) fn locked<T>(action: impl FnOnce() -> T) -> T {
    let mask = lock();
    let result = action();
    unlock(&mask);
    result
}

/// Blocks signals, locks, and returns the thread's mask as it was.
pub(super) fn lock() -> Mask {
    let mut before: Mask = 0;
    // SAFETY: both sets are valid; the mutex is a static one.
    unsafe {
        syscall_raw!(SYS_rt_sigprocmask, libc::SIG_BLOCK, &raw const ALL, &raw mut before, size_of::<Mask>());
        sanitizers::run_postponed_handlers();
        // No signal comes in the middle of it.
        pthread_once(FORK_WATCHED.as_ptr(), watch_fork);
        take();
    }
    before
}

/// Takes the lock. Not by pthread_mutex_lock: inside the library that name is our own hook, which stands for nothing in a
/// static program, and which ThreadSanitizer does not see.
fn take() {
    let never = timespec { tv_sec: 1 << 40, tv_nsec: 0 };
    // SAFETY: the mutex is a static one; the time is valid. It fails only when that time has come.
    while unsafe { libc::pthread_mutex_timedlock(REGISTRY.lock.get(), &never) } != 0 {}
}

/// Unlocks, and gives the thread the mask that [`lock`] has returned.
pub(super) fn unlock(mask: &Mask) {
    // SAFETY: locked by this thread; the set is valid.
    unsafe {
        libc::pthread_mutex_unlock(REGISTRY.lock.get());
        syscall_raw!(SYS_rt_sigprocmask, libc::SIG_SETMASK, ptr::from_ref(mask), 0, size_of::<Mask>());
        sanitizers::run_postponed_handlers();
    }
}

/// As [`locked`], in a thread whose signals are blocked.
///
/// # Safety
/// They are, and the lock is not held.
pub(super) unsafe fn held<T>(action: impl FnOnce() -> T) -> T {
    // SAFETY: the mutex is a static one, and unlocked by who has locked it.
    unsafe {
        take();
        let result = action();
        libc::pthread_mutex_unlock(REGISTRY.lock.get());
        result
    }
}

/// Waits, with the lock free meanwhile, until the condition is signalled or the time has come; or for no reason.
///
/// # Safety
/// Under the lock; the condition is by the monotonic clock, and waited for with this lock only.
pub(super) unsafe fn wait_on(condition: *mut libc::pthread_cond_t, until: Instant) {
    // SAFETY: the caller's promise.
    unsafe {
        if until == NEVER {
            libc::pthread_cond_wait(condition, REGISTRY.lock.get());
        } else {
            libc::pthread_cond_timedwait(condition, REGISTRY.lock.get(), &clock::timespec(until));
        }
    }
}

/// Makes the scheduler known, and its thread's end free it.
///
/// # Safety
/// `scheduler` is the calling thread's and stays where it is until [`remove`].
pub unsafe fn add(scheduler: *mut Scheduler) -> Result<()> {
    locked(|| {
        // SAFETY: under the lock; the key's destructor gets what was set for its thread.
        unsafe {
            if EXIT_KEY.load(Relaxed) == 0 {
                let mut key = 0;
                match libc::pthread_key_create(&mut key, Some(thread_exit)) {
                    0 => EXIT_KEY.store(key + 1, Relaxed),
                    errno => return Err(Errno(errno)),
                }
            }
            match libc::pthread_setspecific(EXIT_KEY.load(Relaxed) - 1, scheduler.cast()) {
                0 => {}
                errno => return Err(Errno(errno)),
            }
            (*scheduler).id = IDS.fetch_add(1, Relaxed).rem_euclid(i32::MAX) + 1;
            let first = REGISTRY.first.get();
            (*scheduler).registered = Place { next: *first, previous: ptr::null_mut() };
            if !(*first).is_null() {
                (**first).registered.previous = scheduler;
            }
            *first = scheduler;
        }
        Ok(())
    })
}

/// Makes the scheduler unknown: no other thread touches it any more.
///
/// # Safety
/// It was added.
pub unsafe fn remove(scheduler: *mut Scheduler) {
    locked(|| {
        // SAFETY: under the lock; registered schedulers are valid.
        unsafe {
            let Place { next, previous } = ptr::read(&raw const (*scheduler).registered);
            if previous.is_null() {
                *REGISTRY.first.get() = next;
            } else {
                (*previous).registered.next = next;
            }
            if !next.is_null() {
                (*next).registered.previous = previous;
            }
            libc::pthread_setspecific(EXIT_KEY.load(Relaxed) - 1, ptr::null());
        }
    });
}

/// In a forked child: all others are unknown from now on. Null: this thread's is not there either.
///
/// # Safety
/// Under the lock; `scheduler` is null, or was added.
pub(super) unsafe fn keep_only(scheduler: *mut Scheduler) {
    // SAFETY: the caller's promise.
    unsafe {
        *REGISTRY.first.get() = scheduler;
        if !scheduler.is_null() {
            (*scheduler).registered = Place { next: ptr::null_mut(), previous: ptr::null_mut() };
        }
    }
}

/// Calls `each` for every scheduler.
///
/// # Safety
/// Under the lock. Of another thread's scheduler only what is made for that is touched: the inbox, what [`post`] needs, and
/// what is changed under the lock only.
pub(super) unsafe fn for_each(each: &mut dyn FnMut(*mut Scheduler)) {
    // SAFETY: under the lock registered schedulers are valid.
    unsafe {
        let mut scheduler = *REGISTRY.first.get();
        while !scheduler.is_null() {
            each(scheduler);
            scheduler = (*scheduler).registered.next;
        }
    }
}

/// Puts something into a scheduler's inbox, if it looks there.
///
/// # Safety
/// As for [`for_each`].
pub(super) unsafe fn post(scheduler: *mut Scheduler, put: impl FnOnce(&Inbox)) {
    // SAFETY: the caller's promise; the inbox and the eventfd's number are made for this.
    unsafe {
        let wake = (*scheduler).wake_fd.load(Relaxed);
        if wake >= 0 {
            put(&(*scheduler).inbox);
            epoll::wake(wake);
        }
    }
}

/// Tells the other threads' schedulers that a descriptor was closed.
pub fn tell_closed(fd: i32, generation: u32, wake: Wake) {
    let own: *mut Scheduler = slot::get().cast();
    // SAFETY: under the lock.
    locked(|| unsafe {
        for_each(&mut |scheduler| {
            if scheduler != own {
                post(scheduler, |inbox| inbox.add_closed(Closed { fd, generation, wake }));
            }
        });
    });
}

/// Gives the other threads' schedulers a signal to the process that they hold.
pub fn tell_signal(info: &signalfd_siginfo) {
    let own: *mut Scheduler = slot::get().cast();
    // SAFETY: under the lock.
    locked(|| unsafe {
        for_each(&mut |scheduler| {
            if scheduler != own && (*scheduler).signals.wants(info) {
                post(scheduler, |inbox| inbox.add_signal(info));
            }
        });
    });
}

/// A thread with a scheduler ends; by now it is on its own stack again, even when a coroutine called pthread_exit
/// ([`super::ending::unwound`]).
unsafe extern "C" fn thread_exit(scheduler: *mut c_void) {
    // SAFETY: the key holds this thread's scheduler.
    unsafe { super::destroy(scheduler.cast()) };
}
