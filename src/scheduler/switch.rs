// SPDX-License-Identifier: MIT OR Apache-2.0
//! Switches. A coroutine that parks or ends switches straight to the next ready one; the loop's own stack is visited only
//! when nothing is ready, when the stack of one that has ended is not kept, when a shared slot must change hands under the
//! one that parks, and every so many switches to look at the clock and the descriptors.

use core::ffi::c_void;
use core::ptr;

use super::handlers::Mark;
use super::{Scheduler, asymmetric, pool, sanitizers};
use crate::arch::{self, slot};
use crate::coroutine::{Context, Coroutine, State, Wake, loose};
use crate::list::Link;
use crate::stack::{Kind, shared};
use crate::sys::Result;
use crate::sys::memory;

/// From this many coroutines on, what they touch does not stay near the CPU, and fetching it ahead pays.
pub(super) const MANY: usize = 2 << 10;

/// Parks `from`, which runs, and continues `to`; comes back when somebody switches to `from`. Null stands for the loop, or
/// for the main program that resumes an asymmetric coroutine: the thread's own stack.
///
/// # Safety
/// `scheduler` is this thread's, `to` is in place, and its frame was saved here or prepared.
#[inline(always)]
pub(super) unsafe fn change(scheduler: *mut Scheduler, from: *mut Coroutine, to: *mut Coroutine) {
    // SAFETY: the caller's promise.
    unsafe { change_by(arch::switch_elsewhere, scheduler, from, to) }
}

type Switch = unsafe extern "C" fn(*mut *mut u8, *mut u8, usize) -> usize;

/// As [`change`]; `switch` is what suits the places where the two park.
///
/// # Safety
/// As [`change`].
#[inline(always)]
unsafe fn change_by(switch: Switch, scheduler: *mut Scheduler, from: *mut Coroutine, to: *mut Coroutine) {
    // SAFETY: the caller's promise.
    unsafe {
        if (*scheduler).sanitizers.present {
            return sanitizers::change(scheduler, from, to);
        }
        change_plainly(switch, scheduler, from, to);
    }
}

/// As [`change`], without telling the sanitizers. What belongs to each side besides its frame is put away and in place
/// before the switch, so that nothing is left to do after it. The result is the `waiter.result` that `from` has when it
/// goes on: where that is all a caller wants, the switch can be its last instruction.
///
/// # Safety
/// As [`change`].
#[inline(always)]
pub(super) unsafe fn change_plainly(
    switch: Switch,
    scheduler: *mut Scheduler,
    from: *mut Coroutine,
    to: *mut Coroutine,
) -> i32 {
    // SAFETY: the caller's promise; `errno` and `exceptions` point to this thread's words.
    unsafe {
        (*scheduler).running = to;
        let value = if to.is_null() { 0 } else { (*to).waiter.result };
        let (from_sp, from) = side(scheduler, from);
        let (to_sp, to) = side(scheduler, to);
        let errno = (*scheduler).errno;
        (*from).errno = *errno;
        *errno = (*to).errno;
        let exceptions = (*scheduler).exceptions;
        if !exceptions.is_null() {
            (*from).exceptions = *exceptions;
            *exceptions = (*to).exceptions;
        }
        switch(from_sp, *to_sp, value as u32 as usize) as i32
    }
}

/// Where a side's stack pointer and context are kept while it is parked.
///
/// # Safety
/// `coroutine` is valid or null.
#[inline(always)]
unsafe fn side(scheduler: *mut Scheduler, coroutine: *mut Coroutine) -> (*mut *mut u8, *mut Context) {
    // SAFETY: the caller's promise.
    unsafe {
        if coroutine.is_null() {
            (&raw mut (*scheduler).main_sp, &raw mut (*scheduler).main)
        } else {
            (&raw mut (*coroutine).sp, &raw mut (*coroutine).context)
        }
    }
}

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
/// As [`change`], without sanitizers.
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
    /// `me` runs, perhaps freed already, and there is a budget.
    #[inline(always)]
    unsafe fn next_beside(&mut self, me: *mut Coroutine) -> *mut Coroutine {
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

    /// Puts `next` in place from the stack of `me`; where that cannot be done, leaves it to the loop.
    ///
    /// # Safety
    /// `next` is New or Ready and on no list; `me` runs.
    #[inline(always)]
    unsafe fn put_beside(&mut self, next: *mut Coroutine, me: *mut Coroutine) -> bool {
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
            let dead = (*scheduler).dead;
            if !dead.is_null() {
                (*scheduler).dead = ptr::null_mut();
                (*scheduler).reclaim(dead);
            }
        }
        Ok(())
    }

    /// Wakes a coroutine that waits: takes it off everything it waits on and makes it ready. One that does not wait (any
    /// more) is left alone: exactly one wake per wait. One of whom the kernel has an operation is woken by its end.
    ///
    /// # Safety
    /// `coroutine` is a live one of this scheduler.
    #[inline]
    pub unsafe fn unpark(&mut self, coroutine: *mut Coroutine, wake: Wake) {
        // SAFETY: the caller's promise.
        unsafe {
            if (*coroutine).state != State::Waiting {
                return;
            }
            if (*coroutine).in_ring {
                return self.cancel_operation(coroutine);
            }
            self.detach(coroutine);
            (*coroutine).wake = wake;
            (*coroutine).state = State::Ready;
            self.ready.push(coroutine);
        }
    }

    /// Takes a coroutine off all that it waits on, or off a ready queue, and cancels its deadline.
    ///
    /// # Safety
    /// `coroutine` is a live one of this scheduler.
    #[inline(always)]
    pub unsafe fn detach(&mut self, coroutine: *mut Coroutine) {
        // SAFETY: the caller's promise; `waiters` are on the heap until the wait has ended.
        unsafe {
            Link::unlink(&raw mut (*coroutine).waiter.link);
            let loose = (*coroutine).loose;
            (*coroutine).loose = loose & loose::UDATA;
            if loose & loose::WAITERS != 0 {
                let rest = (*coroutine).rest;
                for index in 0..(*rest).waiter_count as usize {
                    Link::unlink(&raw mut (*(*rest).waiters.add(index)).link);
                }
            }
            if loose & loose::ON_DESCRIPTORS != 0 {
                self.on_descriptors -= 1;
            }
            self.timers.cancel(&raw mut (*coroutine).timer);
        }
    }

    /// Frees a coroutine that will not run again, from another stack than its own.
    ///
    /// # Safety
    /// `coroutine` is a live one of this scheduler, in no list, and nobody runs on its frames.
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
        // Right above an own stack is the rest.
        let top = if (*coroutine).kind == Kind::Own { rest.cast() } else { (*rest).stack.top() };
        (*coroutine).sp = arch::prepare(top, start, coroutine.cast(), (*coroutine).sp as usize);
    }
}
