// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which stack a coroutine has. With an own one its rest moves, to where that stack's room for it is; it comes back to the
//! table's where another stack takes its place.

use core::ffi::c_void;
use core::{mem, ptr};

use super::life::{find, running};
use super::{Scheduler, aside, switch};
use crate::arch;
use crate::coroutine::{Coroutine, Rest, State, loose};
use crate::stack::{Kind, MIN_CALLER, Stack, own, shared};
use crate::sys::{Errno, Result};

/// Gives a coroutine that has not run a stack of its own: the program's memory, or of the library when `memory` is NULL.
/// `size` 0: back to a shared one (false). EBUSY when it has run.
pub fn set_stack(cid: i32, memory: *mut c_void, size: usize) -> Result<bool> {
    let (scheduler, coroutine) = find(cid)?;
    // SAFETY: both are valid; one that is New has no frame yet.
    unsafe {
        if (*coroutine).state != State::New {
            return Err(Errno(libc::EBUSY));
        }
        let s = &mut *scheduler;
        if size == 0 {
            s.give_stack(coroutine, Kind::Shared, mem::zeroed())?;
        } else if memory.is_null() {
            s.give_own_stack(coroutine, own::rounded(size)?)?;
        } else {
            if size < MIN_CALLER || (memory as usize).checked_add(size).is_none() {
                return Err(Errno(libc::EINVAL));
            }
            s.give_stack(coroutine, Kind::Caller, Stack::of_caller(memory.cast(), size))?;
        }
        Ok(size != 0)
    }
}

/// A coroutine's own stack, its lowest byte and its size; `None` when it is on a shared one.
pub fn get_stack(cid: i32) -> Result<Option<(*mut c_void, usize)>> {
    let (_, coroutine) = find(cid)?;
    // SAFETY: a live coroutine is valid.
    let (kind, stack) = unsafe { ((*coroutine).kind, &(*(*coroutine).rest).stack) };
    Ok(if kind == Kind::Shared { None } else { Some((stack.base.cast(), stack.size)) })
}

/// Whether more than 7/8 of the calling coroutine's stack is used. Ends it when it has overflowed already.
pub fn check_stack() -> Result<bool> {
    let (scheduler, me) = running().ok_or(Errno(libc::EPERM))?;
    let sp = arch::stack_pointer();
    // SAFETY: the coroutine that runs is valid.
    unsafe {
        let stack = &raw const (*(*me).rest).stack;
        if !(*stack).contains(sp) && aside::is_on_signal_stack() {
            return Ok(false);
        }
        if Coroutine::has_overflowed(me, sp) {
            switch::finish(scheduler);
        }
        Ok((*stack).is_nearly_full(sp))
    }
}

impl Scheduler {
    /// Gives a coroutine that has not run an own stack of `size` bytes, a size that [`own::rounded`] gave, and its old stack
    /// back.
    ///
    /// # Safety
    /// `coroutine` is New.
    #[inline]
    pub(super) unsafe fn give_own_stack(&mut self, coroutine: *mut Coroutine, size: usize) -> Result<()> {
        let stack = self.stacks.take(size)?;
        // SAFETY: the caller's promise; the stack is nobody's. A new coroutine has neither extras nor waiters.
        unsafe {
            let (old, old_kind) = ((*coroutine).rest, (*coroutine).kind);
            let rest = Rest::above(stack, size);
            // Word by word, as they were written: the processor still has a new coroutine's at hand.
            Rest::init(rest, (*old).entry, (*old).argument);
            (*rest).pool = (*old).pool;
            if (*coroutine).loose & loose::UDATA != 0 {
                (*rest).udata = (*old).udata;
            }
            self.sanitizers.init(rest);
            (*coroutine).rest = rest;
            (*coroutine).kind = Kind::Own;
            self.forget_rest(old_kind, old);
        }
        Ok(())
    }

    /// Gives a coroutine that has not run another stack, not an own one, and the old one back. Where that fails, ENOMEM, it is
    /// `stack` that is given back.
    ///
    /// # Safety
    /// `coroutine` is New; `stack` is of that kind and nobody's.
    unsafe fn give_stack(&mut self, coroutine: *mut Coroutine, kind: Kind, mut stack: Stack) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe {
            let (old, old_kind) = ((*coroutine).rest, (*coroutine).kind);
            let rest = match self.coroutines.take_rest() {
                Ok(rest) => rest,
                Err(errno) => {
                    self.release_stack(kind, &mut stack);
                    return Err(errno);
                }
            };
            ptr::copy_nonoverlapping(old, rest, 1);
            (*rest).stack = stack;
            (*coroutine).rest = rest;
            (*coroutine).kind = kind;
            self.forget_rest(old_kind, old);
        }
        Ok(())
    }

    /// Takes a coroutine's rest back, and its stack, which is of that kind.
    ///
    /// # Safety
    /// Nobody runs on the stack or will, and the rest is not used again.
    #[inline(always)]
    pub(super) unsafe fn forget_rest(&mut self, kind: Kind, rest: *mut Rest) {
        // SAFETY: the caller's promise; `home` holds what `kind` says. An own stack's rest goes with it.
        unsafe {
            let stack = &raw mut (*rest).stack;
            if kind == Kind::Own {
                return self.stacks.give_back((*stack).base, (*stack).size, (*stack).home.slab);
            }
            self.release_stack(kind, &mut *stack);
            self.coroutines.give_rest_back(rest);
        }
    }

    /// Gives a stack back that is no own one.
    ///
    /// # Safety
    /// It is of that kind, and nobody runs on it or will.
    #[inline(always)]
    unsafe fn release_stack(&mut self, kind: Kind, stack: &mut Stack) {
        // SAFETY: the caller's promise; `home` holds what `kind` says.
        unsafe { if kind == Kind::Caller { stack.return_to_caller() } else { shared::unbind(stack) } }
    }
}
