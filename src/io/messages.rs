// SPDX-License-Identifier: MIT OR Apache-2.0
//! recvmmsg(2) and sendmmsg(2): as many messages as there are in one system call, and waits between calls. What they do
//! after an error, at the end of the time and for a part of a message is the kernel's own doing, in its words.

use core::ffi::{c_int, c_uint};
use core::ptr;

use libc::{mmsghdr, timespec};

use super::level::{self, Limit};
use super::pieces::Pieces;
use super::pointers;
use super::receive::{self, NEVER_WAITS};
use super::waits::poll_now;
use super::{Caller, Waits, control, send};
use crate::poller::descriptors;
use crate::scheduler::{Current, Direction, in_vfork_child};
use crate::sys::Result;
use crate::sys::clock::{self, Instant};
use crate::syscall;

/// sendmmsg takes no more messages than this (UIO_MAXIOV).
const MOST: c_uint = 1024;

/// `recvmmsg`. The kernel looks at `timeout` only after each message, and so do we: the first one is waited for without.
///
/// # Safety
/// As recvmmsg(2).
pub unsafe fn recvmmsg(
    current: Current,
    fd: c_int,
    list: *mut mmsghdr,
    count: c_uint,
    mut flags: c_int,
    timeout: *mut timespec,
) -> Result<usize> {
    let limit: Limit = level::limit(timeout)?;
    let end = limit.map(clock::after);
    let one_by_one = receive::wants_all(fd, flags);
    let mut done = 0;
    loop {
        let alone = one_by_one && flags & NEVER_WAITS == 0;
        let attempt = || {
            // An error that came after the first messages is the next call's to report.
            if done > 0 && poll_now(fd, 0) & c_int::from(libc::POLLERR) != 0 {
                return Ok(0);
            }
            // SAFETY: the caller's promise, of the messages that are left.
            unsafe { receive_some(fd, list.add(done), count - done as c_uint, flags | libc::MSG_DONTWAIT, end) }
        };
        let received = if alone {
            // SAFETY: the caller's promise.
            unsafe { receive_one(current, fd, list.add(done), flags & !libc::MSG_WAITFORONE) }
        } else if flags & NEVER_WAITS != 0 {
            attempt()
        } else {
            // Each message has the socket's whole timeout.
            let mut waits = Waits::of_socket(Caller::Libc(current), fd, Direction::Read);
            // SAFETY: after a try the kernel has read the first of the messages that are left.
            let wants_nothing = || unsafe { Pieces::of_message(&(*list.add(done)).msg_hdr).left() == 0 };
            receive::take(&mut waits, wants_nothing, attempt).map(|got| {
                got.unwrap_or_else(|| {
                    // SAFETY: the same message, which the caller lets us write.
                    unsafe {
                        receive::make_empty(&raw mut (*list.add(done)).msg_hdr);
                        (*list.add(done)).msg_len = 0;
                    }
                    1
                })
            })
        };
        let received = match received {
            Err(error) if done == 0 => return Err(error),
            Err(_) | Ok(0) => break,
            Ok(received) => received,
        };
        done += received;
        if flags & libc::MSG_WAITFORONE != 0 {
            flags |= libc::MSG_DONTWAIT;
        }
        // SAFETY: the kernel has filled in that message.
        let out_of_band = unsafe { (*list.add(done - 1)).msg_hdr.msg_flags } & libc::MSG_OOB != 0;
        let over = end.is_some_and(|end| end <= clock::now());
        if done == count as usize || out_of_band || over || !alone && flags & NEVER_WAITS != 0 {
            break;
        }
    }
    if let (Some(end), true) = (end, done > 0) {
        // SAFETY: the caller's timeout, which was there.
        unsafe { pointers::write(timeout, &left(end)) }?;
    }
    Ok(done)
}

/// As many messages as there are.
unsafe fn receive_some(
    fd: c_int,
    list: *mut mmsghdr,
    count: c_uint,
    flags: c_int,
    end: Option<Instant>,
) -> Result<usize> {
    let mut left = end.map(left);
    let timeout = left.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
    // SAFETY: the caller's promise; the timeout is valid for the call.
    unsafe {
        let received = syscall!(SYS_recvmmsg, fd, list, count, flags, timeout)?;
        note_received(list, received);
        Ok(received)
    }
}

/// One message, all of it.
unsafe fn receive_one(current: Current, fd: c_int, message: *mut mmsghdr, flags: c_int) -> Result<usize> {
    // SAFETY: the caller's promise.
    unsafe {
        let length = receive::recvmsg(Caller::Libc(current), fd, &raw mut (*message).msg_hdr, flags)?;
        (*message).msg_len = length as c_uint;
    }
    Ok(1)
}

fn left(end: Instant) -> timespec {
    clock::timespec(end.saturating_sub(clock::now()))
}

unsafe fn note_received(list: *const mmsghdr, count: usize) {
    for index in 0..count {
        // SAFETY: the kernel has just filled in that many messages.
        unsafe { control::received(&(*list.add(index)).msg_hdr) };
    }
}

unsafe fn note_sent(list: *const mmsghdr, count: usize) {
    for index in 0..count {
        // SAFETY: the kernel has just accepted that many messages.
        unsafe { control::sent(&(*list.add(index)).msg_hdr) };
    }
}

/// `sendmmsg`.
///
/// # Safety
/// As sendmmsg(2).
pub unsafe fn sendmmsg(current: Current, fd: c_int, list: *mut mmsghdr, count: c_uint, flags: c_int) -> Result<usize> {
    let count = count.min(MOST) as usize;
    let mut done = 0;
    loop {
        let attempt = || {
            // SAFETY: the caller's promise, of the messages that are left.
            unsafe { syscall!(SYS_sendmmsg, fd, list.add(done), count - done, flags | libc::MSG_DONTWAIT) }
        };
        let mut waits = Waits::of_socket(Caller::Libc(current), fd, Direction::Write);
        let sent = if flags & libc::MSG_FASTOPEN != 0 && count > 0 {
            // SAFETY: the caller's promise.
            unsafe { send_one(current, fd, list.add(done), flags) }
        } else if flags & libc::MSG_DONTWAIT != 0 || count == 0 {
            attempt()
        } else {
            send::begin(&mut waits, attempt)
        };
        let sent = match sent {
            Err(error) if done == 0 => return Err(error),
            Err(_) | Ok(0) => break,
            Ok(sent) => sent,
        };
        // SAFETY: the kernel has just accepted these messages.
        let whole = unsafe {
            note_sent(list.add(done), sent);
            done += sent;
            flags & libc::MSG_DONTWAIT != 0 || finish(&mut waits, &mut *list.add(done - 1), flags)
        };
        if !whole || done == count || flags & libc::MSG_DONTWAIT != 0 || has_failed(&waits) {
            break;
        }
    }
    Ok(done)
}

/// One message, all of it if it is a stream's.
unsafe fn send_one(current: Current, fd: c_int, message: *mut mmsghdr, flags: c_int) -> Result<usize> {
    // SAFETY: the caller's promise.
    unsafe {
        let length = send::sendmsg(Caller::Libc(current), fd, &raw const (*message).msg_hdr, flags)?;
        (*message).msg_len = length as c_uint;
    }
    Ok(1)
}

/// Sends what is left of a message that the kernel has sent a part of; whether all of it is sent then.
unsafe fn finish(waits: &mut Waits, message: &mut mmsghdr, flags: c_int) -> bool {
    // SAFETY: the kernel has just read the pieces.
    let pieces = unsafe { Pieces::of_message(&message.msg_hdr) };
    let (total, sent) = (pieces.left(), message.msg_len as usize);
    if sent >= total {
        return true;
    }
    let sent = send::finish(waits, pieces, sent, flags);
    message.msg_len = sent as c_uint;
    sent == total
}

/// Whether it was an error that made the kernel stop before the last message, rather than a full buffer. It has taken note
/// of it, and the next try might succeed.
fn has_failed(waits: &Waits) -> bool {
    let ready = waits.poll();
    let snapshot = descriptors::get(waits.fd);
    let inet_datagrams = snapshot.known() && !snapshot.stream() && snapshot.flags & descriptors::flag::INET != 0;
    ready & c_int::from(libc::POLLERR | libc::POLLHUP) != 0 || inet_datagrams && ready != 0
}

/// Notes what has come with messages that were received outside coroutines, if any were; gives `result` back.
///
/// # Safety
/// `list` is the one that libc was given.
pub unsafe fn note_outside_received(result: c_int, list: *const mmsghdr) -> c_int {
    if result > 0 && !in_vfork_child() {
        // SAFETY: libc has just filled them in.
        unsafe { note_received(list, result as usize) };
    }
    result
}

/// Notes what went with messages that were sent outside coroutines, if any were; gives `result` back.
///
/// # Safety
/// `list` is the one that libc was given.
pub unsafe fn note_outside_sent(result: c_int, list: *const mmsghdr) -> c_int {
    if result > 0 && !in_vfork_child() {
        // SAFETY: the kernel has just accepted them.
        unsafe { note_sent(list, result as usize) };
    }
    result
}
