// SPDX-License-Identifier: MIT OR Apache-2.0
//! sigwait(3), sigwaitinfo(2) and sigtimedwait(2), pause(2) and sigsuspend(2). The signals of the first three are blocked
//! in the thread, as POSIX asks of the caller; a signalfd tells when one has come, and the kernel's own call takes it.

use core::ffi::c_int;

use libc::{siginfo_t, sigset_t, timespec};

use super::level;
use super::pointers;
use super::signal_mask::{SignalMask, Signals};
use crate::scheduler::{Current, Wake};
use crate::sys::clock::NEVER;
use crate::sys::syscall::KERNEL_SIGSET;
use crate::sys::{Errno, Result};
use crate::syscall;

/// `sigtimedwait`; without a timeout, `sigwaitinfo`.
///
/// # Safety
/// As sigtimedwait(2).
pub unsafe fn sigtimedwait(
    current: Current,
    set: *const sigset_t,
    info: *mut siginfo_t,
    timeout: *const timespec,
) -> Result<usize> {
    let zero = timespec { tv_sec: 0, tv_nsec: 0 };
    let take = || loop {
        // SAFETY: the caller's promise.
        match unsafe { syscall!(SYS_rt_sigtimedwait, set, info, &raw const zero, KERNEL_SIGSET) } {
            Err(Errno(libc::EINTR)) => {}
            result => return result,
        }
    };
    let limit = level::limit(timeout)?;
    let nothing = Err(Errno(libc::EAGAIN));
    let mut taken = take();
    if taken == nothing && limit != Some(0) {
        let deadline = level::deadline(limit);
        // SAFETY: the kernel has just read the set, which begins with its own form.
        let signals = Signals::of(unsafe { *set.cast() })?;
        let (fd, events) = signals.event();
        loop {
            let woken = current.wait_fd(fd, events, deadline)?;
            taken = take();
            if taken != nothing || woken == Wake::TimedOut {
                break;
            }
        }
    }
    // SAFETY: the caller's promise: null or valid, and just filled in.
    if let (Ok(_), Some(info)) = (taken, unsafe { info.as_mut() })
        && info.si_code == libc::SI_TKILL
    {
        // As libc does, for which raise() is no different from kill().
        info.si_code = libc::SI_USER;
    }
    taken
}

/// `sigwait`, which returns the error number.
///
/// # Safety
/// As sigwait(3).
pub unsafe fn sigwait(current: Current, set: *const sigset_t, signal: *mut c_int) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        match sigtimedwait(current, set, core::ptr::null_mut(), core::ptr::null()) {
            Ok(number) => pointers::write(signal, &(number as c_int)).err().map_or(0, |error| error.0),
            Err(error) => error.0,
        }
    }
}

/// `pause`, and with a mask `sigsuspend`: waits until a signal handler has run in the thread, whichever coroutine it
/// has interrupted; EINTR. Signals that the thread blocks and the mask does not are let through while the mask is applied
/// for a moment.
pub fn suspend(current: Current, mask: SignalMask) -> Errno {
    let wait = || -> Result<()> {
        let before = current.handlers_run();
        mask.deliver()?;
        let signals = mask.watch()?;
        while current.handlers_run() == before {
            let events = current.handler_events()?;
            let mut each = |index| if index == 0 { (events, libc::POLLIN as u32) } else { signals.event() };
            current.wait_fds(1 + signals.count(), &mut each, NEVER)?;
            mask.deliver()?;
        }
        Ok(())
    };
    wait().err().unwrap_or(Errno(libc::EINTR))
}
