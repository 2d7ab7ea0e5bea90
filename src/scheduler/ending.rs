// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a coroutine ends: its last steps on its own stack, and what is freed.

use core::mem::replace;
use core::ptr;

use super::handlers::Mark;
use super::switch::side;
use super::trying::Trying;
use super::{Scheduler, asymmetric, pool, sanitizers, this};
use crate::arch;
use crate::coroutine::{Coroutine, State};
use crate::stack::Kind;
use crate::sys::memory;

/// Ends the coroutine that runs: an asymmetric one goes back to its resumer, any other is freed and goes on to the next
/// one, or is freed by the loop.
///
/// # Safety
/// `scheduler` is this thread's and a coroutine runs. Nothing of its frames is used again.
pub unsafe fn finish(scheduler: *mut Scheduler) -> ! {
    // SAFETY: the caller's promise. A stack that is kept stays as it is until a coroutine runs on it again, and so does a
    // control block until one is made: neither can be before this one has left.
    unsafe {
        let me = (*scheduler).running;
        (*scheduler).handler = Mark::NONE;
        (*scheduler).detach(me);
        (*me).state = State::Dead;
        if (*me).asymmetric && !(*scheduler).abort {
            (*scheduler).release_extras(me);
            asymmetric::back_to_resumer(scheduler, me);
        }
        // The loop frees it; an abort ends all, this one too.
        if !(*me).asymmetric {
            if (*scheduler).keeps_stack(me) {
                (*scheduler).reclaim(me);
                leave(scheduler, (*scheduler).next_beside(me));
            }
            (*scheduler).dead = me;
        }
        if (*scheduler).sanitizers.present {
            sanitizers::change(scheduler, me, ptr::null_mut());
        }
        leave(scheduler, ptr::null_mut())
    }
}

/// From a coroutine that has ended to `to`; null stands for the loop.
///
/// # Safety
/// As of a switch, without sanitizers.
unsafe fn leave(scheduler: *mut Scheduler, to: *mut Coroutine) -> ! {
    // SAFETY: the caller's promise; `errno` and `exceptions` point to this thread's words.
    unsafe {
        (*scheduler).running = to;
        let value = if to.is_null() { 0 } else { (*to).waiter.result };
        let (to_sp, to) = side(scheduler, to);
        *(*scheduler).errno = (*to).errno;
        if !(*scheduler).exceptions.is_null() {
            *(*scheduler).exceptions = (*to).exceptions;
        }
        arch::switch_for_good(*to_sp, value as u32 as usize)
    }
}

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
        (*scheduler).handler = Mark::NONE;
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
    unsafe fn keeps_stack(&self, me: *mut Coroutine) -> bool {
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

    /// The next coroutine that `me`, which ends, can switch to directly, in place; null: the loop must decide.
    ///
    /// # Safety
    /// `me` runs, perhaps freed already.
    #[inline(always)]
    unsafe fn next_beside(&mut self, me: *mut Coroutine) -> *mut Coroutine {
        if self.budget == 0 {
            // By a signal handler, since `keeps_stack`.
            return ptr::null_mut();
        }
        self.budget -= 1;
        let next = self.ready.pop();
        // SAFETY: ready coroutines are valid.
        unsafe {
            if next.is_null() || !self.put_beside(next, me) {
                return ptr::null_mut();
            }
            (*next).state = State::Running;
        }
        next
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
