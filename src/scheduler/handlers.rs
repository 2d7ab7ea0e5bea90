// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signal handlers of the program that run in this thread. One may have interrupted a coroutine anywhere: in the middle of
//! our own lists, or in malloc. So a call in a handler never parks; it is made outside coroutines.

use core::ffi::c_int;
use core::ptr;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering::Relaxed};

use super::Scheduler;
#[cfg(feature = "hook")]
use super::{Current, this};
use crate::arch;
use crate::coroutine::Coroutine;
use crate::poller::descriptors;
#[cfg(feature = "hook")]
use crate::poller::{descriptors::flag, epoll};
#[cfg(feature = "hook")]
use crate::sys::Result;
use crate::sys::syscall::KERNEL_SIGSET;
#[cfg(feature = "hook")]
use crate::syscall;
use crate::syscall_raw;

/// The handler that runs; zeroed: none.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Mark {
    /// In the frame that has called it: a word that holds the complement of its address.
    frame: usize,
    /// Whom it has interrupted.
    coroutine: *mut Coroutine,
    signal: c_int,
    /// The signal is not blocked meanwhile.
    is_open: bool,
}

impl Mark {
    const NONE: Mark = Mark { frame: 0, coroutine: ptr::null_mut(), signal: 0, is_open: false };

    /// No handler runs.
    #[inline(always)]
    pub fn clear(&mut self) {
        *self = Mark::NONE;
    }

    #[inline(always)]
    pub fn is_set(&self) -> bool {
        self.frame != 0
    }
}

/// How many handlers have returned, for coroutines that wait for one. Zeroed memory becomes one by [`Handled::init`].
#[cfg_attr(not(feature = "hook"), allow(dead_code))]
pub struct Handled {
    count: AtomicU32,
    /// An eventfd that tells of each; -1 until somebody waits.
    fd: AtomicI32,
}

impl Handled {
    pub fn init(&mut self) {
        self.fd.store(-1, Relaxed);
    }

    #[cfg(feature = "hook")]
    fn note(&self) {
        self.count.fetch_add(1, Relaxed);
        let fd = self.fd.load(Relaxed);
        if fd >= 0 {
            epoll::wake(fd);
        }
    }

    /// Ends the descriptor; the next who waits gets another one.
    pub fn close(&self) {
        let fd = self.fd.swap(-1, Relaxed);
        if fd >= 0 {
            descriptors::forget(fd);
            // SAFETY: the descriptor is ours alone.
            unsafe { syscall_raw!(SYS_close, fd) };
        }
    }
}

#[cfg(feature = "hook")]
impl Current {
    /// How many signal handlers have returned in this thread.
    pub fn handlers_run(self) -> u32 {
        // SAFETY: the scheduler is valid while its coroutine runs.
        unsafe { (*self.scheduler()).handled.count.load(Relaxed) }
    }

    /// A descriptor that is readable after each of them.
    pub fn handler_events(self) -> Result<i32> {
        // SAFETY: as above.
        let handled = unsafe { &(*self.scheduler()).handled };
        if handled.fd.load(Relaxed) < 0 {
            // SAFETY: no pointers.
            let fd = unsafe { syscall!(SYS_eventfd2, 0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) }? as i32;
            descriptors::born(fd, flag::INTERNAL | flag::NONBLOCK);
            handled.fd.store(fd, Relaxed);
        }
        Ok(handled.fd.load(Relaxed))
    }
}

/// Calls a handler of the program. `is_open`: it was installed with SA_NODEFER.
#[cfg(feature = "hook")]
pub fn run_handler(signal: c_int, is_open: bool, handler: &mut dyn FnMut()) {
    let Some(scheduler) = this() else { return handler() };
    let scheduler = scheduler.as_ptr();
    // SAFETY: this thread's scheduler is valid; the handler may free it.
    unsafe {
        let before = (*scheduler).handler;
        let mut word = 0usize;
        let frame = (&raw mut word) as usize;
        (&raw mut word).write_volatile(!frame);
        (*scheduler).handler = Mark { frame, coroutine: (*scheduler).running, signal, is_open };
        handler();
        (&raw mut word).write_volatile(0);
        if this().is_some_and(|now| now.as_ptr() == scheduler) {
            (*scheduler).handler = before;
            (*scheduler).handled.note();
        }
    }
}

/// Whether the caller is in a signal handler. One that was left by siglongjmp is forgotten.
///
/// # Safety
/// `scheduler` is this thread's.
#[cold]
pub(super) unsafe fn is_in_handler(scheduler: *mut Scheduler) -> bool {
    // SAFETY: the caller's promise; a coroutine that runs is valid, and what is above its stack pointer is readable.
    unsafe {
        let mark = (*scheduler).handler;
        let running = (*scheduler).running;
        let mut left = running != mark.coroutine;
        if !left && !running.is_null() {
            // Frames on an alternate stack have no order with those of the coroutine.
            let stack = &(*(*running).rest).stack;
            let here = arch::stack_pointer();
            if stack.contains(here) {
                let is_below = stack.contains(mark.frame as *const u8) && (here as usize) < mark.frame;
                left = !is_below || (mark.frame as *const usize).read_volatile() != !mark.frame;
            }
        }
        if left || !(mark.is_open || is_blocked(mark.signal)) {
            (*scheduler).handler.clear();
            return false;
        }
        true
    }
}

/// Whether the thread blocks the signal, as it does in a handler of it, and not after siglongjmp.
fn is_blocked(signal: c_int) -> bool {
    let mut mask = 0u64;
    // SAFETY: asks only, into a mask of the kernel's size.
    unsafe { syscall_raw!(SYS_rt_sigprocmask, libc::SIG_BLOCK, 0, &raw mut mask, KERNEL_SIGSET) };
    mask & 1 << (signal - 1) != 0
}
