// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connecting sockets.

use core::ffi::c_int;

use libc::{sockaddr, socklen_t};

use super::flags::{FlagLock, is_nonblocking};
use super::waits::EAGAIN;
use super::{Caller, Waits};
use crate::poller::descriptors;
use crate::scheduler::Direction;
use crate::sys::{Errno, Result};
use crate::syscall;

const EINPROGRESS: Errno = Errno(libc::EINPROGRESS);
const EALREADY: Errno = Errno(libc::EALREADY);

/// `connect`. A connection that a timeout (SO_SNDTIMEO) leaves unfinished is EINPROGRESS; calling again waits on.
///
/// # Safety
/// As connect(2).
pub unsafe fn connect(caller: Caller, fd: c_int, address: *const sockaddr, length: socklen_t) -> Result<usize> {
    // SAFETY: the caller's promise.
    let call = || unsafe { syscall!(SYS_connect, fd, address, length) };
    let snapshot = descriptors::get(fd);
    let nonblocking = is_nonblocking(fd, snapshot)?;
    if nonblocking && caller.heeds_nonblock() {
        return call();
    }
    let mut waits = Waits::of_socket(caller, fd, Direction::Write);
    let deadline = waits.deadline();
    let current = caller.current();
    let may_share = current.streams_by_ring() && snapshot.stream() && snapshot.known() && !snapshot.shared();
    let attempt = || {
        if nonblocking {
            return call();
        }
        let together = may_share && current.has_company();
        if let Ok(deadline) = deadline
            // SAFETY: the caller's promise.
            && let Some(result) = unsafe { current.connect(fd, address, length, deadline, together) }
        {
            // SAFETY: the kernel has read the address.
            return if result == Err(EINPROGRESS) && unsafe { is_unix(address) } { Err(EAGAIN) } else { result };
        }
        let lock = FlagLock::take(fd);
        lock.without_blocking(fd, call)
    };
    let mut begun = None;
    loop {
        // Asking again is how connect itself tells what became of it, and takes note of a failure in the socket's state.
        match attempt() {
            Err(error @ (EINPROGRESS | EALREADY)) => {
                let first = *begun.get_or_insert(error);
                waits.park().map_err(|error| if error == EAGAIN { first } else { error })?;
            }
            // Some families say so when the connection has been made in the meantime.
            Err(Errno(libc::EISCONN)) if begun.is_some() => return Ok(0),
            // The listener's queue is full. There is nothing that could be polled for room in it.
            // SAFETY: the kernel has read the address, which has a family.
            Err(EAGAIN) if unsafe { is_unix(address) } => waits.back_off()?,
            result => return result,
        }
    }
}

/// # Safety
/// The address can be read.
unsafe fn is_unix(address: *const sockaddr) -> bool {
    // SAFETY: the caller's promise.
    c_int::from(unsafe { (*address).sa_family }) == libc::AF_UNIX
}
