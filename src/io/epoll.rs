// SPDX-License-Identifier: MIT OR Apache-2.0
//! epoll_wait(2) and its kin on the program's own sets. An epoll set is itself a descriptor that becomes readable when it
//! has events; any number of coroutines may wait on one.

use core::ffi::c_int;
use core::ptr;

use libc::{POLLIN, epoll_event, sigset_t, timespec};

use super::level::{self, Limit};
use super::signal_mask::SignalMask;
use crate::scheduler::Current;
use crate::sys::Result;
use crate::sys::syscall::KERNEL_SIGSET;
use crate::syscall;

/// `epoll_pwait` inside a coroutine; `epoll_wait` is the one without a mask.
///
/// # Safety
/// As libc's.
pub unsafe fn epoll_pwait(
    current: Current,
    set: c_int,
    events: *mut epoll_event,
    room: c_int,
    timeout: c_int,
    mask: *const sigset_t,
) -> Result<usize> {
    // SAFETY: the caller's promise.
    unsafe { wait(current, set, events, room, level::milliseconds(timeout), SignalMask::new(mask)?) }
}

/// `epoll_pwait2` inside a coroutine, also where the kernel has none.
///
/// # Safety
/// As libc's.
pub unsafe fn epoll_pwait2(
    current: Current,
    set: c_int,
    events: *mut epoll_event,
    room: c_int,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> Result<usize> {
    // SAFETY: the caller's promise.
    unsafe { wait(current, set, events, room, level::limit(timeout)?, SignalMask::new(mask)?) }
}

unsafe fn wait(
    current: Current,
    set: c_int,
    events: *mut epoll_event,
    room: c_int,
    limit: Limit,
    mask: SignalMask,
) -> Result<usize> {
    level::wait(
        limit,
        mask,
        // SAFETY: the caller's promise. Without a timeout the call does not wait, and no signal ends it.
        || unsafe { syscall!(SYS_epoll_pwait, set, events, room, 0, ptr::null::<u64>(), KERNEL_SIGSET) },
        |signals, deadline| {
            if signals.count() == 0 {
                return current.wait_fd(set, POLLIN as u32, deadline);
            }
            let mut each = |index| if index == 0 { (set, POLLIN as u32) } else { signals.event() };
            current.wait_fds(2, &mut each, deadline)
        },
    )
}
