// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making, finding, changing and ending coroutines.

use core::ffi::c_void;
use core::ptr;

use super::{Entry, Scheduler, aside, overflow, switch, table, this, this_or_new};
use crate::arch;
use crate::coroutine::{Coroutine, State};
use crate::list::{Link, List};
use crate::stack::{Kind, MIN_CALLER, Stack, own, shared};
use crate::sys::{Errno, Result, memory};

/// Makes a coroutine, ready to run, and returns its cid.
pub fn spawn(entry: Entry, argument: *mut c_void, urgent: bool) -> Result<i32> {
    let (scheduler, coroutine) = make(entry, argument)?;
    // SAFETY: both are valid; the new coroutine is on no list.
    unsafe {
        (*coroutine).urgent = urgent;
        (*scheduler).schedule(coroutine);
        Ok((*coroutine).cid)
    }
}

/// Makes a coroutine that nobody runs yet. All that its waits will need is reserved, so that waiting cannot fail for want
/// of memory.
pub(super) fn make(entry: Entry, argument: *mut c_void) -> Result<(*mut Scheduler, *mut Coroutine)> {
    if super::in_vfork_child() {
        return Err(Errno(libc::EPERM));
    }
    let scheduler = this_or_new()?;
    // SAFETY: this thread's scheduler is valid; the new block is ours.
    unsafe {
        let s = &mut *scheduler;
        s.timers.reserve(s.coroutines.live() + 1)?;
        s.slots.ensure_one()?;
        let coroutine = s.coroutines.add()?;
        (*coroutine).timer.init();
        (*coroutine).entry = Some(entry);
        (*coroutine).argument = argument;
        arch::store_float_control(&raw mut (*coroutine).float_control);
        Ok((scheduler, coroutine))
    }
}

/// Ends the calling coroutine; outside coroutines nothing happens.
pub fn abort_current() {
    if let Some((scheduler, _)) = running() {
        // SAFETY: a coroutine of this thread runs.
        unsafe { switch::finish(scheduler) }
    }
}

/// The calling coroutine's cid.
pub fn current_cid() -> Option<i32> {
    // SAFETY: the coroutine that runs is valid.
    running().map(|(_, me)| unsafe { (*me).cid })
}

/// This thread's scheduler and the coroutine that runs, be it scheduled or resumed by the main program.
fn running() -> Option<(*mut Scheduler, *mut Coroutine)> {
    let scheduler = this()?.as_ptr();
    // SAFETY: this thread's scheduler is valid.
    let me = unsafe { (*scheduler).running };
    if me.is_null() { None } else { Some((scheduler, me)) }
}

/// This thread's scheduler and its live coroutine of that name; ESRCH.
pub(super) fn find(cid: i32) -> Result<(*mut Scheduler, *mut Coroutine)> {
    let scheduler = this().ok_or(Errno(libc::ESRCH))?.as_ptr();
    // SAFETY: this thread's scheduler is valid.
    Ok((scheduler, unsafe { (*scheduler).coroutines.find(cid)? }))
}

/// Gives a coroutine that has not run a stack of its own: the program's memory, or of the library when `memory` is NULL.
/// `size` 0: back to a shared one (false). EBUSY when it has run.
pub fn set_stack(cid: i32, memory: *mut c_void, size: usize) -> Result<bool> {
    let (scheduler, coroutine) = find(cid)?;
    // SAFETY: both are valid; one that is New has no frame yet.
    unsafe {
        if (*coroutine).state != State::New {
            return Err(Errno(libc::EBUSY));
        }
        let mut stack: Stack = core::mem::zeroed();
        if size == 0 {
            // Back to the shared stack.
        } else if memory.is_null() {
            let size = own::rounded(size)?;
            let (base, slab) = (*scheduler).stacks.take(size)?;
            stack.become_own(base, size, slab);
        } else {
            if size < MIN_CALLER || (memory as usize).checked_add(size).is_none() {
                return Err(Errno(libc::EINVAL));
            }
            stack = Stack::of_caller(memory.cast(), size);
        }
        (*scheduler).release_stack(&mut (*coroutine).stack);
        (*coroutine).stack = stack;
        Ok(size != 0)
    }
}

/// A coroutine's own stack, its lowest byte and its size; `None` when it is on a shared one.
pub fn get_stack(cid: i32) -> Result<Option<(*mut c_void, usize)>> {
    let (_, coroutine) = find(cid)?;
    // SAFETY: a live coroutine is valid.
    let stack = unsafe { &(*coroutine).stack };
    Ok(if stack.kind == Kind::Shared { None } else { Some((stack.base.cast(), stack.size)) })
}

/// Whether more than 7/8 of the calling coroutine's stack is used. Ends it when it has overflowed already.
pub fn check_stack() -> Result<bool> {
    let (scheduler, me) = running().ok_or(Errno(libc::EPERM))?;
    let sp = arch::stack_pointer();
    // SAFETY: the coroutine that runs is valid.
    unsafe {
        let stack = &raw const (*me).stack;
        if !(*stack).contains(sp) && aside::is_on_signal_stack() {
            return Ok(false);
        }
        if (*stack).has_overflowed(sp) {
            switch::finish(scheduler);
        }
        Ok((*stack).is_nearly_full(sp))
    }
}

/// Sets the program's pointer of a coroutine.
pub fn set_coroutine_udata(cid: i32, udata: *mut c_void) -> Result<()> {
    let (_, coroutine) = find(cid)?;
    // SAFETY: a live coroutine is valid.
    unsafe { (*coroutine).udata = udata };
    Ok(())
}

/// The program's pointer of a coroutine.
pub fn coroutine_udata(cid: i32) -> Result<*mut c_void> {
    // SAFETY: a live coroutine is valid.
    find(cid).map(|(_, coroutine)| unsafe { (*coroutine).udata })
}

/// How often a coroutine has yielded.
pub fn sched_count(cid: i32) -> Result<i32> {
    // SAFETY: a live coroutine is valid. The count wraps within the positive numbers.
    find(cid).map(|(_, coroutine)| unsafe { ((*coroutine).switches & i32::MAX as u32) as i32 })
}

/// Lets a coroutine run before others, or not any more; one that is ready changes its queue.
pub fn set_urgent(cid: i32, urgent: bool) -> Result<()> {
    let (scheduler, coroutine) = find(cid)?;
    // SAFETY: both are valid. A New or Ready coroutine is on a ready queue, unless the loop has just picked it.
    unsafe {
        if (*coroutine).urgent != urgent {
            (*coroutine).urgent = urgent;
            let queued = matches!((*coroutine).state, State::New | State::Ready);
            if queued && (*coroutine).waiter.link.is_linked() {
                Link::unlink(&raw mut (*coroutine).waiter.link);
                (*scheduler).ready.push(coroutine);
            }
        }
    }
    Ok(())
}

/// Whether a coroutine is asymmetric.
pub fn is_asymmetric(cid: i32) -> Result<bool> {
    // SAFETY: a live coroutine is valid.
    find(cid).map(|(_, coroutine)| unsafe { (*coroutine).asymmetric })
}

impl Scheduler {
    /// Makes a new coroutine one that the loop runs.
    ///
    /// # Safety
    /// `coroutine` is New and on no list.
    pub(super) unsafe fn schedule(&mut self, coroutine: *mut Coroutine) {
        self.scheduled += 1;
        self.aborted = false;
        // SAFETY: the caller's promise.
        unsafe { self.ready.push(coroutine) };
    }

    /// Ends every coroutine without running it.
    pub(super) fn end_all(&mut self) {
        self.picked = ptr::null_mut();
        self.end_all_but(ptr::null_mut());
        // SAFETY: nobody is left to look at them.
        unsafe {
            loop {
                let object = List::pop_front(&raw mut self.doomed);
                if object.is_null() {
                    break;
                }
                memory::free(object);
            }
        }
    }

    /// Ends every coroutine but one, those that wait for it because they have resumed it, and the asymmetric ones that run
    /// only when somebody resumes them.
    pub(super) fn end_all_but(&mut self, survivor: *mut Coroutine) {
        self.end_all_operations();
        let scheduler: *mut Scheduler = self;
        // SAFETY: `reclaim` changes the table that is walked only by removing the coroutine that it is called for, which
        // `for_each` allows; the walk goes through raw pointers. A chain of resumers is one of live coroutines.
        unsafe {
            let stays = |coroutine: *mut Coroutine| {
                let mut link = survivor;
                while !link.is_null() && link != coroutine {
                    link = (*link).resumer;
                }
                let rests = matches!((*coroutine).state, State::New | State::Suspended | State::Dead);
                !survivor.is_null() && (!link.is_null() || (*coroutine).asymmetric && rests)
            };
            let table: *mut table::Table = &raw mut (*scheduler).coroutines;
            (*table).for_each(&mut |coroutine| {
                if !stays(coroutine) {
                    (*scheduler).detach(coroutine);
                    (*scheduler).reclaim(coroutine);
                }
            });
        }
    }

    /// Gives a coroutine's stack back.
    ///
    /// # Safety
    /// Nobody runs on it or will.
    pub(super) unsafe fn release_stack(&mut self, stack: &mut Stack) {
        // SAFETY: the caller's promise; `home` holds what `kind` says.
        unsafe {
            match stack.kind {
                Kind::Own => self.stacks.give_back(stack.base, stack.size, stack.home.slab),
                Kind::Shared => shared::unbind(stack),
                Kind::Caller => stack.return_to_caller(),
            }
        }
    }

    /// What the overflow report says of the coroutine that runs, when `address` lies in the guard below its stack.
    pub(super) fn overflow_at(&self, address: usize) -> Option<overflow::Report> {
        // SAFETY: the coroutine that runs is valid.
        let running = unsafe { self.running.as_ref()? };
        let base = running.stack.base as usize;
        if running.stack.kind == Kind::Caller || address >= base || address < base - crate::stack::page_size() {
            return None;
        }
        Some(overflow::Report {
            cid: running.cid,
            size: running.stack.size,
            shared: running.stack.kind == Kind::Shared,
            entry: running.entry.map_or(0, |entry| entry as usize),
        })
    }
}
