// SPDX-License-Identifier: MIT OR Apache-2.0
//! How waits end: who wakes one coroutine, or those on a list, and what they may offer each other meanwhile.

use super::Scheduler;
use super::wait::current;
use crate::arch::slot;
use crate::coroutine::{Coroutine, State, Waiter, Wake, loose};
use crate::list::{Link, List};
use crate::stack::Kind;

impl Scheduler {
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
            (*coroutine).loose = loose & (loose::UDATA | loose::ACCEPTS);
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
}

/// Wakes the first coroutine on a list of [`Current::wait_in`](super::Current::wait_in); false when there is none.
///
/// # Safety
/// The list is this thread's.
#[inline]
pub unsafe fn wake_first(list: *mut List, wake: Wake) -> bool {
    // SAFETY: the caller's promise: the list holds waiters of this thread's coroutines, so there is a scheduler.
    unsafe {
        let link = (*list).first();
        if link.is_null() {
            return false;
        }
        let scheduler: *mut Scheduler = slot::get().cast();
        (*scheduler).unpark((*link.cast::<Waiter>()).coroutine, wake);
    }
    true
}

/// What [`offer`] says of a message that others cannot read.
pub const PRIVATE: u32 = u32::MAX;

/// Offers a message of the coroutine that runs to who wakes it from its next wait: the tag to wait with, which is the
/// message's size, or [`PRIVATE`] for one on a shared stack: others do not see that in place.
#[inline(always)]
pub fn offer(message: *const u8, size: usize) -> u32 {
    let Some(current) = current() else { return PRIVATE };
    let me = current.coroutine();
    // SAFETY: the running coroutine is valid.
    unsafe {
        let rest = (*me).rest;
        (*rest).message = message;
        let away = (*me).kind == Kind::Shared && (*rest).stack.contains(message);
        if away { PRIVATE } else { u32::try_from(size).unwrap_or(PRIVATE) }
    }
}

/// As [`wake_first`], if `wanted` accepts the waiter's message, see [`offer`], and its tag, which it may change.
///
/// # Safety
/// The list is this thread's, and all on it have waited with a tag that [`offer`] gave.
#[inline(always)]
pub unsafe fn wake_first_if(list: *mut List, wake: Wake, wanted: impl FnOnce(*const u8, &mut u32) -> bool) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let link = (*list).first();
        if link.is_null() {
            return false;
        }
        let waiter: *mut Waiter = link.cast();
        if !wanted((*(*(*waiter).coroutine).rest).message, &mut (*waiter).events) {
            return false;
        }
        wake_first(list, wake)
    }
}

/// Wakes those on a list of [`Current::wait_in`](super::Current::wait_in) whose tag `wanted` accepts, and may change, in
/// order, and says how many.
///
/// # Safety
/// The list is this thread's.
pub unsafe fn wake_where(list: *mut List, wake: Wake, wanted: &mut dyn FnMut(&mut u32) -> bool) -> usize {
    let mut count = 0;
    // SAFETY: the caller's promise. Waking takes one waiter off; the one after it is read before.
    unsafe {
        let scheduler: *mut Scheduler = slot::get().cast();
        let mut link = (*list).first();
        while !link.is_null() {
            let next = (*list).after(link);
            let waiter: *mut Waiter = link.cast();
            if wanted(&mut (*waiter).events) {
                (*scheduler).unpark((*waiter).coroutine, wake);
                count += 1;
            }
            link = next;
        }
    }
    count
}
