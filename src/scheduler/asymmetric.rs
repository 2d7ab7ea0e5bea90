// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asymmetric coroutines: never scheduled, they run when somebody resumes them, and yield to who did.
//!
//! A chain of them hangs under the coroutine that resumed the first. When one at the end of the chain waits, it parks by
//! itself and comes back by itself: those above it are Resuming and on no queue, so the chain as a whole waits. All have
//! stacks of their own: the resumer may be on any shared slot.

use core::ffi::{c_int, c_void};

use super::change::{change, change_plainly};
use super::life::{find, make};
use super::switch::{back_to_resumer, finish, prepare};
use super::{Entry, Scheduler, this};
use crate::arch::{self, slot};
use crate::coroutine::{Coroutine, State};
use crate::stack::{Kind, own};
use crate::sys::{Errno, Result};

/// Makes an asymmetric coroutine, which lives until it is freed, and returns its cid.
pub fn create(entry: Entry, argument: *mut c_void) -> Result<i32> {
    let (_, coroutine) = make(entry, argument)?;
    // SAFETY: the new coroutine is valid.
    unsafe {
        (*coroutine).asymmetric = true;
        Ok((*coroutine).cid)
    }
}

/// Lets an asymmetric coroutine run until it yields, and returns its cid, or until it ends: 0, also when it had ended
/// before. What goes wrong is what `fail` makes of it. EBUSY: it runs, waits, or has itself resumed somebody. EINVAL: it is
/// not asymmetric. ECANCELED: an abort ended everything meanwhile.
///
/// Between coroutines the switch is the last thing that happens here, so that a yield leads straight back to the program:
/// the processor foresees a return only to where it was called from, and a return that follows a switch is foreseen wrongly.
#[inline(always)]
pub fn resume(cid: i32, fail: fn(Errno) -> c_int) -> c_int {
    let scheduler: *mut Scheduler = slot::get().cast();
    if !scheduler.is_null() {
        // SAFETY: this thread's scheduler is valid, and so are the coroutines in its table and the one that runs. One that
        // is Suspended is asymmetric.
        unsafe {
            let me = (*scheduler).running;
            if let Ok(coroutine) = (*scheduler).coroutines.find(cid)
                && (*coroutine).state == State::Suspended
                && !me.is_null()
                && !(*scheduler).sanitizers.present
            {
                link(me, coroutine);
                return change_plainly(arch::switch_elsewhere, scheduler, me, coroutine);
            }
        }
    }
    resume_slowly(cid, fail)
}

/// As [`resume`], in all cases.
#[cold]
#[inline(never)]
fn resume_slowly(cid: i32, fail: fn(Errno) -> c_int) -> c_int {
    try_resume(cid).unwrap_or_else(fail)
}

fn try_resume(cid: i32) -> Result<c_int> {
    let (scheduler, coroutine) = find(cid)?;
    // SAFETY: both are valid; a New or Suspended coroutine has a frame, or gets one, that nobody runs on.
    unsafe {
        if !(*coroutine).asymmetric {
            return Err(Errno(libc::EINVAL));
        }
        match (*coroutine).state {
            State::Dead => return Ok(0),
            State::New => {
                (*scheduler).give_any_own_stack(coroutine)?;
                prepare(coroutine);
            }
            State::Suspended => {}
            _ => return Err(Errno(libc::EBUSY)),
        }
        let me = (*scheduler).running;
        link(me, coroutine);
        change(scheduler, me, coroutine);
        if !me.is_null() {
            // Somebody else may have freed the coroutine before this one, on a shared stack, had its turn.
            return Ok((*me).waiter.result);
        }
        if (*scheduler).abort {
            (*scheduler).end_by_abort();
            return Err(Errno(libc::ECANCELED));
        }
        Ok(if (*coroutine).state == State::Dead { 0 } else { cid })
    }
}

/// `me`, null for the main program, is about to resume `coroutine`.
///
/// # Safety
/// Both are valid; `me` runs.
#[inline(always)]
unsafe fn link(me: *mut Coroutine, coroutine: *mut Coroutine) {
    // SAFETY: the caller's promise.
    unsafe {
        (*(*coroutine).rest).resumer = me;
        (*coroutine).state = State::Running;
        if !me.is_null() {
            (*me).state = State::Resuming;
        }
    }
}

/// Yields from an asymmetric coroutine to who resumed it. EPERM: the caller is none.
pub fn suspend() -> Result<()> {
    let scheduler = this().ok_or(Errno(libc::EPERM))?.as_ptr();
    // SAFETY: this thread's scheduler is valid, and so is the coroutine that runs.
    unsafe {
        let me = (*scheduler).running;
        if me.is_null() || !(*me).asymmetric {
            return Err(Errno(libc::EPERM));
        }
        (*me).switches = (*me).switches.wrapping_add(1);
        if Coroutine::has_overflowed(me, arch::stack_pointer()) {
            finish(scheduler);
        }
        (*me).state = State::Suspended;
        back_to_resumer(scheduler, me);
    }
    Ok(())
}

/// Frees an asymmetric coroutine, finished or not. EBUSY: it runs, waits, or has resumed somebody.
pub fn free(cid: i32) -> Result<()> {
    let (scheduler, coroutine) = find(cid)?;
    // SAFETY: both are valid; in these states nobody runs on its frames.
    unsafe {
        if !(*coroutine).asymmetric {
            return Err(Errno(libc::EINVAL));
        }
        if !matches!((*coroutine).state, State::New | State::Suspended | State::Dead) {
            return Err(Errno(libc::EBUSY));
        }
        (*scheduler).reclaim(coroutine);
    }
    Ok(())
}

impl Scheduler {
    /// Gives a new coroutine on a shared stack one of its own, of the same size.
    ///
    /// # Safety
    /// It is a live one of this scheduler that has not run.
    pub(super) unsafe fn give_any_own_stack(&mut self, coroutine: *mut Coroutine) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe {
            if (*coroutine).kind == Kind::Shared {
                self.give_own_stack(coroutine, own::rounded(self.slots.size())?)?;
            }
        }
        Ok(())
    }
}
