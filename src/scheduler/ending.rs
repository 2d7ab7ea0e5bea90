// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is freed when a coroutine ends, and how a thread ends inside of one.

use core::mem::replace;
use core::ptr;

use super::trying::Trying;
use super::{Scheduler, pool, sanitizers, this};
use crate::coroutine::{Coroutine, State};
use crate::stack::Kind;
use crate::sys::memory;

/// The thread ends inside the coroutine that runs, whose frames have been unwound, and goes on outside of coroutines, on
/// its own stack, where the loop's frame is no more. The coroutine has ended, and so have those that wait for it because
/// they have resumed it, of which nothing was unwound.
pub(super) fn unwound() {
    let Some(scheduler) = this() else { return };
    let scheduler = scheduler.as_ptr();
    // SAFETY: this thread's scheduler is valid, and a chain of resumers is one of live coroutines. Their stacks stay: the
    // unwinder is still on one of them.
    unsafe {
        let mut ended = replace(&mut (*scheduler).running, ptr::null_mut());
        if ended.is_null() {
            return;
        }
        (*scheduler).is_running = false;
        (*scheduler).handler.clear();
        (*scheduler).trying = Trying::NOTHING;
        sanitizers::unwound(scheduler);
        while !ended.is_null() {
            let me = ended;
            ended = ptr::null_mut();
            (*scheduler).detach(me);
            (*me).state = State::Dead;
            (*scheduler).release_extras(me);
            if (*me).asymmetric {
                ended = replace(&mut (*(*me).rest).resumer, ptr::null_mut());
            } else {
                (*scheduler).dead = me;
            }
        }
    }
}

impl Scheduler {
    /// Frees the coroutine that has ended on a stack that it could not give back itself.
    ///
    /// # Safety
    /// The caller is on the thread's own stack.
    #[inline(always)]
    pub(super) unsafe fn reclaim_dead(&mut self) {
        let dead = self.dead;
        if !dead.is_null() {
            self.dead = ptr::null_mut();
            // SAFETY: the caller's promise.
            unsafe { self.reclaim(dead) };
        }
    }

    /// Whether nobody touches a coroutine's stack when it is freed: then it can be by the coroutine itself.
    ///
    /// # Safety
    /// `me` runs.
    #[inline(always)]
    pub(super) unsafe fn keeps_stack(&self, me: *mut Coroutine) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            let rest = (*me).rest;
            let plain = self.budget > 0
                && !self.sanitizers.present
                && (*me).kind == Kind::Own
                && (*rest).extras.is_null()
                && (*rest).waiters.is_null();
            plain && (self.stacks.keeps((*rest).stack.size) || !(*rest).pool.is_null() && pool::keeps_stack(me))
        }
    }

    /// Frees a coroutine that will not run again.
    ///
    /// # Safety
    /// `coroutine` is a live one of this scheduler, in no list. Nobody runs on its stack, but itself where that is kept as it
    /// is, see [`Scheduler::keeps_stack`]: then it leaves before anything is made.
    #[inline(always)]
    pub unsafe fn reclaim(&mut self, coroutine: *mut Coroutine) {
        // SAFETY: the caller's promise.
        unsafe {
            self.timers.remove(&raw mut (*coroutine).timer);
            sanitizers::forget(self, coroutine);
            let (rest, kind) = ((*coroutine).rest, (*coroutine).kind);
            memory::free((*rest).waiters);
            self.release_extras(coroutine);
            if !(*coroutine).asymmetric {
                self.scheduled -= 1;
            }
            if (*rest).pool.is_null() || !pool::give_back(coroutine) {
                self.forget_rest(kind, rest);
            }
            self.coroutines.remove(coroutine);
        }
    }
}
