// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making, finding, changing and ending coroutines.

use core::ffi::c_void;
use core::{mem, ptr};

use super::operations::refuse;
use super::{Entry, Scheduler, overflow, switch, table, this, this_or_new};
use crate::arch;
use crate::coroutine::{Coroutine, Rest, State, loose};
use crate::list::{Link, List};
use crate::stack::{Kind, own, page_size};
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

/// Makes a coroutine on a shared stack that nobody runs yet. All that its waits will need is reserved, so that waiting cannot
/// fail for want of memory.
pub(super) fn make(entry: Entry, argument: *mut c_void) -> Result<(*mut Scheduler, *mut Coroutine)> {
    if super::in_vfork_child() {
        return Err(Errno(libc::EPERM));
    }
    let scheduler = this_or_new()?;
    // SAFETY: this thread's scheduler is valid; the new rest is ours.
    unsafe {
        let rest = (*scheduler).coroutines.take_rest()?;
        Rest::init(rest, Some(entry), argument);
        (*rest).stack = mem::zeroed();
        match (*scheduler).make_with(rest, Kind::Shared) {
            Ok(coroutine) => Ok((scheduler, coroutine)),
            Err(errno) => {
                (*scheduler).coroutines.give_rest_back(rest);
                Err(errno)
            }
        }
    }
}

/// As [`make`], on an own stack of `size` bytes that [`own::Stacks::take`] gave.
///
/// # Safety
/// The stack is one of this thread's scheduler and nobody's.
pub(super) unsafe fn make_on(
    scheduler: *mut Scheduler,
    stack: own::Warm,
    size: usize,
    entry: Entry,
    argument: *mut c_void,
) -> Result<*mut Coroutine> {
    // SAFETY: the caller's promise.
    unsafe {
        let rest = Rest::above(stack, size);
        Rest::init(rest, Some(entry), argument);
        (*scheduler).make_with(rest, Kind::Own)
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
pub(super) fn running() -> Option<(*mut Scheduler, *mut Coroutine)> {
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

/// Sets the program's pointer of a coroutine.
pub fn set_coroutine_udata(cid: i32, udata: *mut c_void) -> Result<()> {
    let (_, coroutine) = find(cid)?;
    // SAFETY: a live coroutine is valid.
    unsafe {
        (*(*coroutine).rest).udata = udata;
        (*coroutine).loose |= loose::UDATA;
    }
    Ok(())
}

/// The program's pointer of a coroutine.
pub fn coroutine_udata(cid: i32) -> Result<*mut c_void> {
    // SAFETY: a live coroutine is valid.
    find(cid).map(|(_, coroutine)| unsafe {
        if (*coroutine).loose & loose::UDATA == 0 { ptr::null_mut() } else { (*(*coroutine).rest).udata }
    })
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
        self.dead = ptr::null_mut();
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
                    link = if (*link).asymmetric { (*(*link).rest).resumer } else { ptr::null_mut() };
                }
                let rests = matches!((*coroutine).state, State::New | State::Suspended | State::Dead);
                !survivor.is_null() && (!link.is_null() || (*coroutine).asymmetric && rests)
            };
            let table: *mut table::Table = &raw mut (*scheduler).coroutines;
            (*table).for_each(&mut |coroutine| {
                if !stays(coroutine) {
                    refuse(coroutine);
                    (*scheduler).detach(coroutine);
                    (*scheduler).reclaim(coroutine);
                }
            });
        }
    }

    /// Makes a coroutine with that rest, which is initialised but for what only sanitizers need. Where it fails, the rest is
    /// the caller's.
    ///
    /// # Safety
    /// The rest is valid while the coroutine lives, and nobody else's.
    #[inline(always)]
    unsafe fn make_with(&mut self, rest: *mut Rest, kind: Kind) -> Result<*mut Coroutine> {
        self.timers.reserve(self.coroutines.live() + 1)?;
        self.slots.ensure_one()?;
        // SAFETY: the new block is ours, and the rest is the caller's.
        unsafe {
            let coroutine = self.coroutines.add()?;
            self.sanitizers.init(rest);
            (*coroutine).rest = rest;
            (*coroutine).kind = kind;
            (*coroutine).timer.init();
            arch::store_float_control((&raw mut (*coroutine).sp).cast());
            Ok(coroutine)
        }
    }

    /// What the overflow report says of the coroutine that runs, when `address` lies in the guard below its stack.
    pub(super) fn overflow_at(&self, address: usize) -> Option<overflow::Report> {
        // SAFETY: the coroutine that runs is valid.
        let (running, rest) = unsafe {
            let running = self.running.as_ref()?;
            (running, &*running.rest)
        };
        let base = rest.stack.base as usize;
        if running.kind == Kind::Caller || address >= base || address < base - page_size() {
            return None;
        }
        Some(overflow::Report {
            cid: running.cid,
            size: rest.stack.size,
            shared: running.kind == Kind::Shared,
            entry: rest.entry.map_or(0, |entry| entry as usize),
        })
    }
}
