// SPDX-License-Identifier: MIT OR Apache-2.0
//! The signal mask of ppoll, pselect and epoll_pwait: signals that the thread blocks and this mask does not are to end
//! the wait with EINTR, after their handlers have run.
//!
//! A parked coroutine cannot lend its mask to the thread, which other coroutines run on. Instead a signalfd among the
//! descriptors it waits for tells when such a signal has come, and the mask is applied for a moment that does not wait.
//! Signals that the mask blocks and the thread does not are handled as they come, like everywhere in a coroutine.

use core::ptr;

use libc::{sigset_t, timespec};

use super::pointers;
use crate::poller::descriptors::{self, flag};
use crate::scheduler::{self, Held};
use crate::sys::Result;
use crate::sys::syscall::KERNEL_SIGSET;
use crate::syscall;

/// A mask in the kernel's form, or none.
#[derive(Clone, Copy)]
pub struct SignalMask(Option<u64>);

/// The signals that end a wait early: a descriptor to wait for, or none.
pub struct Signals(Option<Held>);

impl SignalMask {
    /// The wait leaves the thread's mask alone.
    pub fn none() -> SignalMask {
        SignalMask(None)
    }

    /// The program's mask, if it is not null; EFAULT.
    pub fn new(mask: *const sigset_t) -> Result<SignalMask> {
        // SAFETY: plain data.
        unsafe { pointers::read_any(mask.cast()) }.map(SignalMask)
    }

    /// Lets those signals through that have come and that the mask does not block; EINTR when a handler has run.
    pub fn deliver(self) -> Result<()> {
        let Some(mask) = self.0 else { return Ok(()) };
        let zero = timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: no descriptors; timeout and mask are valid for the call.
        unsafe { syscall!(SYS_ppoll, 0, 0, &raw const zero, &raw const mask, KERNEL_SIGSET) }.map(|_| ())
    }

    /// Watches for the signals that the thread blocks and the mask does not.
    pub fn watch(self) -> Result<Signals> {
        let Some(mask) = self.0 else { return Ok(Signals(None)) };
        let mut blocked = 0u64;
        // SAFETY: only asks for the thread's mask; `blocked` is valid for the call.
        unsafe {
            syscall!(SYS_rt_sigprocmask, libc::SIG_BLOCK, ptr::null::<u64>(), &raw mut blocked, KERNEL_SIGSET)?;
        }
        let wanted = blocked & !mask;
        if wanted == 0 { Ok(Signals(None)) } else { Signals::of(wanted) }
    }
}

impl Signals {
    /// A descriptor that can be read when one of these signals has come.
    pub fn of(set: u64) -> Result<Signals> {
        let Some(current) = scheduler::current() else { return Ok(Signals(None)) };
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: the set is valid for the call.
        let fd = unsafe { syscall!(SYS_signalfd4, -1isize, &raw const set, KERNEL_SIGSET, flags) }? as i32;
        descriptors::born(fd, flag::NONBLOCK | flag::INTERNAL);
        Ok(Signals(Some(current.hold(fd))))
    }

    /// How many descriptors there are to wait for.
    pub fn count(&self) -> usize {
        usize::from(self.0.is_some())
    }

    /// The descriptor and its events.
    pub fn event(&self) -> (i32, u32) {
        (self.0.as_ref().map_or(-1, Held::fd), libc::POLLIN as u32)
    }
}
