// SPDX-License-Identifier: MIT OR Apache-2.0
//! A switch, and what it changes besides the stack. Each of its sides is a coroutine, or null for the thread's own stack: the
//! loop, or the main program that resumes an asymmetric coroutine.

use super::{Scheduler, sanitizers};
use crate::arch;
use crate::coroutine::{Context, Coroutine};

/// Parks `from`, which runs, and continues `to`; comes back when somebody switches to `from`.
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
pub(super) unsafe fn change_by(switch: Switch, scheduler: *mut Scheduler, from: *mut Coroutine, to: *mut Coroutine) {
    // SAFETY: the caller's promise.
    unsafe {
        if (*scheduler).sanitizers.present {
            return change_told(scheduler, from, to);
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

/// As [`change`], and a sanitizer is told of it.
///
/// # Safety
/// As [`change`].
#[cold]
#[inline(never)]
pub(super) unsafe fn change_told(scheduler: *mut Scheduler, from: *mut Coroutine, to: *mut Coroutine) {
    // SAFETY: the caller's promise.
    unsafe {
        sanitizers::leave(scheduler, from, to);
        change_plainly(arch::switch, scheduler, from, to);
        sanitizers::arrived(scheduler, from);
    }
}

/// From a coroutine that has ended to `to`.
///
/// # Safety
/// As of [`change_plainly`].
pub(super) unsafe fn change_for_good(scheduler: *mut Scheduler, to: *mut Coroutine) -> ! {
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
