// SPDX-License-Identifier: MIT OR Apache-2.0
//! `read` and `write` and their vectors, of any descriptor: sockets go to `receive` and `send`, what is remembered of
//! others to `remembered`, the rest to `device`.

use core::ffi::c_int;

use libc::{c_void, iovec, mode_t, size_t, ssize_t};

use super::pieces::{ABSURD, MOST_BYTES};
#[cfg(feature = "ssl")]
use super::tls::records;
use super::{Caller, c_size, device, files, pipe, receive, remembered, send};
use crate::poller::descriptors::{self, Snapshot};
use crate::scheduler::Current;
use crate::sys::{Errno, Result};
use crate::syscall;

const NOT_A_SOCKET: Errno = Errno(libc::ENOTSOCK);

/// `read`, with the result as a C function gives it: as `receive::c_recv`. Whoever waits for a socket has nothing on its stack
/// of what other descriptors need.
///
/// # Safety
/// As read(2).
#[inline(never)]
pub unsafe fn c_read(current: Current, fd: c_int, buffer: *mut c_void, length: size_t) -> ssize_t {
    if descriptors::get(fd).socket() && (1..ABSURD).contains(&length) && !reads_records(current, fd) {
        // SAFETY: the caller's promise.
        match unsafe { receive::recv(Caller::Libc(current), fd, buffer, length.min(MOST_BYTES), 0) } {
            Err(NOT_A_SOCKET) => descriptors::forget(fd),
            result => return c_size(result),
        }
    }
    // SAFETY: the caller's promise.
    unsafe { c_read_anything(current, fd, buffer, length) }
}

/// # Safety
/// As read(2).
#[inline(never)]
unsafe fn c_read_anything(current: Current, fd: c_int, buffer: *mut c_void, length: size_t) -> ssize_t {
    // SAFETY: the caller's promise.
    c_size(unsafe { read(current, fd, buffer, length) })
}

/// As [`c_read`].
///
/// # Safety
/// As read(2).
pub unsafe fn read(current: Current, fd: c_int, buffer: *mut c_void, length: size_t) -> Result<usize> {
    if length == 0 || length >= ABSURD {
        // Unlike recv, read takes no datagram when there is no room for a byte.
        // SAFETY: the caller's promise.
        return unsafe { syscall!(SYS_read, fd, buffer, length) };
    }
    let length = length.min(MOST_BYTES);
    let snapshot = descriptors::get(fd);
    if snapshot.socket() {
        // SAFETY: the caller's promise.
        match unsafe { read_socket(current, fd, buffer, length) } {
            Err(NOT_A_SOCKET) => descriptors::forget(fd),
            result => return result,
        }
    } else if snapshot.kind_known() {
        if current.streams_by_ring()
            // SAFETY: the caller's promise.
            && let Some(result) = unsafe { pipe::read_by_ring(current, fd, snapshot, buffer, length) }
        {
            return result;
        }
        let piece = iovec { iov_base: buffer, iov_len: length };
        // SAFETY: one piece, the caller's buffer.
        if let Some(result) = unsafe { remembered::read(current, fd, snapshot, &raw const piece, 1) } {
            return result;
        }
    }
    match kind_for(current, fd, snapshot)? {
        // SAFETY: the caller's promise.
        libc::S_IFSOCK => unsafe { receive::recv(Caller::Libc(current), fd, buffer, length, 0) },
        kind => {
            let piece = iovec { iov_base: buffer, iov_len: length };
            // SAFETY: one piece, the caller's buffer.
            unsafe { device::read(current, fd, kind, &raw const piece, 1, true) }
        }
    }
}

/// Whether reads of `fd` are those of TLS records.
#[cfg(feature = "ssl")]
#[inline(always)]
fn reads_records(current: Current, fd: c_int) -> bool {
    current.reads_records(fd)
}

/// Whether reads of `fd` are those of TLS records.
#[cfg(not(feature = "ssl"))]
#[inline(always)]
fn reads_records(_: Current, _: c_int) -> bool {
    false
}

/// # Safety
/// As recv(2).
unsafe fn read_socket(current: Current, fd: c_int, buffer: *mut c_void, length: size_t) -> Result<usize> {
    #[cfg(feature = "ssl")]
    if reads_records(current, fd) {
        // SAFETY: the caller's promise.
        return unsafe { records::read(current, fd, buffer, length) };
    }
    // SAFETY: the caller's promise.
    unsafe { receive::recv(Caller::Libc(current), fd, buffer, length, 0) }
}

/// `readv`.
///
/// # Safety
/// As readv(2).
pub unsafe fn readv(current: Current, fd: c_int, list: *const iovec, count: c_int) -> Result<usize> {
    let snapshot = descriptors::get(fd);
    if snapshot.kind_known()
        // SAFETY: the caller's promise.
        && let Some(result) = unsafe { remembered::read(current, fd, snapshot, list, count) }
    {
        return result;
    }
    match kind_for(current, fd, snapshot)? {
        // SAFETY: the caller's promise.
        libc::S_IFSOCK => unsafe { receive::readv(Caller::Libc(current), fd, list, count) },
        // SAFETY: the caller's promise.
        kind => unsafe { device::read(current, fd, kind, list, count, false) },
    }
}

/// `write`.
///
/// # Safety
/// As write(2).
#[inline]
pub unsafe fn write(current: Current, fd: c_int, buffer: *const c_void, length: size_t) -> Result<usize> {
    if length >= ABSURD {
        // SAFETY: the caller's promise.
        return unsafe { syscall!(SYS_write, fd, buffer, length) };
    }
    let length = length.min(MOST_BYTES);
    let snapshot = descriptors::get(fd);
    if snapshot.socket() {
        // SAFETY: the caller's promise.
        match unsafe { send::send(Caller::Libc(current), fd, buffer, length, 0) } {
            Err(NOT_A_SOCKET) => descriptors::forget(fd),
            result => return result,
        }
    } else if snapshot.kind_known() {
        // SAFETY: the caller's promise.
        if let Some(result) = unsafe { remembered::write_one(current, fd, snapshot, buffer, length) } {
            return result;
        }
    }
    match kind_for(current, fd, snapshot)? {
        // SAFETY: the caller's promise.
        libc::S_IFSOCK => unsafe { send::send(Caller::Libc(current), fd, buffer, length, 0) },
        // SAFETY: the caller's promise.
        _ if length == 0 => unsafe { syscall!(SYS_write, fd, buffer, 0) },
        kind => {
            let piece = iovec { iov_base: buffer.cast_mut(), iov_len: length };
            // SAFETY: one piece, the caller's buffer.
            unsafe { device::write(current, fd, kind, &raw const piece, 1, true) }
        }
    }
}

/// `writev`.
///
/// # Safety
/// As writev(2).
pub unsafe fn writev(current: Current, fd: c_int, list: *const iovec, count: c_int) -> Result<usize> {
    let snapshot = descriptors::get(fd);
    if snapshot.kind_known()
        // SAFETY: the caller's promise.
        && let Some(result) = unsafe { remembered::write(current, fd, snapshot, list, count) }
    {
        return result;
    }
    match kind_for(current, fd, snapshot)? {
        // SAFETY: the caller's promise.
        libc::S_IFSOCK => unsafe { send::writev(Caller::Libc(current), fd, list, count) },
        // SAFETY: the caller's promise.
        kind => unsafe { device::write(current, fd, kind, list, count, false) },
    }
}

/// As [`device::kind`]. Where files must not hold up the thread, asking what a file is must not either.
fn kind_for(current: Current, fd: c_int, snapshot: Snapshot) -> Result<mode_t> {
    let kind = if current.wants_files() { files::kind(fd) } else { device::kind(fd) }?;
    remembered::agrees(fd, snapshot, kind);
    Ok(kind)
}
