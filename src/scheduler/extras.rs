// SPDX-License-Identifier: MIT OR Apache-2.0
//! What few coroutines need, kept out of the control block: an epoll set, signals, a child waited for, work that a
//! helper does, answers that libc would keep for the thread. It ends with the coroutine, however that ends.

use core::ffi::{c_int, c_void};
use core::ptr;

use super::children::kept::Command;
use super::children::{Claim, Report};
use super::offload::Job;
use super::signals::Holder;
use super::{Current, Scheduler, descriptor_closed, descriptor_closing};
use crate::coroutine::Coroutine;
use crate::sys::{Result, memory};
use crate::syscall_raw;

/// A coroutine's extras.
pub(super) struct Extras {
    /// Its epoll set; -1: none.
    epoll_set: i32,
    /// A descriptor that its present call has opened and that nobody else knows; -1: none.
    held: i32,
    /// The signals that it holds; null: none.
    pub(super) signals: *mut Holder,
    /// The child that it waits for.
    pub(super) claim: Claim,
    /// What that has come to.
    report: Report,
    /// The command that it waits for.
    pub(super) command: Command,
    /// What a helper does for it; null: nothing.
    pub(super) job: *mut Job,
    /// Its `h_errno`.
    #[cfg_attr(not(feature = "hook"), allow(dead_code))]
    h_errno: c_int,
    /// What libc would keep in static memory: the last answers of functions that look hosts up; null: none.
    answers: [*mut c_void; 3],
}

impl Extras {
    /// Not inlined: they are put together on the stack, where a coroutine that waits must not have room for them.
    #[cold]
    #[inline(never)]
    fn make() -> Result<*mut Extras> {
        let extras = memory::zeroed::<Extras>()?.as_ptr();
        // SAFETY: fresh memory.
        unsafe {
            extras.write(Extras {
                epoll_set: -1,
                held: -1,
                signals: ptr::null_mut(),
                claim: Claim::none(),
                report: Report::none(),
                command: Command::none(),
                job: ptr::null_mut(),
                h_errno: 0,
                answers: [ptr::null_mut(); 3],
            });
        }
        Ok(extras)
    }
}

impl Current {
    /// The calling coroutine's extras, or null.
    pub(super) fn extras(self) -> *mut Extras {
        // SAFETY: the coroutine that runs is valid.
        unsafe { (*(*self.coroutine()).rest).extras.cast() }
    }

    /// The calling coroutine's extras, made if need be.
    pub(super) fn make_extras(self) -> Result<*mut Extras> {
        // SAFETY: the coroutine that runs is valid; the new extras are its own.
        unsafe {
            let rest = (*self.coroutine()).rest;
            if (*rest).extras.is_null() {
                (*rest).extras = Extras::make()?.cast();
            }
            Ok((*rest).extras.cast())
        }
    }

    /// Where there is room for what a child has come to; `None`: no memory.
    pub fn report_place(self) -> Option<*mut Report> {
        // SAFETY: the extras are the calling coroutine's, and stay where they are.
        self.make_extras().ok().map(|extras| unsafe { &raw mut (*extras).report })
    }

    /// Where the calling coroutine's `h_errno` is.
    #[cfg(feature = "hook")]
    pub fn h_errno(self) -> Result<*mut c_int> {
        // SAFETY: the extras are the calling coroutine's, and stay where they are.
        self.make_extras().map(|extras| unsafe { &raw mut (*extras).h_errno })
    }

    /// Keeps an answer, from [`memory`], until the next one of that kind, or the coroutine's end.
    #[cfg(feature = "hook")]
    pub fn keep_answer(self, kind: usize, answer: *mut c_void) -> Result<()> {
        // SAFETY: the extras are the calling coroutine's; who gets a new answer has done with the old one.
        self.make_extras().map(|extras| unsafe {
            memory::free(core::mem::replace(&mut (*extras).answers[kind], answer));
        })
    }

    /// The calling coroutine's epoll set, if it has one.
    pub fn epoll_set(self) -> Option<i32> {
        // SAFETY: the coroutine's extras are null or valid.
        unsafe { self.extras().as_ref() }.map(|extras| extras.epoll_set).filter(|&set| set >= 0)
    }

    /// Gives the calling coroutine, which has none, the epoll set that `open` makes.
    pub fn open_epoll_set(self, open: impl FnOnce() -> Result<i32>) -> Result<()> {
        let extras = self.make_extras()?;
        // SAFETY: valid, and this coroutine's alone.
        unsafe { (*extras).epoll_set = open()? };
        Ok(())
    }

    /// Closes the calling coroutine's epoll set, if it has one.
    pub fn close_epoll_set(self) {
        // SAFETY: the coroutine's extras are null or valid.
        if let Some(extras) = unsafe { self.extras().as_mut() } {
            close_own(core::mem::replace(&mut extras.epoll_set, -1));
        }
    }
}

/// A descriptor that is closed when this is dropped, or when the coroutine is ended from outside.
pub struct Held {
    current: Current,
    fd: i32,
}

impl Current {
    /// Sees to it that `fd`, which the calling coroutine's present call has opened, does not outlive both. Without memory, and
    /// in a signal handler that has interrupted such a call, it outlives a coroutine that is ended from outside.
    pub fn hold(self, fd: i32) -> Held {
        // SAFETY: valid, and this coroutine's alone.
        if let Some(extras) = self.make_extras().ok().and_then(|extras| unsafe { extras.as_mut() })
            && extras.held < 0
        {
            extras.held = fd;
        }
        Held { current: self, fd }
    }
}

impl Held {
    /// The descriptor; -1: none.
    pub fn fd(&self) -> i32 {
        self.fd
    }

    /// The descriptor is the program's from now on.
    pub fn keep(self) {
        self.let_go();
        core::mem::forget(self);
    }

    fn let_go(&self) {
        // SAFETY: the coroutine's extras are null or valid.
        if let Some(extras) = unsafe { self.current.extras().as_mut() }
            && extras.held == self.fd
        {
            extras.held = -1;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.let_go();
        close_own(self.fd);
    }
}

/// Closes a descriptor of the library's own, known to `descriptors`, that a coroutine may have waited for; a negative
/// one is none.
pub(super) fn close_own(fd: i32) {
    if fd >= 0 {
        let closing = descriptor_closing(fd);
        // SAFETY: the descriptor is ours alone.
        unsafe { syscall_raw!(SYS_close, fd) };
        descriptor_closed(closing, true);
    }
}

impl Scheduler {
    /// Frees what a coroutine that has ended had besides its control block.
    ///
    /// # Safety
    /// `coroutine` is one of this scheduler and waits for nothing.
    #[inline(always)]
    pub(super) unsafe fn release_extras(&mut self, coroutine: *mut Coroutine) {
        // SAFETY: the caller's promise.
        unsafe {
            if !(*(*coroutine).rest).extras.is_null() {
                self.free_extras(coroutine);
            }
        }
    }

    /// As [`Scheduler::release_extras`], of one that has some.
    ///
    /// # Safety
    /// As there.
    #[inline(never)]
    unsafe fn free_extras(&mut self, coroutine: *mut Coroutine) {
        // SAFETY: the caller's promise; extras are the coroutine's own.
        unsafe {
            let rest = (*coroutine).rest;
            let extras: *mut Extras = (*rest).extras.cast();
            (*rest).extras = ptr::null_mut();
            close_own((*extras).epoll_set);
            close_own((*extras).held);
            if !(*extras).signals.is_null() {
                self.release_signals((*extras).signals);
            }
            self.end_claim(&raw mut (*extras).claim);
            (*extras).command.end();
            self.abandon((*extras).job);
            for answer in (*extras).answers {
                memory::free(answer);
            }
            memory::free(extras);
        }
    }
}
