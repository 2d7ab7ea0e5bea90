// SPDX-License-Identifier: MIT OR Apache-2.0
//! sendfile(2), splice(2), tee(2) and vmsplice(2).
//!
//! Pipes can be asked not to block (SPLICE_F_NONBLOCK), but the sockets and terminals behind them cannot, unless they are
//! made non-blocking, which others could see. So those get no more at a time than they have room for: a stream socket that
//! polls as writable has at least a third of its buffer free. Should somebody else, in another thread or process, fill it
//! in between, the call makes the thread wait.

use core::ffi::{c_int, c_uint};
use core::ptr;

use libc::{S_IFCHR, S_IFIFO, S_IFSOCK, iovec, loff_t, mode_t, off_t, size_t};

use super::device::kind;
use super::flags::is_nonblocking;
use super::pieces::MOST_BYTES;
use super::waits::{EAGAIN, option};
use super::{Caller, Waits, receive};
use crate::poller::descriptors;
use crate::scheduler::{Current, Direction};
use crate::sys::Result;
use crate::syscall;

const NONBLOCK: c_uint = libc::SPLICE_F_NONBLOCK;

/// The flags of splice(2).
const FLAGS: c_uint = NONBLOCK | libc::SPLICE_F_MOVE | libc::SPLICE_F_MORE | libc::SPLICE_F_GIFT;

/// `sendfile`.
///
/// # Safety
/// As sendfile(2).
pub unsafe fn sendfile(
    current: Current,
    output: c_int,
    input: c_int,
    offset: *mut off_t,
    count: size_t,
) -> Result<usize> {
    // SAFETY: the caller's promise.
    let call = |count: usize| unsafe { syscall!(SYS_sendfile, output, input, offset, count) };
    if count > isize::MAX as usize {
        return call(count);
    }
    let count = count.min(MOST_BYTES);
    match kind(output)? {
        // It does not wait, and need not be asked.
        S_IFSOCK | S_IFCHR if does_not_block(output)? => call(count),
        S_IFSOCK => {
            let mut waits = Waits::of_socket(Caller::Libc(current), output, Direction::Write);
            let room = room(output);
            send_pieces(&mut waits, count, room, call)
        }
        S_IFCHR => {
            let mut waits = Waits::of_file(Caller::Libc(current), output, Direction::Write);
            send_pieces(&mut waits, count, libc::PIPE_BUF, call)
        }
        // To a pipe it is a splice, and as such it can be asked not to block.
        S_IFIFO if kind(input).is_ok() && call(0).is_ok() => {
            let attempt = |flags| {
                let nowhere = ptr::null_mut::<loff_t>();
                // SAFETY: the caller's promise.
                unsafe { syscall!(SYS_splice, input, offset, output, nowhere, count, flags | NONBLOCK) }
            };
            Ends::new(current, input, output)?.until(0, attempt)
        }
        _ => call(count),
    }
}

/// Sends `count` bytes in pieces of at most `room`, each when poll(2) finds the descriptor writable, until there are no
/// more.
fn send_pieces(waits: &mut Waits, count: usize, room: usize, call: impl Fn(usize) -> Result<usize>) -> Result<usize> {
    if count == 0 {
        return call(0);
    }
    let mut done = 0;
    while done < count {
        if waits.poll() == 0 {
            if done == 0 {
                if listens(waits.fd) {
                    return call(count);
                }
                // Bad arguments are an error at once.
                call(0)?;
            }
            match waits.park() {
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
                Ok(()) if done > 0 && waits.has_error() => break,
                Ok(()) => continue,
            }
        }
        match call(room.min(count - done)) {
            Ok(0) => break,
            Ok(more) => done += more,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// Whether the program has set O_NONBLOCK.
fn does_not_block(fd: c_int) -> Result<bool> {
    is_nonblocking(fd, descriptors::get(fd))
}

/// Whether it is a socket that listens: no event says that nothing can be sent there, nor received, which is an error.
fn listens(fd: c_int) -> bool {
    option(fd, libc::SO_ACCEPTCONN) == Ok(1)
}

/// How much a stream socket that polls as writable takes without waiting; other sockets do not take parts.
fn room(fd: c_int) -> usize {
    let snapshot = descriptors::get(fd);
    let stream = if snapshot.known() { snapshot.stream() } else { option(fd, libc::SO_TYPE) == Ok(libc::SOCK_STREAM) };
    match option(fd, libc::SO_SNDBUF) {
        Ok(size) if stream => (size as usize / 4).max(libc::PIPE_BUF),
        _ => usize::MAX,
    }
}

/// `splice`.
///
/// # Safety
/// As splice(2).
pub unsafe fn splice(
    current: Current,
    input: c_int,
    input_offset: *mut loff_t,
    output: c_int,
    output_offset: *mut loff_t,
    count: size_t,
    flags: c_uint,
) -> Result<usize> {
    // SAFETY: the caller's promise.
    let call = |count: usize, flags: c_uint| unsafe {
        syscall!(SYS_splice, input, input_offset, output, output_offset, count, flags)
    };
    if count == 0 || flags & !FLAGS != 0 {
        return call(count, flags);
    }
    let count = count.min(MOST_BYTES);
    let (from, to) = (kind(input)?, kind(output)?);
    if from != S_IFIFO && to != S_IFIFO {
        return call(count, flags);
    }
    let mut ends = Ends::new(current, input, output)?;
    if from == S_IFIFO && matches!(to, S_IFSOCK | S_IFCHR) && !does_not_block(output)? {
        let piece = if to == S_IFSOCK { room(output) } else { libc::PIPE_BUF };
        let mut done = 0;
        while done < count {
            if ends.writes.poll() == 0 && !listens(output) {
                match ends.writes.park() {
                    Err(error) if done == 0 => return Err(error),
                    Err(_) => break,
                    Ok(()) if done > 0 && ends.writes.has_error() => break,
                    Ok(()) => continue,
                }
            }
            let wanted = piece.min(count - done);
            let attempt = |flags| call(wanted, flags | NONBLOCK);
            let moved = if done > 0 { attempt(flags) } else { ends.until(flags, attempt) };
            match moved {
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
                Ok(moved) => {
                    done += moved;
                    // The pipe was emptied.
                    if moved < wanted {
                        break;
                    }
                }
            }
        }
        return Ok(done);
    }
    ends.until(flags, |flags| call(count, flags | NONBLOCK))
}

/// `tee`.
///
/// # Safety
/// None but that it is a system call.
pub unsafe fn tee(current: Current, input: c_int, output: c_int, count: size_t, flags: c_uint) -> Result<usize> {
    // SAFETY: takes numbers only.
    let call = |flags: c_uint| unsafe { syscall!(SYS_tee, input, output, count, flags) };
    if count == 0 || flags & !FLAGS != 0 || kind(input)? != S_IFIFO || kind(output)? != S_IFIFO {
        return call(flags);
    }
    Ends::new(current, input, output)?.until(flags, |flags| call(flags | NONBLOCK))
}

/// `vmsplice`. O_NONBLOCK, where the program has set it, does not count.
///
/// # Safety
/// As vmsplice(2).
pub unsafe fn vmsplice(current: Current, fd: c_int, list: *const iovec, count: size_t, flags: c_uint) -> Result<usize> {
    // SAFETY: the caller's promise.
    let call = |flags: c_uint| unsafe { syscall!(SYS_vmsplice, fd, list, count, flags) };
    if flags & NONBLOCK != 0 {
        return call(flags);
    }
    // SAFETY: takes numbers only.
    let mode = unsafe { syscall!(SYS_fcntl, fd, libc::F_GETFL) }? as c_int & libc::O_ACCMODE;
    let direction = if mode == libc::O_RDONLY { Direction::Read } else { Direction::Write };
    Waits::of_file(Caller::Dyco(current), fd, direction).trying(|| call(flags | NONBLOCK))
}

/// The two ends of a transfer of which one is a pipe.
struct Ends {
    reads: Waits,
    writes: Waits,
    /// A pipe's O_NONBLOCK speaks for both ends.
    nonblocking: bool,
    /// The input makes the call wait whatever it is told: TCP takes no notice of SPLICE_F_NONBLOCK, and terminals do not
    /// know it.
    may_block: bool,
}

impl Ends {
    fn new(current: Current, input: c_int, output: c_int) -> Result<Ends> {
        let caller = Caller::Libc(current);
        let (from, to) = (kind(input)?, kind(output)?);
        let pipe_does_not_block = |kind: mode_t, fd| Ok(kind == S_IFIFO && does_not_block(fd)?);
        let waits = |kind, fd, direction| {
            if kind == S_IFSOCK {
                Waits::of_socket(caller, fd, direction)
            } else {
                Waits::of_file(caller, fd, direction)
            }
        };
        Ok(Ends {
            reads: waits(from, input, Direction::Read),
            writes: waits(to, output, Direction::Write),
            nonblocking: pipe_does_not_block(from, input)? || pipe_does_not_block(to, output)?,
            may_block: matches!(from, S_IFSOCK | S_IFCHR) && !does_not_block(input)?,
        })
    }

    /// Tries, and waits for the end that is not ready, until a try does something else than fail with EAGAIN.
    fn until(&mut self, flags: c_uint, attempt: impl Fn(c_uint) -> Result<usize>) -> Result<usize> {
        let waits = flags & NONBLOCK == 0 && !self.nonblocking;
        loop {
            while self.may_block && self.reads.poll() == 0 && !listens(self.reads.fd) {
                if !waits && receive::is_unix(self.reads.fd) {
                    return Err(EAGAIN);
                }
                self.reads.park()?;
            }
            match attempt(flags) {
                Err(EAGAIN) if waits => {}
                result => return result,
            }
            if self.reads.poll() == 0 {
                self.reads.park()?;
            } else if self.writes.poll() == 0 {
                self.writes.park()?;
            } else {
                self.reads.back_off()?;
            }
        }
    }
}
