// SPDX-License-Identifier: MIT OR Apache-2.0
//! Switches. A coroutine that parks or ends switches straight to the next ready one; the loop's own stack is visited only
//! when nothing is ready, when the stack of one that has ended is not kept, when a shared slot must change hands under the
//! one that parks, and every so many switches to look at the clock and the descriptors.

use core::ffi::c_void;
use core::ptr;

use super::change::{change, change_by, change_for_good, change_plainly, change_told};
use super::{Scheduler, sanitizers};
use crate::arch::{self, slot};
use crate::coroutine::{Coroutine, State};
use crate::stack::{Kind, own, shared};
use crate::sys::Result;

/// From this many coroutines on, what they touch does not stay near the CPU, and fetching it ahead pays.
pub(super) const MANY: usize = 2 << 10;

/// Parks the coroutine that runs, after its state has been set and it hangs on what will wake it (or on a ready queue).
/// Returns when it runs again.
///
/// All that is rare is called last and returns for it, as the switch does: so there is nothing to be saved meanwhile.
///
/// # Safety
/// `scheduler` is this thread's and a coroutine runs.
#[inline(never)]
pub unsafe fn park(scheduler: *mut Scheduler) {
    // SAFETY: the caller's promise; ready coroutines are valid.
    unsafe {
        let me = (*scheduler).running;
        (*me).switches = (*me).switches.wrapping_add(1);
        if Coroutine::has_overflowed(me, arch::stack_pointer()) {
            finish(scheduler);
        }
        if (*scheduler).budget == 0 {
            return change(scheduler, me, ptr::null_mut());
        }
        (*scheduler).budget -= 1;
        let next = (*scheduler).ready.pop_plainly();
        if next.is_null() {
            return park_otherwise(scheduler, me, next);
        }
        let own = (*next).kind != Kind::Shared && (*next).state != State::New;
        if !own || (*scheduler).sanitizers.present {
            return park_otherwise(scheduler, me, next);
        }
        if (*scheduler).coroutines.live() >= MANY {
            (*scheduler).ready.prefetch();
        }
        (*next).state = State::Running;
        if next != me {
            // The other side has mostly parked here, too.
            change_plainly(arch::switch, scheduler, me, next);
        }
    }
}

/// The rest of [`park`]: for `next`, which is perhaps not in place, or for whom the queues give; null: they have not been
/// asked for an urgent one.
///
/// # Safety
/// As [`park`]; `next` is null or New or Ready and on no list.
#[inline(never)]
unsafe fn park_otherwise(scheduler: *mut Scheduler, me: *mut Coroutine, mut next: *mut Coroutine) {
    // SAFETY: the caller's promise; `put_beside` has put `next` in place.
    unsafe {
        if next.is_null() {
            next = (*scheduler).ready.pop();
        }
        if next.is_null() {
            return change(scheduler, me, next);
        }
        if (*scheduler).coroutines.live() >= MANY {
            (*scheduler).ready.prefetch();
        }
        if !(*scheduler).put_beside(next, me) {
            return change(scheduler, me, ptr::null_mut());
        }
        (*next).state = State::Running;
        if next != me {
            change_by(arch::switch, scheduler, me, next);
        }
    }
}

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
        (*scheduler).handler.clear();
        (*scheduler).detach(me);
        (*me).state = State::Dead;
        if (*me).asymmetric && !(*scheduler).abort {
            (*scheduler).release_extras(me);
            back_to_resumer(scheduler, me);
        }
        // The loop frees it; an abort ends all, this one too.
        if !(*me).asymmetric {
            if (*scheduler).keeps_stack(me) {
                (*scheduler).reclaim(me);
                change_for_good(scheduler, (*scheduler).next_beside(me));
            }
            (*scheduler).dead = me;
        }
        if (*scheduler).sanitizers.present {
            change_told(scheduler, me, ptr::null_mut());
        }
        change_for_good(scheduler, ptr::null_mut())
    }
}

/// From `me`, which has been suspended or has ended, to its resumer. Comes back when `me` is resumed.
///
/// # Safety
/// `me` is asymmetric and runs.
pub(super) unsafe fn back_to_resumer(scheduler: *mut Scheduler, me: *mut Coroutine) {
    // SAFETY: the caller's promise; a resumer is Resuming until this.
    unsafe {
        let rest = (*me).rest;
        let resumer = (*rest).resumer;
        (*rest).resumer = ptr::null_mut();
        if !resumer.is_null() {
            (*resumer).waiter.result = if (*me).state == State::Dead { 0 } else { (*me).cid };
        }
        let in_place = resumer.is_null()
            || (*resumer).kind != Kind::Shared
            || shared::is_in_place(&raw const (*(*resumer).rest).stack);
        if in_place {
            if !resumer.is_null() {
                (*resumer).state = State::Running;
            }
            change(scheduler, me, resumer);
        } else {
            // Its slot is somebody else's meanwhile: the loop puts it in place.
            (*resumer).state = State::Ready;
            (*scheduler).ready.push_first(resumer);
            change(scheduler, me, ptr::null_mut());
        }
    }
}

/// The first steps of every coroutine, called by its first frame.
unsafe extern "C" fn start(coroutine: *mut c_void) -> ! {
    let coroutine: *mut Coroutine = coroutine.cast();
    // SAFETY: the frame was prepared with a live coroutine of this thread's scheduler, whose entry is set.
    unsafe {
        let scheduler: *mut Scheduler = slot::get().cast();
        if (*scheduler).sanitizers.present {
            sanitizers::arrived(scheduler, coroutine);
        }
        let rest = (*coroutine).rest;
        if let Some(entry) = (*rest).entry {
            entry((*rest).argument);
        }
        finish(slot::get().cast())
    }
}

impl Scheduler {
    /// Puts `next` in place from the stack of `me`; where that cannot be done, leaves it to the loop.
    ///
    /// # Safety
    /// `next` is New or Ready and on no list; `me` runs.
    #[inline(always)]
    pub(super) unsafe fn put_beside(&mut self, next: *mut Coroutine, me: *mut Coroutine) -> bool {
        // SAFETY: the caller's promise; a shared coroutine that is not New is bound.
        unsafe {
            let in_place = if (*next).state == State::New {
                if (*next).kind != Kind::Shared {
                    prepare(next);
                    return true;
                }
                false
            } else {
                let stack = &raw mut (*(*next).rest).stack;
                (*next).kind != Kind::Shared || shared::is_in_place(stack) || {
                    let running = if (*me).kind == Kind::Shared { &raw const (*(*me).rest).stack } else { ptr::null() };
                    shared::can_load_beside(stack, running) && shared::load(stack, &raw mut (*next).sp).is_ok()
                }
            };
            if !in_place {
                self.picked = next;
            }
            in_place
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

    /// From the loop: runs `next` until somebody comes back to the loop. ENOMEM: it could not be put in place.
    ///
    /// Part of the loop: a return that follows a switch would be foreseen wrongly.
    ///
    /// # Safety
    /// No coroutine runs; `next` is on no list, New or Ready.
    #[inline(always)]
    pub unsafe fn resume(scheduler: *mut Scheduler, next: *mut Coroutine) -> Result<()> {
        // SAFETY: the caller's promise: nobody runs on any slot.
        unsafe {
            if (*next).kind == Kind::Shared {
                let stack = &raw mut (*(*next).rest).stack;
                if (*scheduler).sanitizers.present {
                    (*scheduler).give_any_own_stack(next)?;
                } else {
                    if (*stack).base.is_null() {
                        (*scheduler).slots.bind(&mut *stack)?;
                    }
                    if !shared::is_in_place(stack) {
                        shared::load(stack, &raw mut (*next).sp)?;
                    }
                }
            }
            if (*next).state == State::New {
                prepare(next);
            }
            (*next).state = State::Running;
            change(scheduler, ptr::null_mut(), next);
            (*scheduler).reclaim_dead();
        }
        Ok(())
    }
}

/// Builds the first frame of a new coroutine, which is in place.
///
/// # Safety
/// Nobody runs on its stack.
pub(super) unsafe fn prepare(coroutine: *mut Coroutine) {
    // SAFETY: the caller's promise; every stack has room for a first frame.
    unsafe {
        let rest = (*coroutine).rest;
        sanitizers::clean(&(*rest).stack);
        if (*coroutine).kind == Kind::Caller {
            (*rest).stack.mark_bottom();
        }
        // Above an own stack is the rest.
        let top = if (*coroutine).kind == Kind::Own { own::first_frame(rest.cast()) } else { (*rest).stack.top() };
        (*coroutine).sp = arch::prepare(top, start, coroutine.cast(), (*coroutine).sp as usize);
    }
}
