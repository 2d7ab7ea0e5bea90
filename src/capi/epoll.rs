// SPDX-License-Identifier: MIT OR Apache-2.0
//! epoll
//!
//! Each coroutine may have one epoll set of its own, to wait for many
//! descriptors at a time. It is freed with the coroutine, however that
//! ends. epoll_wait() and poll() on sets and descriptors of the program
//! work in coroutines as well.

use core::ffi::c_int;

use super::{fail, status};
use crate::io::epoll_set;

/// Makes the calling coroutine's epoll set. Does not wait.
///
/// @return 0, or -1 and errno: EEXIST it has one; EPERM called outside a
///         coroutine; EMFILE, ENFILE, ENOMEM
#[unsafe(no_mangle)]
pub extern "C" fn dyco_epoll_init() -> c_int {
    status(epoll_set::init())
}

/// Frees the calling coroutine's epoll set, if it has one.
#[unsafe(no_mangle)]
pub extern "C" fn dyco_epoll_destroy() {
    epoll_set::destroy();
}

/// Adds a descriptor to the coroutine's set, as epoll_ctl() with
/// EPOLL_CTL_ADD.
///
/// @param fd the descriptor
/// @param ev the events, and what dyco_epoll_wait() is to give back
/// @return 0, or -1 and errno: as epoll_ctl(); EINVAL no dyco_epoll_init()
///         before; EPERM called outside a coroutine, too
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_epoll_add(fd: c_int, ev: *mut libc::epoll_event) -> c_int {
    // SAFETY: `ev` is the caller's, under epoll_ctl's own contract.
    status(unsafe { epoll_set::control(libc::EPOLL_CTL_ADD, fd, ev) })
}

/// Takes a descriptor out of the coroutine's set, as epoll_ctl() with
/// EPOLL_CTL_DEL.
///
/// @param fd the descriptor
/// @param ev ignored, may be NULL
/// @return 0, or -1 and errno as dyco_epoll_add()
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_epoll_del(fd: c_int, ev: *mut libc::epoll_event) -> c_int {
    // SAFETY: as in `dyco_epoll_add`.
    status(unsafe { epoll_set::control(libc::EPOLL_CTL_DEL, fd, ev) })
}

/// Waits until descriptors of the coroutine's set are ready, as
/// epoll_wait(). Only the coroutine waits.
///
/// @param events    gets what is ready
/// @param maxevents how many events there is room for, > 0
/// @param timeout   milliseconds; negative: for ever; 0: does not wait
/// @return how many are ready; 0 when the time is up; or -1 and errno:
///         EINVAL maxevents < 1, or no dyco_epoll_init() before; EFAULT;
///         EPERM called outside a coroutine
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_epoll_wait(events: *mut libc::epoll_event, maxevents: c_int, timeout: c_int) -> c_int {
    // SAFETY: `events` is the caller's, under epoll_wait's own contract.
    match unsafe { epoll_set::wait(events, maxevents, timeout) } {
        Ok(count) => count as c_int,
        Err(error) => fail(error),
    }
}
