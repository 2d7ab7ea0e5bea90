// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sending to sockets. On a stream a call returns when all is sent, or what was sent before an error or a timeout.

use core::ffi::c_int;
use core::ptr;

use libc::{c_void, iovec, msghdr, size_t, sockaddr, socklen_t, ssize_t};

use super::pieces::{MOST_BYTES, Pieces, message, write_nowait};
use super::waits::{EAGAIN, option};
use super::{Caller, Waits, control};
use crate::poller::descriptors;
use crate::scheduler::{Direction, in_vfork_child};
use crate::sys::{Errno, Result};
use crate::syscall;

/// `send`.
///
/// # Safety
/// As send(2).
#[inline(always)]
pub unsafe fn send(caller: Caller, fd: c_int, buffer: *const c_void, length: size_t, flags: c_int) -> Result<usize> {
    // SAFETY: passed on to the caller.
    unsafe { sendto(caller, fd, buffer, length, flags, ptr::null(), 0) }
}

/// `sendto`.
///
/// # Safety
/// As sendto(2).
#[inline]
pub unsafe fn sendto(
    caller: Caller,
    fd: c_int,
    buffer: *const c_void,
    length: size_t,
    flags: c_int,
    address: *const sockaddr,
    address_length: socklen_t,
) -> Result<usize> {
    let length = length.min(MOST_BYTES);
    let simply = address.is_null() && flags & !libc::MSG_NOSIGNAL == 0;
    // SAFETY: the caller's promise.
    unsafe {
        if caller.current().streams_by_ring()
            && simply
            && let Some(result) = send_by_ring(caller, fd, buffer, length, flags)
        {
            return result;
        }
        sendto_at_once(caller, fd, buffer, length, flags, address, address_length)
    }
}

/// `sendto` that begins with the call itself. Not inlined: a coroutine that waits in the ring must not have room for this
/// on its stack.
#[inline(never)]
unsafe fn sendto_at_once(
    caller: Caller,
    fd: c_int,
    buffer: *const c_void,
    length: size_t,
    flags: c_int,
    address: *const sockaddr,
    address_length: socklen_t,
) -> Result<usize> {
    let attempt = || {
        // SAFETY: the caller's promise.
        unsafe { syscall!(SYS_sendto, fd, buffer, length, flags | libc::MSG_DONTWAIT, address, address_length) }
    };
    if flags & libc::MSG_DONTWAIT != 0 {
        return attempt();
    }
    let snapshot = descriptors::get(fd);
    let first = attempt();
    match first {
        Ok(sent) if sent == length => first,
        Err(error) if error != EAGAIN && error != CONNECTING => first,
        _ => {
            let waits = Waits::of_known_socket(caller, fd, snapshot, Direction::Write);
            // SAFETY: the caller's promise.
            unsafe { go_on(waits, first, buffer, length, flags, address, address_length) }
        }
    }
}

/// Goes on with a `sendto` of which that is what came of the first try. Not inlined: who need not wait has no room for this on
/// its stack, which reaches no deeper then than that of one that waits to receive.
#[inline(never)]
unsafe fn go_on(
    mut waits: Waits,
    first: Result<usize>,
    buffer: *const c_void,
    length: size_t,
    flags: c_int,
    address: *const sockaddr,
    address_length: socklen_t,
) -> Result<usize> {
    let fd = waits.fd;
    let attempt = |flags, address: *const sockaddr, address_length: socklen_t| {
        // SAFETY: the caller's promise.
        unsafe { syscall!(SYS_sendto, fd, buffer, length, flags | libc::MSG_DONTWAIT, address, address_length) }
    };
    let mut tried = Some(first);
    let sent = match begin(&mut waits, || tried.take().unwrap_or_else(|| attempt(flags, address, address_length))) {
        Err(CONNECTING) if flags & libc::MSG_FASTOPEN != 0 => {
            connected(&mut waits, || attempt(flags & !libc::MSG_FASTOPEN, ptr::null(), 0))
        }
        result => result,
    }?;
    if sent == length {
        return Ok(sent);
    }
    let mut all = iovec { iov_base: buffer.cast_mut(), iov_len: length };
    // SAFETY: one piece, the caller's buffer.
    Ok(finish(&mut waits, unsafe { Pieces::new(&raw mut all, 1) }, sent, flags))
}

/// Goes on where a send by the ring, which has not waited, has ended.
#[cold]
#[inline(never)]
unsafe fn finish_one(
    caller: Caller,
    fd: c_int,
    buffer: *const c_void,
    length: size_t,
    sent: usize,
    flags: c_int,
) -> Result<usize> {
    let waits = Waits::of_socket(caller, fd, Direction::Write);
    // SAFETY: the caller's promise.
    unsafe { go_on(waits, Ok(sent), buffer, length, flags, ptr::null(), 0) }
}

/// `send` where it may go by the ring, together with what others do: the coroutine goes on when it is done, the next time
/// round. `None`: try otherwise. Not inlined, as in `receive`.
#[inline(never)]
unsafe fn send_by_ring(
    caller: Caller,
    fd: c_int,
    buffer: *const c_void,
    length: size_t,
    flags: c_int,
) -> Option<Result<usize>> {
    if !may_go_by_ring(caller, fd) {
        return None;
    }
    let generation = descriptors::get(fd).generation;
    // SAFETY: the caller's promise.
    match unsafe { caller.current().send(fd, buffer, length) } {
        // What is left is for the same file.
        Some(Ok(sent)) if sent < length && descriptors::get(fd).generation == generation => {
            // SAFETY: as above.
            Some(unsafe { finish_one(caller, fd, buffer, length, sent, flags) })
        }
        result => result,
    }
}

#[inline(never)]
fn may_go_by_ring(caller: Caller, fd: c_int) -> bool {
    let snapshot = descriptors::get(fd);
    let mut waits = Waits::of_socket(caller, fd, Direction::Write);
    snapshot.stream()
        && snapshot.known()
        && !snapshot.shared()
        && !waits.is_impatient()
        && caller.current().has_company()
        && !waits.is_drained()
        && waits.deadline().is_ok()
}

/// `sendmsg`.
///
/// # Safety
/// As sendmsg(2).
pub unsafe fn sendmsg(caller: Caller, fd: c_int, message: *const msghdr, flags: c_int) -> Result<usize> {
    let attempt = |flags| {
        // SAFETY: the caller's promise.
        unsafe { syscall!(SYS_sendmsg, fd, message, flags | libc::MSG_DONTWAIT) }
    };
    let mut waits = Waits::of_socket(caller, fd, Direction::Write);
    let result = if flags & libc::MSG_DONTWAIT != 0 {
        attempt(flags)
    } else {
        match begin(&mut waits, || attempt(flags)) {
            Err(CONNECTING) if flags & libc::MSG_FASTOPEN != 0 => {
                // SAFETY: the kernel has just read the message.
                let mut plain = unsafe { *message };
                plain.msg_name = ptr::null_mut();
                plain.msg_namelen = 0;
                let flags = flags & !libc::MSG_FASTOPEN | libc::MSG_DONTWAIT;
                // SAFETY: the caller's message but for the address, which has been used.
                connected(&mut waits, || unsafe { syscall!(SYS_sendmsg, fd, &raw const plain, flags) })
            }
            result => result,
        }
    };
    let sent = result?;
    // SAFETY: the kernel has just accepted the message, so it, its control data and its pieces can be read.
    let (message, pieces) = unsafe { (&*message, Pieces::of_message(&*message)) };
    // SAFETY: as above.
    unsafe { control::sent(message) };
    if flags & libc::MSG_DONTWAIT != 0 || sent == pieces.left() {
        return Ok(sent);
    }
    // Control data went with the first bytes.
    Ok(finish(&mut waits, pieces, sent, flags))
}

/// Notes what went with a message that was sent outside coroutines, if it was; gives `result` back.
///
/// # Safety
/// `message` is the one that libc was given.
pub unsafe fn note(result: ssize_t, message: *const msghdr) -> ssize_t {
    if result >= 0 && !in_vfork_child() {
        // SAFETY: the kernel has just accepted the message.
        unsafe { control::sent(&*message) };
    }
    result
}

/// `writev` of a socket.
///
/// # Safety
/// As writev(2).
pub unsafe fn writev(caller: Caller, fd: c_int, list: *const iovec, count: c_int) -> Result<usize> {
    let mut waits = Waits::of_socket(caller, fd, Direction::Write);
    // pwritev2 and not sendmsg, which would send an empty datagram when there are no bytes.
    let sent = begin(&mut waits, || {
        // SAFETY: the caller's promise.
        match unsafe { write_nowait(fd, list, count) } {
            // Linux before 6.4.
            Err(Errno(libc::EOPNOTSUPP)) => {
                let message = message(list.cast_mut(), count as usize);
                // SAFETY: as above.
                unsafe { syscall!(SYS_sendmsg, fd, &raw const message, libc::MSG_DONTWAIT) }
            }
            result => result,
        }
    })?;
    // SAFETY: the kernel has just read the list.
    let pieces = unsafe { Pieces::new(list, count as usize) };
    if sent == pieces.left() { Ok(sent) } else { Ok(finish(&mut waits, pieces, sent, 0)) }
}

/// A connection has been begun (MSG_FASTOPEN) and nothing was sent.
const CONNECTING: Errno = Errno(libc::EINPROGRESS);

/// Tries until something is sent, or fails otherwise than with EAGAIN. Always tries first, also what has been found full: a
/// stream takes no bytes at all times, and an error that is there before the call waits is for the call itself to find.
#[inline(always)]
pub fn begin(waits: &mut Waits, mut attempt: impl FnMut() -> Result<usize>) -> Result<usize> {
    loop {
        match attempt() {
            Err(EAGAIN) => await_room(waits)?,
            result => return result,
        }
        take_error(waits)?;
    }
}

/// Waits until the socket takes more. A datagram may be refused because its receiver's queue is full, and unless the two
/// are connected the socket counts as writable all the time.
fn await_room(waits: &mut Waits) -> Result<()> {
    let may_deceive = !descriptors::get(waits.fd).stream();
    if may_deceive && waits.poll() != 0 { waits.back_off() } else { waits.park() }
}

/// What has happened to the socket meanwhile. A sender that Linux has let wait gets that; one that comes later to a UNIX
/// socket learns only that the peer has gone, with SIGPIPE.
fn take_error(waits: &Waits) -> Result<()> {
    match if waits.has_error() { option(waits.fd, libc::SO_ERROR) } else { Ok(0) } {
        Ok(error @ 1..) => Err(Errno(error)),
        _ => Ok(()),
    }
}

/// Tries until something is sent on a connection that is being made.
#[cold]
fn connected(waits: &mut Waits, attempt: impl FnMut() -> Result<usize>) -> Result<usize> {
    if waits.deadline().is_err() {
        return Err(CONNECTING);
    }
    begin(waits, attempt)
}

/// Goes on sending what is left after `sent` bytes of a stream. SIGPIPE is for calls that have sent nothing.
#[cold]
pub fn finish(waits: &mut Waits, mut pieces: Pieces, mut sent: usize, flags: c_int) -> usize {
    let flags = flags & !libc::MSG_FASTOPEN | libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    let total = pieces.left();
    pieces.advance(sent);
    while sent < total && !waits.has_error() {
        let mut window = pieces.window();
        let message = window.message();
        // SAFETY: the pieces are the caller's buffers.
        match unsafe { syscall!(SYS_sendmsg, waits.fd, &raw const message, flags) } {
            Ok(more) => {
                sent += more;
                pieces.advance(more);
            }
            Err(EAGAIN) if waits.park().is_ok() => {}
            Err(_) => break,
        }
    }
    sent
}
