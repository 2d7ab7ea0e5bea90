// SPDX-License-Identifier: MIT OR Apache-2.0
//! Switches. A coroutine that parks or ends switches straight to the next ready one; the loop's own stack is visited only
//! when nothing is ready, when the stack of one that has ended is not kept, when a shared slot must change hands under the
//! one that parks, and every so many switches to look at the clock and the descriptors.

use core::ffi::c_void;
use core::ptr;

use super::ending::finish;
use super::{Scheduler, sanitizers};
use crate::arch::{self, slot};
use crate::coroutine::{Context, Coroutine, State};
use crate::stack::{Kind, own, shared};
use crate::sys::Result;

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
pub(super) unsafe fn side(scheduler: *mut Scheduler, coroutine: *mut Coroutine) -> (*mut *mut u8, *mut Context) {
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
