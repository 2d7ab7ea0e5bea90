// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pools: a bounded number of coroutines with stacks that are made once and reused.
//!
//! A pool belongs to the scheduler that it was first used with; its idle stacks come from there and go with it.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use super::life::{make, make_on};
use super::{Current, Entry, Scheduler, current, this};
use crate::coroutine::{Coroutine, Wake};
use crate::list::List;
use crate::stack::Kind;
use crate::stack::own::{self, Warm};
use crate::sys::clock::deadline_ms;
use crate::sys::{Errno, Result, memory};

/// A pool. It does not move.
pub struct Pool {
    total: usize,
    active: usize,
    /// Places promised to obtainers that have been woken and have not run yet.
    promised: usize,
    /// Promises of an earlier epoch are void: an abort ended the obtainers.
    epoch: u32,
    /// The scheduler that the idle stacks belong to.
    serial: u32,
    /// Bytes of a stack; 0: shared ones.
    stack_size: usize,
    asymmetric: bool,
    /// Stacks that nobody uses; room for `total`.
    idle: *mut Warm,
    idle_count: usize,
    obtainers: List,
}

/// Makes a pool of `total` coroutines (EINVAL when < 1) with stacks of `stack_size` bytes, 0 for shared ones.
pub fn create(total: i32, stack_size: usize, asymmetric: bool) -> Result<*mut Pool> {
    if total < 1 {
        return Err(Errno(libc::EINVAL));
    }
    let stack_size = if stack_size == 0 { 0 } else { own::rounded(stack_size)? };
    let pool = memory::zeroed::<Pool>()?.as_ptr();
    // SAFETY: fresh memory, which stays where it is.
    unsafe {
        List::init(&raw mut (*pool).obtainers);
        (*pool).stack_size = stack_size;
        (*pool).asymmetric = asymmetric;
        if let Err(errno) = (*pool).resize(total) {
            memory::free(pool);
            return Err(errno);
        }
    }
    Ok(pool)
}

impl Pool {
    /// Changes the number of coroutines. More of them wake obtainers; fewer than are active take effect as they come back.
    pub fn resize(&mut self, total: i32) -> Result<()> {
        let total = usize::try_from(total).ok().filter(|&total| total >= 1).ok_or(Errno(libc::EINVAL))?;
        self.adopt()?;
        while self.idle_count > total {
            self.release_idle();
        }
        // SAFETY: `idle` is null or ours, and holds plain data.
        self.idle = unsafe { memory::resize(self.idle, total)? }.as_ptr();
        self.total = total;
        self.wake_obtainers();
        Ok(())
    }

    /// How many can be obtained.
    pub fn available(&mut self) -> usize {
        self.forget_aborted();
        self.total.saturating_sub(self.active + self.promised)
    }

    /// Obtains a coroutine, waiting for one at most `timeout` milliseconds: its cid, or `None` when the time is up. EPERM
    /// where it would have to wait outside a coroutine.
    ///
    /// # Safety
    /// `pool` is alive.
    pub unsafe fn obtain(
        pool: *mut Pool,
        entry: Entry,
        argument: *mut c_void,
        urgent: bool,
        timeout: i32,
    ) -> Result<Option<i32>> {
        // SAFETY: the caller's promise; a pool with obtainers is not destroyed.
        unsafe {
            (*pool).adopt()?;
            if (*pool).available() == 0 || !(*pool).obtainers.is_empty() {
                if timeout == 0 {
                    return Ok(None);
                }
                let current: Current = current().ok_or(Errno(libc::EPERM))?;
                if current.wait_in(&raw mut (*pool).obtainers, 0, deadline_ms(timeout)) == Wake::TimedOut {
                    return Ok(None);
                }
                (*pool).promised -= 1;
            }
            (*pool).start(entry, argument, urgent).map(Some)
        }
    }

    fn start(&mut self, entry: Entry, argument: *mut c_void, urgent: bool) -> Result<i32> {
        let made = self.make(entry, argument);
        let Ok((scheduler, coroutine)) = made else {
            self.wake_obtainers();
            return made.map(|_| 0);
        };
        // SAFETY: both are valid.
        unsafe {
            (*coroutine).asymmetric = self.asymmetric;
            (*(*coroutine).rest).pool = ptr::from_mut(self).cast();
            (*coroutine).urgent = urgent;
            self.serial = (*scheduler).serial;
            self.epoch = (*scheduler).epoch;
            self.active += 1;
            if !self.asymmetric {
                (*scheduler).schedule(coroutine);
            }
            Ok((*coroutine).cid)
        }
    }

    /// A new coroutine on a stack of the pool's kind, an idle one if there is any.
    fn make(&mut self, entry: Entry, argument: *mut c_void) -> Result<(*mut Scheduler, *mut Coroutine)> {
        let scheduler: *mut Scheduler = this().map_or(ptr::null_mut(), NonNull::as_ptr);
        // SAFETY: this thread's scheduler is valid, and idle stacks are its own: `adopt` has checked. They are nobody's.
        unsafe {
            if self.idle_count > 0 && !scheduler.is_null() {
                let stack = *self.idle.add(self.idle_count - 1);
                let coroutine = make_on(scheduler, stack, self.stack_size, entry, argument)?;
                self.idle_count -= 1;
                return Ok((scheduler, coroutine));
            }
            let (scheduler, coroutine) = make(entry, argument)?;
            if self.stack_size > 0
                && let Err(errno) = (*scheduler).give_own_stack(coroutine, self.stack_size)
            {
                (*scheduler).forget_rest(Kind::Shared, (*coroutine).rest);
                (*scheduler).coroutines.remove(coroutine);
                return Err(errno);
            }
            Ok((scheduler, coroutine))
        }
    }

    /// Frees the pool; EBUSY while a coroutine of it is active.
    ///
    /// # Safety
    /// `pool` is alive and, when this succeeds, not used again.
    pub unsafe fn destroy(pool: *mut Pool) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe {
            (*pool).forget_aborted();
            if (*pool).active + (*pool).promised > 0 || !(*pool).obtainers.is_empty() {
                return Err(Errno(libc::EBUSY));
            }
            (*pool).adopt()?;
            while (*pool).idle_count > 0 {
                (*pool).release_idle();
            }
            memory::free((*pool).idle);
            memory::free(pool);
        }
        Ok(())
    }

    /// Gives one of the idle stacks, of which there is one, to the scheduler.
    fn release_idle(&mut self) {
        self.idle_count -= 1;
        // SAFETY: an idle stack is nobody's, and its scheduler is this thread's: `adopt` has checked.
        unsafe {
            let Warm { base, slab } = *self.idle.add(self.idle_count);
            if let Some(scheduler) = this() {
                (*scheduler.as_ptr()).stacks.give_back(base, self.stack_size, slab);
            }
        }
    }

    /// EPERM when another thread's coroutines are active. Idle stacks of a scheduler that is gone are gone too.
    fn adopt(&mut self) -> Result<()> {
        // SAFETY: this thread's scheduler is valid.
        let serial = this().map_or(0, |s| unsafe { (*s.as_ptr()).serial });
        if self.serial != serial {
            if self.active > 0 || !self.obtainers.is_empty() {
                return Err(Errno(libc::EPERM));
            }
            self.idle_count = 0;
            self.serial = serial;
        }
        self.forget_aborted();
        Ok(())
    }

    fn forget_aborted(&mut self) {
        let epoch = super::aborts();
        if self.epoch != epoch {
            self.epoch = epoch;
            self.promised = 0;
        }
    }

    fn wake_obtainers(&mut self) {
        // A scheduler that is being freed wakes nobody.
        while !self.obtainers.is_empty() && this().is_some() && self.available() > 0 {
            // SAFETY: obtainers are this thread's coroutines: `adopt` has checked.
            if !unsafe { super::wake_first(&raw mut self.obtainers, Wake::Ready) } {
                break;
            }
            self.promised += 1;
        }
    }
}

/// Whether a coroutine's pool, which it has, will keep its stack.
///
/// # Safety
/// As [`give_back`].
pub unsafe fn keeps_stack(coroutine: *const Coroutine) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let rest = (*coroutine).rest;
        let pool = &*(*rest).pool.cast::<Pool>();
        (*coroutine).kind == Kind::Own && (*rest).stack.size == pool.stack_size && pool.idle_count < pool.total
    }
}

/// A coroutine of a pool ends: its stack stays with the pool, or not: false; its place goes to who waits for one.
///
/// # Safety
/// `coroutine` has a pool and will not run again; a pool with active coroutines is alive.
pub unsafe fn give_back(coroutine: *mut Coroutine) -> bool {
    // SAFETY: the caller's promise. `idle` has room for `total`.
    unsafe {
        let keeps = keeps_stack(coroutine);
        let rest = (*coroutine).rest;
        let pool = &mut *(*rest).pool.cast::<Pool>();
        pool.active -= 1;
        if keeps {
            let stack = &(*rest).stack;
            pool.idle.add(pool.idle_count).write(Warm { base: stack.base, slab: stack.home.slab });
            pool.idle_count += 1;
        }
        if !pool.obtainers.is_empty() {
            pool.wake_obtainers();
        }
        keeps
    }
}

/// Gives an asymmetric coroutine of a pool back. EINVAL: it is of none.
pub fn give_back_asymmetric(cid: i32) -> Result<()> {
    let (_, coroutine): (*mut Scheduler, _) = super::life::find(cid)?;
    // SAFETY: a live coroutine is valid.
    if unsafe { (*(*coroutine).rest).pool.is_null() } {
        return Err(Errno(libc::EINVAL));
    }
    super::asymmetric_free(cid)
}
