// SPDX-License-Identifier: MIT OR Apache-2.0
//! A queue of coroutines that wait for an event of an object.
//!
//! An object belongs to the thread whose coroutines use it: while some wait, calls from other threads are EPERM.

use crate::coroutine::Wake;
use crate::list::List;
use crate::scheduler;
use crate::sys::clock::deadline_ms;
use crate::sys::{Errno, Result};

/// Waiters in the order in which they came. Zeroed memory becomes one by [`Queue::init`]; it does not move.
pub struct Queue {
    waiters: List,
    /// Whose coroutines wait, as an identity only.
    owner: usize,
}

impl Queue {
    /// # Safety
    /// `queue` is writable and does not move any more.
    pub unsafe fn init(queue: *mut Queue) {
        // SAFETY: the caller's promise.
        unsafe { List::init(&raw mut (*queue).waiters) };
    }

    /// Whether nobody waits.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// EPERM when coroutines of another thread wait.
    #[inline(always)]
    pub fn check_thread(&self) -> Result<()> {
        if self.is_empty() || self.owner == scheduler::identity() { Ok(()) } else { Err(Errno(libc::EPERM)) }
    }

    /// Waits until woken, at most `timeout` milliseconds. ETIMEDOUT; EPERM outside coroutines; EIDRM when the object is
    /// destroyed, and must then not be touched again.
    ///
    /// `tag` is what [`Queue::wake_where`] looks at; what that leaves there is the result. An object may be destroyed between
    /// the wake and the return: whoever touches it afterwards must have been promised that it stays.
    ///
    /// # Safety
    /// `queue` is initialised.
    #[inline]
    pub unsafe fn wait(queue: *mut Queue, tag: u32, timeout: i32) -> Result<u32> {
        if timeout == 0 {
            return Err(Errno(libc::ETIMEDOUT));
        }
        let current = scheduler::current().ok_or(Errno(libc::EPERM))?;
        // SAFETY: the caller's promise. Whoever destroys the object wakes its waiters first.
        let woken = unsafe {
            (*queue).check_thread()?;
            (*queue).owner = scheduler::identity();
            current.wait_in(&raw mut (*queue).waiters, tag, deadline_ms(timeout))
        };
        match woken {
            Wake::Ready => Ok(current.tag()),
            Wake::TimedOut => Err(Errno(libc::ETIMEDOUT)),
            Wake::Closed => Err(Errno(libc::EIDRM)),
        }
    }

    /// Wakes who came first; false when nobody waits.
    ///
    /// # Safety
    /// `queue` is initialised, and [`Queue::check_thread`] said yes.
    #[inline]
    pub unsafe fn wake_first(queue: *mut Queue) -> bool {
        // SAFETY: the caller's promise.
        unsafe { scheduler::wake_first(&raw mut (*queue).waiters, Wake::Ready) }
    }

    /// As [`Queue::wake_first`], if `wanted` accepts the waiter's message and tag; it may change the tag.
    ///
    /// # Safety
    /// As for [`Queue::wake_first`], and all who wait do so with a tag of [`scheduler::offer`].
    #[inline(always)]
    pub unsafe fn wake_first_if(queue: *mut Queue, wanted: impl FnOnce(*const u8, &mut u32) -> bool) -> bool {
        // SAFETY: the caller's promise.
        unsafe { scheduler::wake_first_if(&raw mut (*queue).waiters, Wake::Ready, wanted) }
    }

    /// Wakes all whose tag `wanted` accepts, and may change, in order, and says how many.
    ///
    /// # Safety
    /// As for [`Queue::wake_first`].
    pub unsafe fn wake_where(queue: *mut Queue, wanted: &mut dyn FnMut(&mut u32) -> bool) -> usize {
        // SAFETY: the caller's promise.
        unsafe { scheduler::wake_where(&raw mut (*queue).waiters, Wake::Ready, wanted) }
    }

    /// Wakes all because the object is destroyed.
    ///
    /// # Safety
    /// As for [`Queue::wake_first`].
    pub unsafe fn close(queue: *mut Queue) {
        // SAFETY: the caller's promise.
        unsafe { while scheduler::wake_first(&raw mut (*queue).waiters, Wake::Closed) {} }
    }
}
