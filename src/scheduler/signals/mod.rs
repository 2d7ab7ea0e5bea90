// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signals as something that coroutines wait for.
//!
//! A coroutine *holds* signals: they are blocked for its thread and queued for it. A thread blocks a signal from its first
//! holder's beginning to its last holder's end; what the program had blocked itself stays blocked. All that a thread's
//! coroutines hold is read from one signalfd in the scheduler's poller.
//!
//! A signal to the process is read by whichever thread comes first, and posted to the others. One to a thread
//! (pthread_kill, raise) stays with that thread (`delivery`). What a coroutine has yet to take is kept in its `holder`.

use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use libc::{c_int, signalfd_siginfo};

use super::{Current, Scheduler};
use crate::coroutine::Wake;
use crate::list::{Link, List};
use crate::poller::descriptors::{self, flag};
use crate::sys::clock::Instant;
use crate::sys::syscall::KERNEL_SIGSET;
use crate::sys::{Errno, Result, memory};
use crate::{syscall, syscall_raw};

mod delivery;
mod holder;

pub use holder::Holder;

/// The signals that libc keeps for itself: nobody blocks them.
const OF_LIBC: u64 = bit(32) | bit(33);

/// A set of signals, as the kernel has it.
pub type Set = u64;

/// What the coroutines of a scheduler hold. Zeroed memory becomes one by [`Signals::init`]; it does not move.
pub struct Signals {
    /// The signalfd; -1: none.
    fd: c_int,
    holders: List,
    /// How many hold each signal.
    counts: [u32; 64],
    /// Those that somebody holds. Other threads read it under the registry's lock.
    held: AtomicU64,
    /// Of these, those that the program had blocked itself.
    blocked_before: Set,
    /// In a forked child until its loop turns, that a program which it becomes starts with a clean mask.
    suspended: bool,
}

const fn bit(signal: u32) -> Set {
    1 << (signal.wrapping_sub(1) & 63)
}

/// The signals of a set, first to last.
fn each(set: Set) -> impl Iterator<Item = u32> {
    (1..=64).filter(move |&signal| set & bit(signal) != 0)
}

/// Changes the thread's mask; the mask as it was.
fn mask(how: c_int, set: Set) -> Set {
    let mut before = 0;
    // SAFETY: both sets are valid for the call, which cannot fail then.
    unsafe { syscall_raw!(SYS_rt_sigprocmask, how, &raw const set, &raw mut before, KERNEL_SIGSET) };
    before
}

fn signalfd(fd: c_int, set: Set) -> Result<c_int> {
    // SAFETY: the set is valid for the call.
    unsafe { syscall!(SYS_signalfd4, fd, &raw const set, KERNEL_SIGSET, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) }
        .map(|fd| fd as c_int)
}

impl Signals {
    /// # Safety
    /// `self` is zeroed and does not move any more.
    pub unsafe fn init(&mut self) {
        self.fd = -1;
        // SAFETY: the caller's promise.
        unsafe { List::init(&mut self.holders) };
    }

    fn held(&self) -> Set {
        self.held.load(Relaxed)
    }

    /// Whether another thread's signal is for somebody here; to be called under the registry's lock.
    pub fn wants(&self, info: &signalfd_siginfo) -> bool {
        self.held() & bit(info.ssi_signo) != 0
    }
}

impl Current {
    /// Holds the signals of `set` for the calling coroutine from now on. EBUSY: it holds some.
    pub fn hold_signals(self, set: Set) -> Result<()> {
        let extras = self.make_extras()?;
        // SAFETY: this thread's scheduler is valid; the extras are the calling coroutine's.
        unsafe {
            if !(*extras).signals.is_null() {
                return Err(Errno(libc::EBUSY));
            }
            (*extras).signals = (*self.scheduler()).hold_signals(set & !OF_LIBC)?;
        }
        Ok(())
    }

    /// Lets go of the signals that the calling coroutine holds, if any; those that are queued for it are gone.
    pub fn release_signals(self) {
        let extras = self.extras();
        // SAFETY: as in `hold_signals`.
        unsafe {
            if !extras.is_null() && !(*extras).signals.is_null() {
                (*self.scheduler()).release_signals((*extras).signals);
                (*extras).signals = ptr::null_mut();
            }
        }
    }

    /// The next signal that the calling coroutine holds, waiting for one until the deadline: `None` when that comes first.
    /// EINVAL: it holds none.
    pub fn wait_signal(self, deadline: Instant) -> Result<Option<signalfd_siginfo>> {
        let extras = self.extras();
        // SAFETY: as in `hold_signals`; the holder lives as long as its coroutine waits.
        unsafe {
            if extras.is_null() || (*extras).signals.is_null() {
                return Err(Errno(libc::EINVAL));
            }
            let holder = (*extras).signals;
            loop {
                if let Some(info) = (*holder).take() {
                    return Ok(Some(info));
                }
                (*self.scheduler()).resume_signals();
                (*self.scheduler()).read_signals();
                if let Some(info) = (*holder).take() {
                    return Ok(Some(info));
                }
                if self.wait_for_outside(&raw mut (*holder).waiter, deadline) == Wake::TimedOut {
                    return Ok((*holder).take());
                }
            }
        }
    }
}

/// Changes the program's own mask of this thread, as pthread_sigmask: what coroutines hold stays blocked until they let go,
/// and is then as the program wants it. The mask as it was.
pub fn change_mask(how: c_int, set: Set) -> Result<Set> {
    let set = set & !OF_LIBC;
    let (held, signals) = match super::this() {
        // SAFETY: this thread's scheduler is valid.
        Some(scheduler) => unsafe {
            let signals = &raw mut (*scheduler.as_ptr()).signals;
            (if (*signals).suspended { 0 } else { (*signals).held() }, signals)
        },
        None => (0, ptr::null_mut()),
    };
    let before = match how {
        libc::SIG_BLOCK => mask(how, set),
        libc::SIG_UNBLOCK => mask(how, set & !held),
        libc::SIG_SETMASK => mask(how, set | held),
        _ => return Err(Errno(libc::EINVAL)),
    };
    if held != 0 {
        // SAFETY: as above. A whole mask that was read while the signals were held does not say that the program wants
        // them blocked.
        unsafe {
            match how {
                libc::SIG_BLOCK => (*signals).blocked_before |= set & held,
                libc::SIG_UNBLOCK => (*signals).blocked_before &= !set,
                _ => (*signals).blocked_before &= set,
            }
        }
    }
    Ok(before)
}

impl Scheduler {
    fn hold_signals(&mut self, set: Set) -> Result<*mut Holder> {
        self.resume_signals();
        // What has come already is for those who hold it already.
        self.read_signals();
        let holder = Holder::new(set)?;
        let before = self.signals.held();
        if let Err(errno) = self.open_signals(before | set) {
            // SAFETY: the holder is nobody's yet.
            unsafe { memory::free(holder) };
            return Err(errno);
        }
        self.signals.blocked_before |= mask(libc::SIG_BLOCK, set) & set & !before;
        self.signals.held.store(before | set, Relaxed);
        each(set).for_each(|signal| self.signals.counts[signal as usize - 1] += 1);
        // SAFETY: a new holder, in no list.
        unsafe { List::push_back(&raw mut self.signals.holders, &raw mut (*holder).link) };
        Ok(holder)
    }

    /// Has the signalfd, in the poller, read these signals.
    fn open_signals(&mut self, set: Set) -> Result<()> {
        let old = self.signals.fd;
        let fd = signalfd(old, set)?;
        if old < 0 {
            if let Err(errno) = self.open_poller().and_then(|()| self.poller.add_signals(fd)) {
                // SAFETY: the descriptor is ours alone.
                unsafe { syscall_raw!(SYS_close, fd) };
                return Err(errno);
            }
            descriptors::born(fd, flag::INTERNAL);
            self.signals.fd = fd;
        }
        Ok(())
    }

    fn close_signals(&mut self) {
        let fd = core::mem::replace(&mut self.signals.fd, -1);
        if fd >= 0 {
            descriptors::forget(fd);
            // SAFETY: the descriptor is ours alone.
            unsafe { syscall_raw!(SYS_close, fd) };
        }
    }

    /// Ends a holder. Signals that nobody holds any more are as they were before; those that have come were for it.
    ///
    /// # Safety
    /// `holder` is one of this scheduler's and its coroutine does not wait for a signal.
    pub(super) unsafe fn release_signals(&mut self, holder: *mut Holder) {
        self.read_signals();
        // SAFETY: the caller's promise.
        unsafe {
            Link::unlink(&raw mut (*holder).link);
            while (*holder).take().is_some() {}
            let mut free = 0;
            for signal in each((*holder).set) {
                let count = &mut self.signals.counts[signal as usize - 1];
                *count -= 1;
                if *count == 0 {
                    free |= bit(signal);
                }
            }
            memory::free(holder);
            let held = self.signals.held() & !free;
            self.signals.held.store(held, Relaxed);
            if !self.signals.suspended {
                if self.signals.holders.is_empty() {
                    // A child on its way to exec may still have the descriptor: closing ours would leave it in the set.
                    self.poller.remove(self.signals.fd);
                    self.close_signals();
                } else {
                    let _ = signalfd(self.signals.fd, held);
                }
                mask(libc::SIG_UNBLOCK, free & !self.signals.blocked_before);
            }
            self.signals.blocked_before &= held;
        }
    }

    /// In a forked child: the mask is the program's own again until the loop turns or a coroutine waits for a signal, so
    /// that exec starts the next program clean. What came to the parent is not the child's.
    pub(super) fn suspend_signals(&mut self) {
        self.close_signals();
        let mut link = self.signals.holders.first();
        while !link.is_null() {
            // SAFETY: the list holds valid holders.
            unsafe {
                while (*link.cast::<Holder>()).take().is_some() {}
                link = self.signals.holders.after(link);
            }
        }
        let held = self.signals.held();
        if held != 0 && !self.signals.suspended {
            mask(libc::SIG_UNBLOCK, held & !self.signals.blocked_before);
            self.signals.suspended = true;
        }
    }

    /// Ends what [`Scheduler::suspend_signals`] has begun, with a signalfd of its own.
    #[inline(always)]
    pub(super) fn resume_signals(&mut self) {
        if self.signals.suspended {
            self.block_again();
        }
    }

    #[cold]
    fn block_again(&mut self) {
        let held = self.signals.held();
        if held == 0 {
            self.signals.suspended = false;
        } else if self.open_signals(held).is_ok() {
            self.signals.blocked_before = mask(libc::SIG_BLOCK, held) & held;
            self.signals.suspended = false;
        }
        // Without a descriptor, the next turn tries again.
    }
}
