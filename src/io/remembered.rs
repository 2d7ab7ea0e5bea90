// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading and writing what a hook has seen being made, as a pipe, an eventfd, a timerfd or the like: what it is need not be
//! asked at each call.
//!
//! The number may have been closed and used again behind our back, so what is remembered is a hint. No call here can hold
//! up the thread, whatever the number means: it is asked not to wait (RWF_NOWAIT), or the descriptor does not wait at the
//! time of the call, or it has said that it has room. And before a call writes the rest or tells of EAGAIN, and when it has
//! waited a while in vain, it is asked again. `None`: it is something else, or must be treated as if nothing was known.

use core::ffi::c_int;

use libc::{c_void, iovec, mode_t, size_t};

use super::device::{NAMELESS, finish_pipe, is_nonblocking_still, kind};
use super::file::writev;
use super::flags::FlagLock;
use super::pieces::{Pieces, read_nowait, write_nowait};
use super::waits::EAGAIN;
use super::{Caller, Waits, pipe};
use crate::poller::descriptors::{self, Snapshot, flag};
use crate::scheduler::{Current, Direction};
use crate::sys::{Errno, Result};
use crate::syscall;

/// `readv`.
///
/// # Safety
/// As readv(2).
pub unsafe fn read(
    current: Current,
    fd: c_int,
    snapshot: Snapshot,
    list: *const iovec,
    count: c_int,
) -> Option<Result<usize>> {
    let mut waits = Waits::of_remembered(Caller::Libc(current), fd, Direction::Read);
    // SAFETY: the caller's promise.
    let nowait = || unsafe { read_nowait(fd, list, count) };
    // SAFETY: the caller's promise.
    let plainly = || unsafe { syscall!(SYS_readv, fd, list, count) };
    until(&mut waits, snapshot, flag::READ_WAITS, nowait, plainly)
}

/// `writev` to a pipe.
///
/// # Safety
/// As writev(2).
pub unsafe fn write(
    current: Current,
    fd: c_int,
    snapshot: Snapshot,
    list: *const iovec,
    count: c_int,
) -> Option<Result<usize>> {
    if snapshot.flags & flag::PIPE == 0 {
        return None;
    }
    let mut waits = Waits::of_remembered(Caller::Libc(current), fd, Direction::Write);
    // SAFETY: the caller's promise.
    let nowait = || unsafe { write_nowait(fd, list, count) };
    let result = until(&mut waits, snapshot, flag::WRITE_WAITS, nowait, nowait)?;
    // SAFETY: the kernel has just read the list.
    Some(result.map(|done| finish(&mut waits, snapshot, unsafe { Pieces::new(list, count as usize) }, done)))
}

/// A write to what was taken for a pipe has taken `done` bytes: goes on if it has to.
fn finish(waits: &mut Waits, snapshot: Snapshot, pieces: Pieces, done: usize) -> usize {
    if done >= pieces.left() {
        return done;
    }
    let is_pipe = is_still(waits.fd, snapshot);
    if is_pipe && waits.deadline().is_ok() {
        return finish_pipe(waits, pieces, done);
    }
    if !is_pipe || !is_nonblocking_still(waits) {
        return write_rest(waits.current(), waits.fd, pieces, done);
    }
    done
}

/// What was taken for a pipe has taken `done` bytes: writes the rest as to what it is.
#[cold]
fn write_rest(current: Current, fd: c_int, mut pieces: Pieces, mut done: usize) -> usize {
    pieces.advance(done);
    while pieces.left() > 0 {
        let window = pieces.window();
        let (list, count) = window.list();
        // SAFETY: the pieces are the caller's buffers.
        match unsafe { writev(current, fd, list, count) } {
            Ok(more) if more > 0 => {
                done += more;
                pieces.advance(more);
            }
            _ => break,
        }
    }
    done
}

/// `write`.
///
/// # Safety
/// As write(2).
pub unsafe fn write_one(
    current: Current,
    fd: c_int,
    snapshot: Snapshot,
    buffer: *const c_void,
    length: size_t,
) -> Option<Result<usize>> {
    if snapshot.flags & flag::EVENT == 0 {
        let piece = iovec { iov_base: buffer.cast_mut(), iov_len: length };
        if current.streams_by_ring()
            // SAFETY: the caller's promise.
            && let Some(result) = unsafe { pipe::write_by_ring(current, fd, snapshot, buffer, length) }
        {
            if descriptors::get(fd).generation != snapshot.generation {
                // What is left is not for the next file of that number.
                return Some(result);
            }
            let mut waits = Waits::of_remembered(Caller::Libc(current), fd, Direction::Write);
            // SAFETY: one piece, the caller's buffer.
            return Some(
                result.map(|done| finish(&mut waits, snapshot, unsafe { Pieces::new(&raw const piece, 1) }, done)),
            );
        }
        // SAFETY: one piece, the caller's buffer.
        return unsafe { write(current, fd, snapshot, &raw const piece, 1) };
    }
    if length != size_of::<u64>() {
        // An error; and whatever else the number means takes eight bytes as a whole.
        return None;
    }
    let here = 0u8;
    if buffer > (&raw const here).cast() && current.lies_on_stack(buffer, length) {
        // SAFETY: it lies in a frame above this one, on the same stack, and so can be read.
        let count = unsafe { buffer.cast::<u64>().read_unaligned() };
        if count <= 1 {
            return add_one(current, fd, snapshot, count);
        }
    }
    let mut waits = Waits::of_remembered(Caller::Libc(current), fd, Direction::Write);
    // SAFETY: the caller's promise.
    let plainly = || unsafe { syscall!(SYS_write, fd, buffer, length) };
    until(&mut waits, snapshot, flag::WRITE_WAITS, plainly, plainly)
}

/// Adds 1 (or 0) to an eventfd: one that polls as writable has room for that. So has everything else for eight bytes.
fn add_one(current: Current, fd: c_int, snapshot: Snapshot, count: u64) -> Option<Result<usize>> {
    let mut waits = Waits::of_remembered(Caller::Libc(current), fd, Direction::Write);
    // SAFETY: `count` is valid for the call.
    let plainly = || unsafe { syscall!(SYS_write, fd, &raw const count, size_of::<u64>()) };
    while waits.poll() == 0 {
        if waits.deadline().is_err() {
            return is_nonblocking_still(&mut waits).then(plainly);
        }
        if waits.is_doubtful() && !is_still(fd, snapshot) {
            return None;
        }
        if let Err(error) = waits.park() {
            return Some(Err(error));
        }
    }
    Some(plainly())
}

/// Tries and waits until a try succeeds. `waiting` is the flag that says that `nowait` is not supported.
fn until(
    waits: &mut Waits,
    snapshot: Snapshot,
    waiting: u32,
    nowait: impl Fn() -> Result<usize>,
    plainly: impl Fn() -> Result<usize>,
) -> Option<Result<usize>> {
    let fd = waits.fd;
    let mut asks = snapshot.flags & waiting == 0;
    loop {
        if !asks && snapshot.flags & flag::PIPE != 0 {
            // There are other ways, and which one it takes turns on more than is remembered.
            return None;
        }
        let result = if asks {
            nowait()
        } else if waits.deadline().is_err() {
            return is_nonblocking_still(waits).then(plainly);
        } else {
            FlagLock::take(fd).without_blocking(fd, &plainly)
        };
        match result {
            Err(Errno(libc::EOPNOTSUPP)) if asks => {
                if !is_still(fd, snapshot) {
                    return None;
                }
                descriptors::add_flags(fd, waiting);
                asks = false;
            }
            Err(EAGAIN) => {
                // A socket, say, may have a time limit.
                if waits.is_doubtful() && !is_still(fd, snapshot) {
                    return None;
                }
                if let Err(error) = waits.park() {
                    return (error != EAGAIN || is_nonblocking_still(waits)).then_some(Err(error));
                }
            }
            result => return Some(result),
        }
    }
}

/// Whether the number still means the kind of file that is remembered; if not, what is known is forgotten. Not inlined: the
/// kernel's answer is large for the stack of a coroutine that waits.
#[cold]
#[inline(never)]
pub fn is_still(fd: c_int, snapshot: Snapshot) -> bool {
    kind(fd).is_ok_and(|kind| agrees(fd, snapshot, kind))
}

/// Whether `kind`, which the kernel has just told, is what is remembered, if anything is; if not, it is forgotten.
pub fn agrees(fd: c_int, snapshot: Snapshot, kind: mode_t) -> bool {
    let remembered = if snapshot.flags & flag::PIPE != 0 { libc::S_IFIFO } else { NAMELESS };
    let agrees = !snapshot.kind_known() || kind == remembered;
    if !agrees {
        descriptors::forget(fd);
    }
    agrees
}
