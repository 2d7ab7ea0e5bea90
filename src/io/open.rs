// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opening files. One thing there waits for a peer: a FIFO that is opened for reading waits for a writer, and the other way
//! round.
//!
//! Nothing tells of the other side's coming. A reader opens the FIFO without blocking, which is seen by writers just as
//! well, and waits for data while it looks for writers in growing pauses. A writer cannot open it before there is a reader,
//! and tries again in such pauses. O_NONBLOCK is taken away before the program learns the number.

use core::ffi::{c_char, c_int, c_uint};

use libc::{AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_ACCMODE, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_PATH};
use libc::{O_RDWR, O_TMPFILE, O_TRUNC, O_WRONLY, S_IFIFO, S_IFMT};

use super::device::kind;
use super::files;
use super::waits::{EAGAIN, poll_now};
use crate::poller::descriptors::{self, flag};
use crate::scheduler::{Current, in_vfork_child};
use crate::sys::clock::{self, Instant, MS};
use crate::sys::{Errno, Result};
use crate::{syscall, syscall_raw};

/// The longest pause between two looks for the other side.
const LONGEST_PAUSE: Instant = 16 * MS;

/// `openat`, and so `open` and `creat`.
///
/// # Safety
/// As openat(2).
pub unsafe fn openat(current: Current, dir: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> Result<usize> {
    let mode = if is_making(flags) { mode } else { 0 };
    if files::is_wanted(current) {
        // SAFETY: the caller's promise.
        if let Some(opened) = unsafe { files::open(current, dir, path, flags, mode) } {
            let fd = opened?;
            forget_stale(fd as c_int);
            return Ok(fd);
        }
    }
    // SAFETY: the caller's promise.
    let call = |flags: c_int| unsafe { syscall!(SYS_openat, dir, path, flags, mode) };
    // SAFETY: the caller's promise.
    if !may_wait(flags) || !unsafe { is_fifo(dir, path, flags) } {
        let fd = call(flags)?;
        forget_stale(fd as c_int);
        return Ok(fd);
    }
    if flags & O_ACCMODE == O_WRONLY {
        return open_to_write(current, flags, call);
    }
    open_to_read(current, flags, call)
}

/// `creat`.
///
/// # Safety
/// As creat(2).
pub unsafe fn creat(current: Current, path: *const c_char, mode: c_uint) -> Result<usize> {
    // SAFETY: passed on to the caller.
    unsafe { openat(current, HERE, path, O_CREAT | O_WRONLY | O_TRUNC, mode) }
}

/// Whether the call makes a file, so that its mode counts.
pub fn is_making(flags: c_int) -> bool {
    flags & O_CREAT != 0 || flags & O_TMPFILE == O_TMPFILE
}

/// Whether these flags make an open of a FIFO wait. O_RDWR never does: Linux takes the caller for both sides.
fn may_wait(flags: c_int) -> bool {
    flags & (O_NONBLOCK | O_PATH | O_DIRECTORY) == 0
        && flags & O_ACCMODE != O_ACCMODE
        && flags & O_ACCMODE != O_RDWR
        && flags & (O_CREAT | O_EXCL) != O_CREAT | O_EXCL
}

unsafe fn is_fifo(dir: c_int, path: *const c_char, flags: c_int) -> bool {
    let follow = if flags & O_NOFOLLOW != 0 { AT_SYMLINK_NOFOLLOW } else { 0 };
    // SAFETY: a stat of zeros is valid, and a valid out parameter; the caller's promise of the path.
    unsafe {
        let mut stat: libc::stat = core::mem::zeroed();
        let asked = syscall!(SYS_newfstatat, dir, path, &raw mut stat, follow);
        asked.is_ok() && stat.st_mode & S_IFMT == S_IFIFO
    }
}

fn open_to_read(current: Current, flags: c_int, call: impl Fn(c_int) -> Result<usize>) -> Result<usize> {
    let fd = call(flags | O_NONBLOCK)? as c_int;
    if kind(fd) != Ok(S_IFIFO) {
        return replaced(fd, flags, call);
    }
    descriptors::born(fd, 0);
    let held = current.hold(fd);
    let mut pause = MS / 4;
    while poll_now(fd, libc::POLLIN) == 0 && !has_writer(fd) {
        pause = (pause * 2).min(LONGEST_PAUSE);
        current.wait_fd(fd, libc::POLLIN as u32, clock::after(pause))?;
    }
    held.keep();
    let_block(fd, flags);
    Ok(fd as usize)
}

fn open_to_write(current: Current, flags: c_int, call: impl Fn(c_int) -> Result<usize>) -> Result<usize> {
    let mut pause = MS / 4;
    loop {
        match call(flags | O_NONBLOCK) {
            Err(Errno(libc::ENXIO)) => {
                pause = (pause * 2).min(LONGEST_PAUSE);
                current.sleep_until(clock::after(pause));
            }
            Err(error) => return Err(error),
            Ok(fd) if kind(fd as c_int) != Ok(S_IFIFO) => return replaced(fd as c_int, flags, call),
            Ok(fd) => {
                descriptors::born(fd as c_int, 0);
                let_block(fd as c_int, flags);
                return Ok(fd);
            }
        }
    }
}

/// Something else has got the FIFO's name in between: that is opened as the program wants it.
#[cold]
fn replaced(fd: c_int, flags: c_int, call: impl Fn(c_int) -> Result<usize>) -> Result<usize> {
    // SAFETY: the descriptor is ours alone.
    unsafe { syscall_raw!(SYS_close, fd) };
    let fd = call(flags)?;
    forget_stale(fd as c_int);
    Ok(fd)
}

/// Takes O_NONBLOCK away.
fn let_block(fd: c_int, flags: c_int) {
    // SAFETY: takes numbers only.
    unsafe { syscall_raw!(SYS_fcntl, fd, libc::F_SETFL, flags & !O_NONBLOCK) };
}

/// Whether somebody has the FIFO open for writing. A read would tell, but also take what is there; tee(2) takes nothing.
fn has_writer(fd: c_int) -> bool {
    let mut scratch = [-1; 2];
    // SAFETY: `scratch` has room for two numbers, which are ours alone.
    unsafe {
        if syscall_raw!(SYS_pipe2, scratch.as_mut_ptr(), libc::O_CLOEXEC | O_NONBLOCK) < 0 {
            // Then its data will tell.
            return false;
        }
        let copied = syscall!(SYS_tee, fd, scratch[1], 1, libc::SPLICE_F_NONBLOCK);
        scratch.iter().for_each(|end| {
            syscall_raw!(SYS_close, *end);
        });
        copied == Err(EAGAIN) || copied.is_ok_and(|bytes| bytes > 0)
    }
}

/// What is known of a number that is new is wrong: it was closed behind our back.
fn forget_stale(fd: c_int) {
    if descriptors::get(fd).flags & !flag::SHARED != 0 {
        descriptors::forget(fd);
    }
}

/// Notes what was opened outside coroutines, if it was; gives `result` back.
pub fn note(result: c_int) -> c_int {
    if result >= 0 && !in_vfork_child() {
        forget_stale(result);
    }
    result
}

/// The folder that a path without one starts from.
pub const HERE: c_int = AT_FDCWD;
