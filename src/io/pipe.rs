// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making pipes, of which the births of both ends are noted; and reading and writing them by the ring.
//!
//! What is known of a number is a hint here, too, as `remembered` has it: an operation in the ring does not hold up the thread,
//! whatever the number means, and when a read has waited a while in vain it is asked.

use core::ffi::c_int;

use libc::{c_void, iovec, size_t};

use super::pieces::read_nowait;
use super::remembered::is_still;
use super::waits::{EAGAIN, LOOK_AGAIN};
use super::{Caller, Waits};
use crate::poller::descriptors::{self, Snapshot, flag};
use crate::scheduler::{Current, Direction, in_vfork_child};
use crate::sys::clock::{self, NEVER};
use crate::sys::{Errno, Result};

/// Notes the births of a pipe that libc was asked for, if it was made; gives `result` back.
///
/// # Safety
/// `ends` is what libc's pipe2 was given.
pub unsafe fn note(result: c_int, ends: *const c_int, flags: c_int) -> c_int {
    if result == 0 && !in_vfork_child() {
        let facts = if flags & libc::O_NONBLOCK != 0 { flag::PIPE | flag::NONBLOCK } else { flag::PIPE };
        for index in 0..2 {
            // SAFETY: libc has just filled in two numbers.
            descriptors::born(unsafe { *ends.add(index) }, facts);
        }
    }
    result
}

/// Whether it is a blocking end of a pipe that nobody else can make non-blocking, and the call may wait.
fn may_go_by_ring(waits: &Waits, snapshot: Snapshot, waiting: u32) -> bool {
    snapshot.flags & (flag::PIPE | flag::NONBLOCK | flag::SHARED | waiting) == flag::PIPE && !waits.is_impatient()
}

/// `read` from a pipe where it may go by the ring: when there is nothing yet, the kernel puts what comes where the caller wants
/// it. `None`: try otherwise. Not inlined: a coroutine that waits otherwise must not have room for this on its stack.
///
/// # Safety
/// As read(2), of at least one byte.
#[inline(never)]
pub unsafe fn read_by_ring(
    current: Current,
    fd: c_int,
    snapshot: Snapshot,
    buffer: *mut c_void,
    length: size_t,
) -> Option<Result<usize>> {
    let waits = Waits::of_remembered(Caller::Libc(current), fd, Direction::Read);
    if !may_go_by_ring(&waits, snapshot, flag::READ_WAITS)
        || !current.has_company()
        || !current.may_read_pipe(fd, buffer, length)
    {
        return None;
    }
    if !current.is_dry(fd) {
        let piece = iovec { iov_base: buffer, iov_len: length };
        // SAFETY: one piece, the caller's buffer.
        match unsafe { read_nowait(fd, &raw const piece, 1) } {
            Err(EAGAIN) => {}
            Err(Errno(libc::EOPNOTSUPP)) => return None,
            result => {
                current.note_tried(fd, matches!(result, Ok(got) if 0 < got && got < length));
                return Some(result);
            }
        }
    }
    // SAFETY: the caller's promise.
    match unsafe { current.read_pipe(fd, buffer, length, clock::after(LOOK_AGAIN)) } {
        Some(Err(EAGAIN)) if descriptors::get(fd).generation != snapshot.generation => Some(Err(Errno(libc::EBADF))),
        // SAFETY: as above.
        Some(Err(EAGAIN)) if is_still(fd, snapshot) => unsafe { current.read_pipe(fd, buffer, length, NEVER) },
        Some(Err(EAGAIN)) => None,
        result => result,
    }
}

/// `write` to a pipe where it may go by the ring, together with what others do: the coroutine goes on when it is done, the next
/// time round, and perhaps not all is written. `None`: try otherwise. Not inlined, as [`read_by_ring`].
///
/// # Safety
/// As write(2).
#[inline(never)]
pub unsafe fn write_by_ring(
    current: Current,
    fd: c_int,
    snapshot: Snapshot,
    buffer: *const c_void,
    length: size_t,
) -> Option<Result<usize>> {
    let waits = Waits::of_remembered(Caller::Libc(current), fd, Direction::Write);
    if !may_go_by_ring(&waits, snapshot, flag::WRITE_WAITS)
        || length == 0
        || !current.has_company()
        || !current.may_write_pipe()
        || waits.is_drained()
    {
        return None;
    }
    // SAFETY: the caller's promise.
    unsafe { current.write_pipe(fd, buffer, length) }
}
