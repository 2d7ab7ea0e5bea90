// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading and writing what is no socket: files, directories and block devices are left alone; pipes, terminals and all
//! else wait as libc would.
//!
//! Pipes, eventfds and timerfds can be asked not to block for one call (RWF_NOWAIT), FIFOs for a read (vmsplice).
//! Other files without a name (signalfds, inotify) get O_NONBLOCK for the length of the call. FIFOs where all that does
//! not help, and terminals, are read and written by io_uring; of a terminal a thread of the kernel's does so, which waits.
//!
//! Elsewhere, for vectors and for devices, we ask poll(2) first and then make the call; and should somebody else, in
//! another thread or process, take the bytes (the room) in between, the call makes the thread wait. So does a terminal that
//! accepts less than PIPE_BUF bytes.

use core::ffi::c_int;

use libc::{iovec, mode_t};

use super::files::{self, Transfer};
use super::flags::FlagLock;
use super::pieces::{Pieces, read_nowait, write_nowait};
use super::waits::EAGAIN;
use super::{Caller, Waits, terminal};
use crate::poller::descriptors;
use crate::scheduler::{Current, Direction, Wake};
use crate::sys::syscall::{FORBIDDEN, MISSING};
use crate::sys::{Errno, Result, clock};
use crate::syscall;

/// The kind of signalfds, inotify descriptors and others that have no name.
pub const NAMELESS: mode_t = 0;

/// What a descriptor is: S_IFREG and its like, or [`NAMELESS`].
pub fn kind(fd: c_int) -> Result<mode_t> {
    // SAFETY: a stat of zeros is valid, and a valid out parameter.
    let mut stat: libc::stat = unsafe { core::mem::zeroed() };
    // SAFETY: as above.
    unsafe { syscall!(SYS_fstat, fd, &raw mut stat) }?;
    Ok(stat.st_mode & libc::S_IFMT)
}

/// How a kind of file is kept from blocking.
#[derive(PartialEq)]
enum Manner {
    /// It does not wait for a peer.
    Plainly,
    /// RWF_NOWAIT.
    Nowait,
    /// poll(2) first.
    Polled,
}

fn manner(kind: mode_t) -> Manner {
    match kind {
        libc::S_IFREG | libc::S_IFDIR | libc::S_IFBLK => Manner::Plainly,
        // A device may refuse RWF_NOWAIT as long as it likes without being one that can be waited for.
        libc::S_IFCHR => Manner::Polled,
        _ => Manner::Nowait,
    }
}

/// A file on disk, in a thread that wants these to wait in their coroutine.
unsafe fn on_disk(
    current: Current,
    fd: c_int,
    writes: bool,
    list: *const iovec,
    count: c_int,
    own_list: bool,
) -> Result<usize> {
    let Ok(count) = usize::try_from(count) else { return Err(Errno(libc::EINVAL)) };
    // SAFETY: the caller's promise.
    unsafe { Transfer { fd, writes, offset: None, flags: 0, own_list }.on_disk(current, list, count) }
}

/// `readv` of what is no socket. `readable`: the list is known to be.
///
/// # Safety
/// As readv(2).
pub unsafe fn read(
    current: Current,
    fd: c_int,
    kind: mode_t,
    list: *const iovec,
    count: c_int,
    readable: bool,
) -> Result<usize> {
    // SAFETY: the caller's promise.
    let plainly = || unsafe { syscall!(SYS_readv, fd, list, count) };
    let mut waits = Waits::of_file(Caller::Libc(current), fd, Direction::Read);
    let manner = manner(kind);
    if manner == Manner::Plainly {
        if kind != libc::S_IFDIR && files::is_wanted(current) {
            // SAFETY: the caller's promise.
            return unsafe { on_disk(current, fd, false, list, count, readable) };
        }
        return plainly();
    }
    if manner == Manner::Nowait {
        // Always tries first: the writing end of a pipe is never ready, and reading from it fails at once.
        // SAFETY: the caller's promise.
        match trying(&mut waits, || unsafe { read_nowait(fd, list, count) }) {
            Err(Errno(libc::EOPNOTSUPP)) if kind == NAMELESS => return while_nonblocking(&mut waits, plainly),
            Err(Errno(libc::EOPNOTSUPP)) => {}
            result => return result,
        }
    }
    if kind == libc::S_IFIFO && access(fd) == libc::O_RDONLY {
        // vmsplice reads, too, and can be asked not to block. Of a descriptor open for writing it would write.
        // SAFETY: the caller's promise.
        match trying(&mut waits, || unsafe { syscall!(SYS_vmsplice, fd, list, count, libc::SPLICE_F_NONBLOCK) }) {
            Err(Errno(libc::EINVAL) | FORBIDDEN | MISSING) => {}
            result => return result,
        }
    }
    // One that may return without input does so only for who reads, not for who waits until there is some.
    let is_patient = || terminal::settings(fd).is_some_and(|settings| settings.read_limit().is_none());
    let by_ring = readable && (kind == libc::S_IFIFO || kind == libc::S_IFCHR && is_patient());
    if by_ring && waits.deadline().is_ok() {
        let waited = kind == libc::S_IFCHR && waits.poll() == 0;
        // SAFETY: the caller's promise.
        match unsafe { current.read(fd, &*list, kind == libc::S_IFCHR) } {
            // A terminal that is hung up is at its end; whom Linux has let wait gets the error.
            Some(Ok(0)) if waited && waits.poll() & c_int::from(libc::POLLHUP) != 0 => {
                return Err(Errno(libc::EIO));
            }
            Some(result) => return result,
            None => waits.renew(),
        }
    }
    while waits.poll() == 0 {
        // A descriptor that does not wait answers for itself: a FIFO without writers is at its end. So does one that is not
        // open for reading.
        if waits.deadline().is_err() && is_nonblocking_still(&mut waits) || access(fd) == libc::O_WRONLY {
            return plainly();
        }
        if kind == libc::S_IFCHR
            && let Some(limit) = terminal::settings(fd).and_then(|settings| settings.read_limit())
        {
            return match current.wait_fd(fd, libc::POLLIN as u32, clock::after(limit))? {
                Wake::Ready if waits.poll() != 0 => plainly(),
                _ => Ok(0),
            };
        }
        waits.park()?;
        // A terminal that is hung up is at its end; whom Linux has let wait gets the error.
        if kind == libc::S_IFCHR && waits.poll() & c_int::from(libc::POLLHUP) != 0 {
            return match plainly() {
                Ok(0) => Err(Errno(libc::EIO)),
                result => result,
            };
        }
    }
    plainly()
}

/// Waits until a call that would block has succeeded with O_NONBLOCK set for its length.
fn while_nonblocking(waits: &mut Waits, call: impl Fn() -> Result<usize>) -> Result<usize> {
    if waits.deadline().is_err() && is_nonblocking_still(waits) {
        return call();
    }
    let fd = waits.fd;
    waits.trying(|| FlagLock::take(fd).without_blocking(fd, &call))
}

/// As [`Waits::trying`]; before it tells of EAGAIN, a descriptor that does not wait is asked whether that is so.
fn trying(waits: &mut Waits, mut attempt: impl FnMut() -> Result<usize>) -> Result<usize> {
    match waits.trying(&mut attempt) {
        Err(EAGAIN) if !is_nonblocking_still(waits) => waits.trying(attempt),
        result => result,
    }
}

/// Whether the descriptor does not wait, as by what is known of its number; if it does, nothing is known any longer. No:
/// also where the call is part of a try that must not wait.
pub fn is_nonblocking_still(waits: &mut Waits) -> bool {
    let fd = waits.fd;
    if waits.is_impatient() {
        return false;
    }
    if !descriptors::get(fd).known() {
        return true; // The kernel has just said so.
    }
    let _lock = FlagLock::take(fd);
    // SAFETY: takes numbers only.
    let flags = unsafe { syscall!(SYS_fcntl, fd, libc::F_GETFL) };
    let agrees = flags.is_ok_and(|flags| flags as c_int & libc::O_NONBLOCK != 0);
    if !agrees {
        descriptors::forget(fd);
        waits.renew();
    }
    agrees
}

/// Whether the descriptor is open for reading, writing or both.
fn access(fd: c_int) -> c_int {
    // SAFETY: takes numbers only.
    let flags = unsafe { syscall!(SYS_fcntl, fd, libc::F_GETFL) };
    flags.map_or(libc::O_RDWR, |flags| flags as c_int & libc::O_ACCMODE)
}

/// `writev`, as [`read`].
///
/// # Safety
/// As writev(2).
pub unsafe fn write(
    current: Current,
    fd: c_int,
    kind: mode_t,
    list: *const iovec,
    count: c_int,
    readable: bool,
) -> Result<usize> {
    // SAFETY: the caller's promise.
    let plainly = || unsafe { syscall!(SYS_writev, fd, list, count) };
    // SAFETY: the caller's promise.
    let nowait = || unsafe { write_nowait(fd, list, count) };
    // SAFETY: called when the kernel has read the list, or it is ours.
    let pieces = || unsafe { Pieces::new(list, count as usize) };
    let mut waits = Waits::of_file(Caller::Libc(current), fd, Direction::Write);
    let manner = manner(kind);
    if manner == Manner::Plainly {
        if kind != libc::S_IFDIR && files::is_wanted(current) {
            // SAFETY: the caller's promise.
            return unsafe { on_disk(current, fd, true, list, count, readable) };
        }
        return plainly();
    }
    if manner == Manner::Nowait {
        match trying(&mut waits, nowait) {
            Err(Errno(libc::EOPNOTSUPP)) if kind == NAMELESS => return while_nonblocking(&mut waits, plainly),
            Err(Errno(libc::EOPNOTSUPP)) => {}
            Ok(done) if kind == libc::S_IFIFO && done < pieces().left() && waits.deadline().is_ok() => {
                return Ok(finish_pipe(&mut waits, pieces(), done));
            }
            result => return result,
        }
    }
    let by_ring = readable && (kind == libc::S_IFIFO || kind == libc::S_IFCHR && terminal::settings(fd).is_some());
    if by_ring && waits.deadline().is_ok() {
        // SAFETY: the caller's promise.
        match unsafe { current.write(fd, &*list, kind == libc::S_IFCHR) } {
            Some(result) => return result,
            None => waits.renew(),
        }
    }
    while waits.poll() == 0 {
        if waits.deadline().is_err() && is_nonblocking_still(&mut waits) || access(fd) == libc::O_RDONLY {
            return plainly();
        }
        waits.park()?;
    }
    // The kernel reads the list before it finds that a terminal has no RWF_NOWAIT.
    if !readable && manner == Manner::Polled {
        match nowait() {
            Err(Errno(libc::EOPNOTSUPP)) => {}
            result => return result,
        }
    }
    let in_bits = pieces().left() > libc::PIPE_BUF && (kind == libc::S_IFIFO || terminal::settings(fd).is_some());
    let waits_for_room = in_bits && (waits.deadline().is_ok() || !is_nonblocking_still(&mut waits));
    if waits_for_room { write_bits(&mut waits, pieces()) } else { plainly() }
}

/// Goes on writing what is left after `done` bytes: a write to a pipe that blocks returns when all is written.
pub fn finish_pipe(waits: &mut Waits, mut pieces: Pieces, mut done: usize) -> usize {
    let total = pieces.left();
    pieces.advance(done);
    while done < total {
        let window = pieces.window();
        let (list, count) = window.list();
        // SAFETY: the pieces are the caller's buffers.
        match unsafe { write_nowait(waits.fd, list, count) } {
            Ok(more) => {
                done += more;
                pieces.advance(more);
            }
            Err(EAGAIN) if waits.park().is_ok() => {}
            // A filter of system calls forbids it, and the ring has begun.
            Err(Errno(libc::EOPNOTSUPP)) => return done + write_bits(waits, pieces).unwrap_or(0),
            Err(_) => break,
        }
    }
    done
}

/// Writes to a FIFO or a terminal bit by bit: one that polls as writable takes PIPE_BUF bytes without blocking.
fn write_bits(waits: &mut Waits, mut pieces: Pieces) -> Result<usize> {
    let mut done = 0;
    loop {
        let (run, length) = pieces.run(libc::PIPE_BUF);
        if length == 0 {
            return Ok(done);
        }
        let written = loop {
            if waits.poll() != 0 {
                // SAFETY: a part of one of the caller's buffers.
                break unsafe { syscall!(SYS_write, waits.fd, run, length) };
            }
            if let Err(error) = waits.park() {
                break Err(error);
            }
        };
        match written {
            Ok(more) => {
                done += more;
                pieces.advance(more);
            }
            Err(_) if done > 0 => return Ok(done),
            Err(error) => return Err(error),
        }
    }
}
