// SPDX-License-Identifier: MIT OR Apache-2.0
//! Receiving from sockets.

use core::ffi::{c_int, c_ulong};
use core::ptr;

use libc::{c_void, iovec, msghdr, size_t, sockaddr, socklen_t, ssize_t};

use super::pieces::{MOST_BYTES, Pieces, message, read_nowait};
use super::waits::{EAGAIN, option, poll_now};
use super::{Caller, Waits, c_size, control};
use crate::poller::descriptors;
use crate::scheduler::{Direction, in_vfork_child};
use crate::sys::{Errno, Result};
use crate::syscall;

/// Flags of calls that the kernel never makes wait.
pub const NEVER_WAITS: c_int = libc::MSG_DONTWAIT | libc::MSG_OOB | libc::MSG_ERRQUEUE;

/// Flags under which a TCP call that received less than it asked for has emptied the socket.
const EMPTYING: c_int = libc::MSG_NOSIGNAL | libc::MSG_CMSG_CLOEXEC | libc::MSG_WAITALL;

/// `recv`.
///
/// # Safety
/// As recv(2).
#[inline(always)]
pub unsafe fn recv(caller: Caller, fd: c_int, buffer: *mut c_void, length: size_t, flags: c_int) -> Result<usize> {
    // SAFETY: passed on to the caller.
    unsafe { receive(caller, fd, buffer, length, flags, ptr::null_mut(), ptr::null_mut()) }
}

/// [`recv`] with the result that a C function gives: the last thing that such a function does, so that a coroutine that waits
/// has nothing of it on its stack.
///
/// # Safety
/// As recv(2).
#[inline(never)]
pub unsafe fn c_recv(caller: Caller, fd: c_int, buffer: *mut c_void, length: size_t, flags: c_int) -> ssize_t {
    // SAFETY: passed on to the caller.
    c_size(unsafe { recv(caller, fd, buffer, length, flags) })
}

/// `recvfrom`.
///
/// # Safety
/// As recvfrom(2).
pub unsafe fn recvfrom(
    caller: Caller,
    fd: c_int,
    buffer: *mut c_void,
    length: size_t,
    flags: c_int,
    address: *mut sockaddr,
    address_length: *mut socklen_t,
) -> Result<usize> {
    // SAFETY: passed on to the caller.
    unsafe { receive(caller, fd, buffer, length, flags, address, address_length) }
}

/// Made part of each of the two, so that a coroutine that waits in `recv` has no room for an address on its stack.
#[inline(always)]
unsafe fn receive(
    caller: Caller,
    fd: c_int,
    buffer: *mut c_void,
    length: size_t,
    flags: c_int,
    address: *mut sockaddr,
    address_length: *mut socklen_t,
) -> Result<usize> {
    let length = length.min(MOST_BYTES);
    let attempt = || {
        // SAFETY: the caller's promise.
        unsafe { syscall!(SYS_recvfrom, fd, buffer, length, flags | libc::MSG_DONTWAIT, address, address_length) }
    };
    if flags & NEVER_WAITS != 0 {
        return attempt();
    }
    let mut snapshot = descriptors::get(fd);
    let mut waits = Waits::of_known_socket(caller, fd, snapshot, Direction::Read);
    let simply = address.is_null() && flags & !libc::MSG_NOSIGNAL == 0 && length > 0;
    if caller.current().streams_by_ring() && simply {
        // SAFETY: the caller's promise.
        if let Some(result) = unsafe { receive_by_ring(&mut waits, buffer, length) } {
            return result;
        }
        snapshot = descriptors::get(fd);
    }
    if waits.is_known_drained(snapshot) && length > 0 {
        waits.park()?;
    }
    let Some(got) = take(&mut waits, || length == 0, attempt)? else {
        if !address.is_null() && !address_length.is_null() {
            // SAFETY: the caller's promise.
            unsafe { *address_length = 0 };
        }
        return Ok(0);
    };
    if got < length && got > 0 {
        if wants_all(fd, flags) {
            // SAFETY: the caller's promise.
            return Ok(unsafe { fill_buffer(&mut waits, buffer, length, got, flags) });
        }
        note_emptied(&waits, flags);
    }
    Ok(got)
}

/// `recv` where it may go by the ring: when there is nothing yet, the kernel puts what comes where the caller wants it.
/// `None`: try otherwise. Not inlined: a coroutine that waits otherwise must not have room for this on its stack.
#[inline(never)]
unsafe fn receive_by_ring(waits: &mut Waits, buffer: *mut c_void, length: size_t) -> Option<Result<usize>> {
    let (fd, current) = (waits.fd, waits.current());
    let snapshot = descriptors::get(fd);
    // A try that must not wait asks epoll's record whether it would be in vain.
    if !snapshot.stream() || !snapshot.known() || snapshot.shared() || snapshot.listens() || waits.is_impatient() {
        return None;
    }
    // What has come since then is for the ring to find, unless the call does not wait.
    if !current.is_dry(fd) || waits.deadline().is_err() {
        // SAFETY: the caller's promise.
        match unsafe { syscall!(SYS_recvfrom, fd, buffer, length, libc::MSG_DONTWAIT, 0, 0) } {
            Err(EAGAIN) => {}
            result => {
                if snapshot.tcp() && matches!(result, Ok(got) if got > 0 && got < length) {
                    current.note_dry(fd);
                }
                return Some(result);
            }
        }
    }
    match waits.deadline() {
        Ok(deadline) => {
            // SAFETY: the caller's promise.
            let received = unsafe { current.receive(fd, buffer, length, deadline) };
            if received.is_none() {
                waits.renew();
            }
            received
        }
        Err(error) => Some(Err(error)),
    }
}

/// `recvmsg`.
///
/// # Safety
/// As recvmsg(2).
pub unsafe fn recvmsg(caller: Caller, fd: c_int, message: *mut msghdr, flags: c_int) -> Result<usize> {
    let attempt = || {
        // SAFETY: the caller's promise.
        unsafe { syscall!(SYS_recvmsg, fd, message, flags | libc::MSG_DONTWAIT) }
    };
    let mut waits = Waits::of_socket(caller, fd, Direction::Read);
    // SAFETY: after a try the kernel has read the message.
    let wants_nothing = || unsafe { Pieces::of_message(&*message).left() == 0 };
    let got = if flags & NEVER_WAITS != 0 { Some(attempt()?) } else { take(&mut waits, wants_nothing, attempt)? };
    let Some(got) = got else {
        // SAFETY: the kernel has just read the message; the caller's promise is that it may be written.
        unsafe { make_empty(message) };
        return Ok(0);
    };
    // SAFETY: the kernel has just filled the message in, so it and its pieces can be read.
    let (message, pieces) = unsafe { (&*message, Pieces::of_message(&*message)) };
    // SAFETY: as above.
    unsafe { control::received(message) };
    if flags & NEVER_WAITS != 0 || got == 0 {
        return Ok(got);
    }
    if wants_all(fd, flags) {
        // The kernel, too, stops at bytes that came with descriptors, whether or not there was room for those.
        let has_control = message.msg_controllen > 0 || message.msg_flags & libc::MSG_CTRUNC != 0;
        return Ok(if has_control { got } else { fill(&mut waits, pieces, got, flags) });
    }
    if is_short_of_tcp(fd, &pieces, got) {
        note_emptied(&waits, flags);
    }
    Ok(got)
}

/// The message is that of a socket that is shut down.
///
/// # Safety
/// The message may be written.
pub unsafe fn make_empty(message: *mut msghdr) {
    // SAFETY: the caller's promise.
    unsafe { ((*message).msg_namelen, (*message).msg_controllen, (*message).msg_flags) = (0, 0, 0) };
}

/// Notes what has come with a message that was received outside coroutines, if it was; gives `result` back.
///
/// # Safety
/// `message` is the one that libc was given.
pub unsafe fn note(result: ssize_t, message: *const msghdr) -> ssize_t {
    if result >= 0 && !in_vfork_child() {
        // SAFETY: libc has just filled the message in.
        unsafe { control::received(&*message) };
    }
    result
}

/// `readv` of a socket.
///
/// # Safety
/// As readv(2).
pub unsafe fn readv(caller: Caller, fd: c_int, list: *const iovec, count: c_int) -> Result<usize> {
    let mut waits = Waits::of_socket(caller, fd, Direction::Read);
    // preadv2 and not recvmsg, which would take a datagram also when there is no room for a byte.
    let never_nothing = || false;
    let got = take(&mut waits, never_nothing, || {
        // SAFETY: the caller's promise.
        match unsafe { read_nowait(fd, list, count) } {
            // Linux before 6.4.
            Err(Errno(libc::EOPNOTSUPP)) => {
                let mut message = message(list.cast_mut(), count as usize);
                // SAFETY: as above.
                unsafe { syscall!(SYS_recvmsg, fd, &raw mut message, libc::MSG_DONTWAIT) }
            }
            result => result,
        }
    })?
    .unwrap_or(0);
    // SAFETY: the kernel has just read the list.
    if got > 0 && is_short_of_tcp(fd, &unsafe { Pieces::new(list, count as usize) }, got) {
        note_emptied(&waits, 0);
    }
    Ok(got)
}

/// Tries, and waits, until a try does something else than fail with EAGAIN; `None`, no bytes, of a socket that is shut
/// down, and of TCP after the wait when there is room for nothing, which `wants_nothing` says after a try.
#[inline(always)]
pub fn take(
    waits: &mut Waits,
    wants_nothing: impl Fn() -> bool,
    mut attempt: impl FnMut() -> Result<usize>,
) -> Result<Option<usize>> {
    loop {
        match attempt() {
            // What came between the two looks is there for another try.
            Err(EAGAIN) if waits.is_shut_down() => {
                return match attempt() {
                    Err(EAGAIN) => Ok(None),
                    result => result.map(Some),
                };
            }
            Err(EAGAIN) if wants_nothing() && is_tcp(waits.fd) => {
                wait_for_anything(waits)?;
                return Ok(None);
            }
            Err(EAGAIN) => waits.park()?,
            result => return result.map(Some),
        }
    }
}

/// Waits until something has come, an error included, or the time is over; EAGAIN only if it may not wait.
#[cold]
fn wait_for_anything(waits: &mut Waits) -> Result<()> {
    waits.deadline()?;
    loop {
        match waits.park() {
            Ok(()) if waits.poll() == 0 => {}
            Err(EAGAIN) => return Ok(()),
            result => return result,
        }
    }
}

/// As [`fill`], of one buffer. Not inlined, as `receive_by_ring`.
#[cold]
#[inline(never)]
unsafe fn fill_buffer(waits: &mut Waits, buffer: *mut c_void, length: usize, got: usize, flags: c_int) -> usize {
    let mut all = iovec { iov_base: buffer, iov_len: length };
    // SAFETY: one piece, the caller's buffer.
    fill(waits, unsafe { Pieces::new(&raw mut all, 1) }, got, flags)
}

/// Goes on receiving, after `got` bytes, until the pieces are full (MSG_WAITALL). What came before the end, an error or a
/// timeout counts.
#[cold]
fn fill(waits: &mut Waits, mut pieces: Pieces, mut got: usize, flags: c_int) -> usize {
    let peek = flags & libc::MSG_PEEK != 0;
    let total = pieces.left();
    if !peek {
        pieces.advance(got);
    }
    while got < total && !waits.has_error() && !is_at_mark(waits.fd) {
        let mut window = pieces.window();
        let mut message = window.message();
        // SAFETY: the pieces are the caller's buffers.
        match unsafe { syscall!(SYS_recvmsg, waits.fd, &raw mut message, flags | libc::MSG_DONTWAIT) } {
            // Peeking sees the same bytes again, and no event says that there are more of them.
            Ok(seen) if peek => {
                got = got.max(seen);
                if got < total && (poll_now(waits.fd, libc::POLLRDHUP) != 0 || waits.back_off().is_err()) {
                    break;
                }
            }
            Ok(0) => break,
            Ok(more) => {
                got += more;
                pieces.advance(more);
            }
            Err(EAGAIN) if waits.park().is_ok() => {}
            Err(_) => break,
        }
    }
    got
}

/// Whether an urgent byte (MSG_OOB) comes next: who has received something stops before it.
#[cold]
fn is_at_mark(fd: c_int) -> bool {
    const SIOCATMARK: c_ulong = 0x8905;
    let mut at: c_int = 0;
    // SAFETY: a valid out parameter.
    unsafe { syscall!(SYS_ioctl, fd, SIOCATMARK, &raw mut at) }.is_ok() && at != 0
}

/// A TCP call came back with less than there was room for: the socket is empty.
#[inline]
fn note_emptied(waits: &Waits, flags: c_int) {
    let snapshot = descriptors::get(waits.fd);
    if flags & !EMPTYING == 0 && snapshot.tcp() {
        waits.note_drained(snapshot);
    }
}

fn is_short_of_tcp(fd: c_int, pieces: &Pieces, got: usize) -> bool {
    descriptors::get(fd).tcp() && got < pieces.left()
}

/// Whether the call waits for more after something has come. AF_UNIX does not wait for more to peek at.
#[inline(always)]
pub fn wants_all(fd: c_int, flags: c_int) -> bool {
    flags & libc::MSG_WAITALL != 0 && is_stream(fd) && (flags & libc::MSG_PEEK == 0 || !is_unix(fd))
}

fn is_stream(fd: c_int) -> bool {
    let snapshot = descriptors::get(fd);
    if snapshot.known() { snapshot.stream() } else { option(fd, libc::SO_TYPE) == Ok(libc::SOCK_STREAM) }
}

fn is_tcp(fd: c_int) -> bool {
    descriptors::get(fd).tcp() || option(fd, libc::SO_PROTOCOL) == Ok(libc::IPPROTO_TCP)
}

/// Whether it is a UNIX socket.
#[inline(never)]
pub fn is_unix(fd: c_int) -> bool {
    option(fd, libc::SO_DOMAIN) == Ok(libc::AF_UNIX)
}
