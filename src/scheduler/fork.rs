// SPDX-License-Identifier: MIT OR Apache-2.0
//! fork: the child starts clean, with a scheduler that works; the parent notices nothing.

use core::cell::UnsafeCell;
use core::mem::replace;
use core::ptr;
use core::sync::atomic::Ordering::Relaxed;

use super::handlers::is_in_handler;
use super::registry::Mask;
use super::{Scheduler, children, helpers, registry, run};
use crate::arch::slot;
use crate::coroutine::Coroutine;
use crate::poller::descriptors;

/// Instead of a cid: outside coroutines.
const FORKED: i32 = -1;

/// The mask of the thread that forks, while it does.
struct ForkerMask(UnsafeCell<Mask>);

// SAFETY: touched under the registry's lock only.
unsafe impl Sync for ForkerMask {}

static FORKER_MASK: ForkerMask = ForkerMask(UnsafeCell::new(0));

/// Before a fork: locks, so that the registry and what is under its lock are whole in the child.
pub(super) unsafe extern "C" fn prepare() {
    let mask = registry::lock();
    // SAFETY: under the lock.
    unsafe {
        helpers::before_fork();
        *FORKER_MASK.0.get() = mask;
    }
}

/// Unlocks what [`prepare`] has locked.
fn done() {
    // SAFETY: under the lock, since [`prepare`].
    let mask = unsafe { *FORKER_MASK.0.get() };
    registry::unlock(&mask);
}

/// After it, in the parent.
pub(super) unsafe extern "C" fn parent() {
    descriptors::forked();
    // SAFETY: under the lock, since [`prepare`].
    unsafe { helpers::after_fork() };
    done();
}

/// In the child only the calling thread exists, and of its coroutines only the caller, if it is one. The other threads'
/// schedulers are memory that nobody uses any more.
pub(super) unsafe extern "C" fn child() {
    descriptors::forked();
    let scheduler: *mut Scheduler = slot::get().cast();
    // SAFETY: the child's only thread; the lock is its, since [`prepare`].
    unsafe {
        registry::keep_only(scheduler);
        children::forked();
        helpers::forked();
        done();
        if !scheduler.is_null() {
            (*scheduler).start_child();
        }
    }
}

impl Scheduler {
    /// A set of its own for the child; the parent's is only closed, never changed: it is the same set.
    ///
    /// A signal handler may have forked in the middle of anything here, mostly to run another program. The loop does the rest
    /// then, should the child go on.
    fn start_child(&mut self) {
        self.poller.close();
        self.wake_fd.store(-1, Relaxed);
        self.handled.close();
        self.suspend_signals();
        let survivor = self.running;
        // SAFETY: this thread's scheduler; the coroutine that runs is valid.
        unsafe {
            if self.is_running && self.handler.is_set() && is_in_handler(self) {
                self.forked = if survivor.is_null() { FORKED } else { (*survivor).cid };
                self.interrupted = true;
                self.budget = 0;
                return;
            }
        }
        self.go_on_as_child(survivor, !survivor.is_null());
    }

    /// What a signal handler that has forked has left to do.
    #[cold]
    pub(super) fn go_on_after_handler(&mut self) {
        let cid = replace(&mut self.forked, 0);
        let survivor = self.coroutines.find(cid).unwrap_or(ptr::null_mut());
        let picked = self.picked;
        self.poller.close();
        self.go_on_as_child(survivor, cid != FORKED);
        if !survivor.is_null() && picked == survivor {
            self.picked = picked;
        }
        self.interrupted = self.stop || self.abort;
    }

    /// What the child's coroutines wait for is tried again. `alone`: there are no others than the survivor.
    fn go_on_as_child(&mut self, survivor: *mut Coroutine, alone: bool) {
        self.forked = 0;
        self.lose_operations();
        self.lose_jobs();
        self.inbox.free();
        if alone {
            self.picked = ptr::null_mut();
            self.end_all_but(survivor);
            // What those promised who have ended is void.
            self.epoch = run::next_epoch();
        }
        self.watch_anew();
        self.budget = 0;
    }
}
