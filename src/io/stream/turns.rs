// SPDX-License-Identifier: MIT OR Apache-2.0
//! What libc calls to read, write and close a stream of ours, and whose turn it is.
//!
//! A stream's lock belongs to the thread, and does not keep out another coroutine of the thread while one waits inside. So
//! who finds a stream in use waits for its turn to write, and what has come into the buffer meanwhile is written by whoever
//! is about to tell libc that the buffer is empty. Two who read cannot be told apart by libc: the second one fails with
//! EBUSY. Who reads from a socket that others may write to waits for something to read outside the buffer, and takes its turn
//! then; what the others have left in the buffer is written before the buffer is read into.

use core::ffi::{c_char, c_int};
use core::ptr;

use libc::{off64_t, size_t, ssize_t};

use super::{ERROR, PUTTING, Stream, free};
use crate::coroutine::Wake;
use crate::io::{Caller, Waits, c_size, close, file};
use crate::scheduler::{self, Current, Direction, aborts, hooked as current};
use crate::sys::clock::{self, Instant, MS, NEVER};
use crate::sys::{Errno, Result, errno, memory, next};
use crate::syscall_raw;

/// After so long those inside a stream that is about to be closed are told again: who had just been woken for another
/// reason did not wait when they were told, and may do so again.
const TELL_AGAIN: Instant = 10 * MS;

impl Stream {
    /// Whether it is the turn of a coroutine that is still there.
    fn in_use(&self) -> bool {
        self.user != 0 && self.user == aborts()
    }

    /// Whether a coroutine that is still there reads.
    fn is_read(&self) -> bool {
        self.reader != 0 && self.reader == aborts()
    }
}

/// Has who is inside a stream that is about to be closed come out first, as libc's lock would if it were another thread; who
/// waits for the descriptor gets EBADF. False, EBUSY: the caller is no coroutine, and cannot wait for one of its thread.
pub(super) unsafe fn settle(stream: *mut Stream) -> bool {
    // SAFETY: the caller's promise: the stream is open, and those inside are of this thread.
    unsafe {
        while (*stream).in_use() || (*stream).is_read() {
            let Some(current) = current() else {
                errno::set(Errno(libc::EBUSY));
                return false;
            };
            (*stream).closing = true;
            scheduler::descriptor_closed(scheduler::descriptor_closing((*stream).fd), true);
            let woken = current.wait_in(&raw mut (*stream).waiters, 0, clock::after(TELL_AGAIN));
            (*stream).closing = false;
            if woken == Wake::Ready {
                // Handed over.
                leave(stream);
            }
        }
    }
    true
}

pub(super) unsafe extern "C" fn read(stream: *mut Stream, buffer: *mut c_char, length: size_t) -> ssize_t {
    // SAFETY: libc gives us the stream and room for so many bytes.
    unsafe {
        let fd = (*stream).fd;
        let current = current();
        if (*stream).is_read() || current.is_none() && (*stream).in_use() {
            errno::set(Errno(libc::EBUSY));
            return -1;
        }
        let Some(current) = current else { return next::read(fd, buffer.cast(), length) };
        (*stream).reader = aborts();
        let turn = take_turn_to_read(current, stream);
        let result = c_size(turn.and_then(|()| file::read(current, fd, buffer.cast(), length)));
        (*stream).reader = 0;
        if turn.is_ok() || !(*stream).in_use() {
            leave(stream);
        }
        result
    }
}

/// Waits until it is the caller's turn and, where others may write meanwhile, there is something to read. After an error it
/// is not the caller's turn.
unsafe fn take_turn_to_read(current: Current, stream: *mut Stream) -> Result<()> {
    // SAFETY: the caller's promise: the stream is valid, and libc's lock on it is this thread's.
    unsafe {
        if !(*stream).updates {
            take_turn(current, stream);
            return Ok(());
        }
        let file = (*stream).file;
        let mut waits = Waits::of_socket(Caller::Libc(current), (*stream).fd, Direction::Read);
        loop {
            while waits.poll() == 0 {
                waits.park()?;
            }
            take_turn(current, stream);
            let (begin, end) = ((*file).write_base, (*file).write_next);
            if begin == end {
                break;
            }
            let length = end.offset_from(begin);
            if write_copy(current, stream, begin, length as usize, true) != length {
                (*file).flags |= ERROR;
            }
            if (*file).write_next == end {
                (*file).write_next = begin;
            } else {
                // Before libc writes from elsewhere than where reading has ended, it seeks, which fails.
                (*file).read = [end; 3];
                (*file).write_base = end;
            }
            // Those who have waited meanwhile tell libc that the buffer is empty: it must be.
            leave(stream);
        }
        if (*file).flags & PUTTING != 0 {
            // As libc has left it before it called us.
            let buffer = (*file).buffer;
            (*file).flags &= !PUTTING;
            (*file).read = [buffer; 3];
            ((*file).write_base, (*file).write_next, (*file).write_end) = (buffer, buffer, buffer);
        }
    }
    Ok(())
}

/// Waits until it is the caller's turn.
unsafe fn take_turn(current: Current, stream: *mut Stream) {
    // SAFETY: as in `take_turn_to_read`.
    unsafe {
        if (*stream).in_use() {
            // `leave` hands it over.
            current.wait_in(&raw mut (*stream).waiters, 0, NEVER);
        }
        (*stream).user = aborts();
    }
}

/// Gives the turn to the next one who waits for it.
unsafe fn leave(stream: *mut Stream) {
    // SAFETY: the caller's promise; those on the list are of the thread that has the stream's lock.
    unsafe {
        let handed_over = scheduler::wake_first(&raw mut (*stream).waiters, Wake::Ready);
        (*stream).user = if handed_over { aborts() } else { 0 };
    }
}

/// As libc asks: 0 for an error.
pub(super) unsafe extern "C" fn write(stream: *mut Stream, data: *const c_char, length: size_t) -> ssize_t {
    // SAFETY: libc gives us the stream and so many bytes, in its buffer or the program's.
    unsafe {
        let Some(current) = current() else {
            if (*stream).in_use() {
                errno::set(Errno(libc::EBUSY));
                return 0;
            }
            return write_all(data.cast(), length, |data, left| next::write((*stream).fd, data.cast(), left));
        };
        let file = (*stream).file;
        let buffered = ((*file).buffer..(*file).buffer_end).contains(&data.cast_mut().cast());
        let waited = (*stream).in_use();
        take_turn(current, stream);
        // Up to here the buffer is written, or will be by this call.
        let mut end = if waited { (*file).write_base } else { (*file).write_next };
        let mut written = length as ssize_t;
        if !(waited && buffered) {
            written = write_copy(current, stream, data.cast(), length, buffered);
        }
        // libc takes the buffer for empty when we return: what others have put there meanwhile must be written, too.
        while written == length as ssize_t && (*file).write_next != end {
            let begin = if (*file).write_next > end { end } else { (*file).write_base };
            let more = (*file).write_next.offset_from(begin);
            end = (*file).write_next;
            if write_copy(current, stream, begin, more as usize, true) != more {
                written = 0;
            }
        }
        leave(stream);
        written
    }
}

/// Writes bytes of the buffer from a copy.
unsafe fn write_copy(current: Current, stream: *mut Stream, data: *const u8, length: usize, buffered: bool) -> ssize_t {
    // SAFETY: the caller's promise of the bytes; the copy is the stream's.
    unsafe {
        memory::free(core::mem::replace(&mut (*stream).copy, ptr::null_mut()));
        let mut from = data;
        if buffered && let Ok(copy) = memory::array_zeroed::<u8>(length.max(1)) {
            ptr::copy_nonoverlapping(data, copy.as_ptr(), length);
            (*stream).copy = copy.as_ptr();
            from = copy.as_ptr();
        }
        let fd = (*stream).fd;
        let written = write_all(from, length, |data, left| {
            let closed = (*stream).closing.then_some(Errno(libc::EBADF));
            c_size(closed.map_or_else(|| file::write(current, fd, data.cast(), left), Err))
        });
        memory::free(core::mem::replace(&mut (*stream).copy, ptr::null_mut()));
        written
    }
}

/// Writes until all is written, or an error; how many bytes were.
unsafe fn write_all(data: *const u8, length: usize, mut call: impl FnMut(*const u8, usize) -> ssize_t) -> ssize_t {
    let mut done = 0;
    while done < length {
        // SAFETY: within the caller's bytes.
        let written = call(unsafe { data.add(done) }, length - done);
        if written < 0 {
            break;
        }
        done += written as usize;
    }
    done as ssize_t
}

/// No such descriptor has a position: ESPIPE, which libc expects.
pub(super) unsafe extern "C" fn seek(stream: *mut Stream, offset: *mut off64_t, whence: c_int) -> c_int {
    // SAFETY: libc gives us the stream and the offset.
    unsafe {
        let position = syscall_raw!(SYS_lseek, (*stream).fd, *offset, whence);
        if position < 0 {
            errno::set(Errno(-position as c_int));
            return -1;
        }
        *offset = position as off64_t;
    }
    0
}

pub(super) unsafe extern "C" fn close_stream(stream: *mut Stream) -> c_int {
    // SAFETY: libc calls this last.
    unsafe {
        let fd = (*stream).fd;
        free(stream);
        close::close(fd)
    }
}
