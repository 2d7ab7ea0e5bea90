// SPDX-License-Identifier: MIT OR Apache-2.0
//! poll(2) and ppoll(2).

use core::ffi::{c_int, c_short};
use core::ptr;

use libc::{nfds_t, pollfd, sigset_t, timespec};

use super::level::{self, Limit};
use super::signal_mask::SignalMask;
use crate::scheduler::Current;
use crate::sys::syscall::KERNEL_SIGSET;
use crate::sys::{Errno, Result};
use crate::syscall;

/// `poll` inside a coroutine.
///
/// # Safety
/// As libc's.
pub unsafe fn poll(current: Current, fds: *mut pollfd, count: nfds_t, timeout: c_int) -> Result<usize> {
    // SAFETY: the caller's promise.
    unsafe { wait(current, fds, count, level::milliseconds(timeout), SignalMask::none()) }
}

/// `ppoll` inside a coroutine.
///
/// # Safety
/// As libc's.
pub unsafe fn ppoll(
    current: Current,
    fds: *mut pollfd,
    count: nfds_t,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> Result<usize> {
    // SAFETY: the caller's promise.
    unsafe { wait(current, fds, count, level::limit(timeout)?, SignalMask::new(mask)?) }
}

unsafe fn wait(current: Current, fds: *mut pollfd, count: nfds_t, limit: Limit, mask: SignalMask) -> Result<usize> {
    level::wait(
        limit,
        mask,
        // SAFETY: the caller's promise.
        || unsafe { look(fds, count) },
        |signals, deadline| {
            let mut each = |index: usize| {
                if index as nfds_t == count {
                    return signals.event();
                }
                // SAFETY: the kernel has found `count` entries there.
                let entry = unsafe { &*fds.add(index) };
                (entry.fd, watched_events(entry.events))
            };
            current.wait_fds(count as usize + signals.count(), &mut each, deadline)
        },
    )
}

/// What is ready now. A signal handler that happens to run is no answer.
///
/// # Safety
/// As poll(2).
pub unsafe fn look(fds: *mut pollfd, count: nfds_t) -> Result<usize> {
    loop {
        // The kernel writes what is left of it.
        let mut zero = timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the caller's promise; `zero` is valid for the call.
        match unsafe { syscall!(SYS_ppoll, fds, count, &raw mut zero, ptr::null::<u64>(), KERNEL_SIGSET) } {
            Err(Errno(libc::EINTR)) => {}
            answer => return answer,
        }
    }
}

/// What to watch for so that poll(2) may find one of `events`.
fn watched_events(events: c_short) -> u32 {
    let mut watched = events & (libc::POLLIN | libc::POLLOUT | libc::POLLPRI | libc::POLLRDHUP);
    if events & (libc::POLLRDNORM | libc::POLLRDBAND) != 0 {
        watched |= libc::POLLIN;
    }
    if events & libc::POLLRDBAND != 0 {
        watched |= libc::POLLPRI;
    }
    if events & (libc::POLLWRNORM | libc::POLLWRBAND) != 0 {
        watched |= libc::POLLOUT;
    }
    watched as u32
}
