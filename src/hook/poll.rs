// SPDX-License-Identifier: MIT OR Apache-2.0
//! poll, select, epoll_wait and their kin.

use core::ffi::c_int;
use core::ptr;

use libc::{epoll_event, fd_set, nfds_t, pollfd, sigset_t, timespec, timeval};

use crate::io::{self, c_number};
use crate::scheduler::blocked::watched;
use crate::scheduler::hooked as current;
use crate::sys::next;

/// As libc's; inside a coroutine only the coroutine waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn poll(fds: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int {
    watched("poll", move || {
        match current() {
            // SAFETY: the caller keeps libc's promises.
            Some(current) => c_number(unsafe { io::poll::poll(current, fds, count, timeout) }),
            // SAFETY: the same.
            None => unsafe { next::poll(fds, count, timeout) },
        }
    })
}

/// As libc's; inside a coroutine only the coroutine waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ppoll(
    fds: *mut pollfd,
    count: nfds_t,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    watched("ppoll", move || {
        match current() {
            // SAFETY: the caller keeps libc's promises.
            Some(current) => c_number(unsafe { io::poll::ppoll(current, fds, count, timeout, mask) }),
            // SAFETY: the same.
            None => unsafe { next::ppoll(fds, count, timeout, mask) },
        }
    })
}

/// As libc's; inside a coroutine only the coroutine waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn select(
    count: c_int,
    reads: *mut fd_set,
    writes: *mut fd_set,
    exceptions: *mut fd_set,
    timeout: *mut timeval,
) -> c_int {
    watched("select", move || {
        match current() {
            // SAFETY: the caller keeps libc's promises.
            Some(current) => {
                // SAFETY: as above.
                c_number(unsafe { io::select::select(current, count, [reads, writes, exceptions], timeout) })
            }
            // SAFETY: the same.
            None => unsafe { next::select(count, reads, writes, exceptions, timeout) },
        }
    })
}

/// As libc's; inside a coroutine only the coroutine waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pselect(
    count: c_int,
    reads: *mut fd_set,
    writes: *mut fd_set,
    exceptions: *mut fd_set,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    watched("pselect", move || {
        match current() {
            // SAFETY: the caller keeps libc's promises.
            Some(current) => {
                // SAFETY: the program keeps libc's promises.
                c_number(unsafe { io::select::pselect(current, count, [reads, writes, exceptions], timeout, mask) })
            }
            // SAFETY: the same.
            None => unsafe { next::pselect(count, reads, writes, exceptions, timeout, mask) },
        }
    })
}

/// As libc's; inside a coroutine only the coroutine waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn epoll_wait(set: c_int, events: *mut epoll_event, room: c_int, timeout: c_int) -> c_int {
    watched("epoll_wait", move || {
        match current() {
            // SAFETY: the caller keeps libc's promises.
            Some(current) => {
                // SAFETY: as above.
                c_number(unsafe { io::epoll::epoll_pwait(current, set, events, room, timeout, ptr::null()) })
            }
            // SAFETY: the same.
            None => unsafe { next::epoll_wait(set, events, room, timeout) },
        }
    })
}

/// As libc's; inside a coroutine only the coroutine waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn epoll_pwait(
    set: c_int,
    events: *mut epoll_event,
    room: c_int,
    timeout: c_int,
    mask: *const sigset_t,
) -> c_int {
    watched("epoll_pwait", move || {
        match current() {
            // SAFETY: the caller keeps libc's promises.
            Some(current) => c_number(unsafe { io::epoll::epoll_pwait(current, set, events, room, timeout, mask) }),
            // SAFETY: the same.
            None => unsafe { next::epoll_pwait(set, events, room, timeout, mask) },
        }
    })
}

/// As libc's; inside a coroutine only the coroutine waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn epoll_pwait2(
    set: c_int,
    events: *mut epoll_event,
    room: c_int,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    watched("epoll_pwait2", move || {
        match current() {
            // SAFETY: the caller keeps libc's promises.
            Some(current) => c_number(unsafe { io::epoll::epoll_pwait2(current, set, events, room, timeout, mask) }),
            // SAFETY: the same.
            None => unsafe { next::epoll_pwait2(set, events, room, timeout, mask) },
        }
    })
}
