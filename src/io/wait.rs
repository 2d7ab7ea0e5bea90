// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting until a descriptor can be read or written.
//!
//! Readiness is a level, as poll(2) sees it: the kernel is asked, and events only tell when to ask again. The result is
//! the descriptor's `revents`, a positive number.

use core::ffi::{c_int, c_short};

use libc::{POLLIN, POLLNVAL, POLLOUT, pollfd};

use super::poll;
use crate::poller::descriptors;
use crate::scheduler::{self, Current, Direction, Wake};
use crate::sys::clock::{self, NEVER};
use crate::sys::{Errno, Result, errno, next};

/// Waits until `fd` can be read, at most `timeout` milliseconds (negative: for ever); 0 when that was too short.
pub fn read(fd: c_int, timeout: c_int) -> Result<c_int> {
    wait(fd, POLLIN, timeout)
}

/// As [`read`], until it can be written.
pub fn write(fd: c_int, timeout: c_int) -> Result<c_int> {
    wait(fd, POLLOUT, timeout)
}

/// As [`read`], until it can be read or written.
pub fn both(fd: c_int, timeout: c_int) -> Result<c_int> {
    wait(fd, POLLIN | POLLOUT, timeout)
}

fn wait(fd: c_int, events: c_short, timeout: c_int) -> Result<c_int> {
    // poll(2) passes over negative numbers; nobody waits for one on purpose.
    if fd < 0 {
        return Err(Errno(libc::EBADF));
    }
    match scheduler::current() {
        Some(current) => park(current, fd, events, timeout),
        None => block(fd, events, timeout),
    }
}

fn park(current: Current, fd: c_int, events: c_short, timeout: c_int) -> Result<c_int> {
    if timeout == 0 || !is_drained(current, fd, events) {
        let revents = look(fd, events)?;
        if revents != 0 || timeout == 0 {
            return Ok(revents);
        }
    }
    let deadline = if timeout < 0 { NEVER } else { clock::deadline_ms(timeout) };
    let generation = descriptors::get(fd).generation;
    loop {
        let woken = current.wait_fd(fd, events as u32, deadline)?;
        if !current.still_means(fd, descriptors::get(fd), generation) {
            return Err(Errno(libc::EBADF));
        }
        let revents = look(fd, events)?;
        if revents != 0 || woken == Wake::TimedOut {
            return Ok(revents);
        }
        // It was true, and another waiter has been quicker: every one is told all the same.
        if current.happened() != 0 {
            return Ok(current.happened() as c_int);
        }
    }
}

/// Whether asking the kernel would only confirm that there is nothing.
fn is_drained(current: Current, fd: c_int, events: c_short) -> bool {
    let snapshot = descriptors::get(fd);
    (events & POLLIN == 0 || current.is_drained(fd, snapshot, Direction::Read))
        && (events & POLLOUT == 0 || current.is_drained(fd, snapshot, Direction::Write))
}

/// What is true of `fd` now.
fn look(fd: c_int, events: c_short) -> Result<c_int> {
    let mut entry = pollfd { fd, events, revents: 0 };
    // SAFETY: one valid entry.
    unsafe { poll::look(&mut entry, 1) }?;
    revents(&entry)
}

/// Outside a coroutine: as poll(2).
fn block(fd: c_int, events: c_short, timeout: c_int) -> Result<c_int> {
    let mut entry = pollfd { fd, events, revents: 0 };
    // SAFETY: one valid entry.
    if unsafe { next::poll(&mut entry, 1, timeout) } < 0 {
        return Err(errno::get());
    }
    revents(&entry)
}

fn revents(entry: &pollfd) -> Result<c_int> {
    if entry.revents & POLLNVAL != 0 { Err(Errno(libc::EBADF)) } else { Ok(entry.revents.into()) }
}
