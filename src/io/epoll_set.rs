// SPDX-License-Identifier: MIT OR Apache-2.0
//! A coroutine's own epoll set.

use core::ffi::c_int;
use core::ptr;

use libc::epoll_event;

use super::epoll;
use crate::poller::descriptors::{self, flag};
use crate::scheduler;
use crate::sys::{Errno, Result};
use crate::syscall;

/// Makes the calling coroutine's set. EPERM outside coroutines; EEXIST when it has one.
pub fn init() -> Result<()> {
    let current = scheduler::current().ok_or(Errno(libc::EPERM))?;
    if current.epoll_set().is_some() {
        return Err(Errno(libc::EEXIST));
    }
    current.open_epoll_set(|| {
        // SAFETY: no pointers.
        let fd = unsafe { syscall!(SYS_epoll_create1, libc::EPOLL_CLOEXEC) }? as c_int;
        descriptors::born(fd, flag::INTERNAL);
        Ok(fd)
    })
}

/// Closes the calling coroutine's set, if it has one.
pub fn destroy() {
    if let Some(current) = scheduler::current() {
        current.close_epoll_set();
    }
}

/// The calling coroutine's set. EPERM outside coroutines; EINVAL when it has none.
fn own() -> Result<(scheduler::Current, c_int)> {
    let current = scheduler::current().ok_or(Errno(libc::EPERM))?;
    let set = current.epoll_set().ok_or(Errno(libc::EINVAL))?;
    Ok((current, set))
}

/// epoll_ctl(2) on the calling coroutine's set.
///
/// # Safety
/// As libc's.
pub unsafe fn control(operation: c_int, fd: c_int, event: *mut epoll_event) -> Result<()> {
    let (_, set) = own()?;
    // SAFETY: the caller's promise.
    unsafe { syscall!(SYS_epoll_ctl, set, operation, fd, event) }.map(|_| ())
}

/// epoll_wait(2) on the calling coroutine's set.
///
/// # Safety
/// As libc's.
pub unsafe fn wait(events: *mut epoll_event, room: c_int, timeout: c_int) -> Result<usize> {
    let (current, set) = own()?;
    // SAFETY: the caller's promise.
    unsafe { epoll::epoll_pwait(current, set, events, room, timeout, ptr::null()) }
}
