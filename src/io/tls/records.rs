// SPDX-License-Identifier: MIT OR Apache-2.0
//! How OpenSSL's reads of a record go to the kernel.
//!
//! OpenSSL reads a record's header, five bytes, and then its body, both exactly; so no read tells that nothing is left, and
//! the library would have to ask before it parks. Instead, the read of a header looks at what there is (MSG_PEEK), as far as
//! a small record goes, and gives the header; the read of the body gives the rest, and takes header and body from the socket
//! at once. That is as many calls as before, and what was seen behind the record, or not, tells whether the socket is empty.
//!
//! Nothing is ever taken from the socket that OpenSSL does not have, and when its call returns all that it has is taken:
//! whoever else reads or polls the socket finds what he would have found. The bytes given are those of the stream in their
//! order, whatever OpenSSL asks for; that it reads records is only why this is worth while.

use core::ffi::{c_int, c_void};
use core::ptr;

use crate::io::waits::EAGAIN;
use crate::io::{Caller, Waits, receive};
use crate::poller::descriptors::{self, Snapshot, flag};
use crate::scheduler::{Current, Direction, Glimpse, ROOM};
use crate::sys::Result;
use crate::syscall;

/// The length of a record's header, whose last two bytes say that of its body.
const HEADER: usize = 5;

/// Whether reads of `fd` are worth looking ahead for; they go by [`read`] then. Not without memory.
pub fn suit(current: Current, fd: c_int) -> bool {
    let snapshot = descriptors::get(fd);
    snapshot.known() && snapshot.tcp() && current.glimpse().is_ok()
}

/// `read` by OpenSSL of a socket that suits.
///
/// # Safety
/// As read(2); `length` > 0.
#[inline(never)]
pub unsafe fn read(current: Current, fd: c_int, buffer: *mut c_void, length: usize) -> Result<usize> {
    let snapshot = descriptors::get(fd);
    let glimpse = current.glimpse()?;
    // SAFETY: the scheduler's glimpse, which nobody else uses before the next switch; the caller's promise.
    unsafe {
        if (*glimpse).fd >= 0
            && let Some(result) = go_on(current, &mut *glimpse, fd, buffer, length)
        {
            return result;
        }
        if length != HEADER {
            return receive::recv(Caller::Libc(current), fd, buffer, length, 0);
        }
        if snapshot.flags & flag::LONG_RECORDS == 0
            && let Some(result) = look(current, &mut *glimpse, fd, buffer)
        {
            return result;
        }
        let got = receive::recv(Caller::Libc(current), fd, buffer, HEADER, 0)?;
        if got == HEADER {
            note_length(fd, snapshot, record_length(buffer.cast()));
        }
        Ok(got)
    }
}

/// Looks at what there is, and gives the header of a record that is there as a whole. `None`: it is to be read as usual.
///
/// # Safety
/// `buffer` has room for a header.
unsafe fn look(current: Current, glimpse: &mut Glimpse, fd: c_int, buffer: *mut c_void) -> Option<Result<usize>> {
    let waits = Waits::of_socket(Caller::Libc(current), fd, Direction::Read);
    if waits.is_drained() {
        return None;
    }
    let bytes = glimpse.bytes.as_mut_ptr();
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    // SAFETY: ROOM writable bytes.
    let seen = match unsafe { syscall!(SYS_recvfrom, fd, bytes, ROOM, flags, 0, 0) } {
        Err(EAGAIN) if current.is_impatient(fd) => return Some(Err(EAGAIN)),
        result => result.ok().filter(|seen| *seen >= HEADER)?,
    };
    // SAFETY: a header has been seen; the caller's promise.
    unsafe {
        if record_length(bytes) > seen {
            return None;
        }
        ptr::copy_nonoverlapping(bytes, buffer.cast(), HEADER);
    }
    glimpse.begin(current, fd, seen);
    Some(Ok(HEADER))
}

/// Gives the `length` bytes after the header, and takes both from the socket. `None`: they are to be read as usual.
///
/// # Safety
/// As [`read`].
unsafe fn go_on(
    current: Current,
    glimpse: &mut Glimpse,
    fd: c_int,
    buffer: *mut c_void,
    length: usize,
) -> Option<Result<usize>> {
    let seen = glimpse.seen;
    if !glimpse.is_of(fd) || !glimpse.is_fresh(current) || length > seen - HEADER {
        settle_glimpse(glimpse);
        return None;
    }
    // SAFETY: within the bytes seen; the caller's promise.
    unsafe { ptr::copy_nonoverlapping(glimpse.bytes.as_ptr().add(HEADER), buffer.cast(), length) };
    let taken = take(glimpse, HEADER + length);
    if HEADER + length == seen && seen < ROOM {
        current.note_drained(fd, descriptors::get(fd), Direction::Read);
    }
    Some(match taken {
        Ok(count) if count == HEADER + length => Ok(length),
        // Another thread or process reads the socket, too.
        Ok(_) => Err(EAGAIN),
        Err(error) => Err(error),
    })
}

/// Takes from the socket what a reader has of it already; to be called before what is being tried changes.
pub fn settle(current: Current) {
    if let Some(glimpse) = current.glimpse_under_way() {
        // SAFETY: the scheduler's, which nobody else uses before the next switch.
        settle_glimpse(unsafe { &mut *glimpse });
    }
}

fn settle_glimpse(glimpse: &mut Glimpse) {
    if glimpse.is_of(glimpse.fd) {
        // Should it fail, so will the next read.
        let _ = take(glimpse, HEADER);
    }
    glimpse.fd = -1;
}

/// Takes the first `count` of the bytes seen from the socket, without copying them.
fn take(glimpse: &mut Glimpse, count: usize) -> Result<usize> {
    let fd = core::mem::replace(&mut glimpse.fd, -1);
    let flags = libc::MSG_TRUNC | libc::MSG_DONTWAIT;
    // SAFETY: ROOM writable bytes, and no more than that many were seen.
    unsafe { syscall!(SYS_recvfrom, fd, glimpse.bytes.as_mut_ptr(), count, flags, 0, 0) }
}

/// The length of a record, header and all.
///
/// # Safety
/// `header` has [`HEADER`] bytes.
unsafe fn record_length(header: *const u8) -> usize {
    // SAFETY: the caller's promise.
    HEADER + unsafe { usize::from(u16::from_be_bytes([*header.add(3), *header.add(4)])) }
}

/// Remembers whether looking ahead is worth while: where one long record comes, so do others.
fn note_length(fd: c_int, snapshot: Snapshot, length: usize) {
    let is_long = length > ROOM;
    if is_long != (snapshot.flags & flag::LONG_RECORDS != 0) {
        let change = if is_long { descriptors::add_flags } else { descriptors::clear_flags };
        change(fd, flag::LONG_RECORDS);
    }
}
