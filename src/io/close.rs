// SPDX-License-Identifier: MIT OR Apache-2.0
//! Closing descriptors: who waits for one learns of it.

use core::ffi::{c_int, c_uint};

use super::c_number;
use crate::poller::descriptors;
use crate::scheduler::offload::{Kind, Work};
use crate::scheduler::{Current, current, descriptor_closed, descriptor_closing, in_vfork_child};
use crate::sys::clock::NEVER;
use crate::sys::{Errno, Result, errno, next};
use crate::syscall;

/// `close`.
pub fn close(fd: c_int) -> c_int {
    if in_vfork_child() {
        // SAFETY: takes a number only. The table is the parent's, whose descriptor stays open.
        return unsafe { next::close(fd) };
    }
    if is_ours(fd) {
        // A program that closes all numbers there are: this one is none of its own.
        errno::set(Errno(libc::EBADF));
        return -1;
    }
    let before = errno::get();
    let lingers = descriptors::get(fd).lingers();
    let closing = descriptor_closing(fd);
    errno::set(before);
    let result = match current() {
        Some(current) if lingers && current.can_offload() => c_number(linger(current, fd)),
        // SAFETY: takes a number only; what we knew of it is forgotten.
        Some(_) => c_number(unsafe { syscall!(SYS_close, fd) }),
        // SAFETY: as above.
        None => unsafe { next::close(fd) },
    };
    let after = errno::get();
    // Linux lets go of the number whatever else goes wrong.
    descriptor_closed(closing, result == 0 || after != Errno(libc::EBADF));
    errno::set(after);
    result
}

struct Linger {
    fd: c_int,
    result: Result<usize>,
}

impl Work for Linger {
    const KIND: Kind = Kind::Functions;

    fn run(&mut self) {
        // SAFETY: takes a number only.
        self.result = unsafe { syscall!(SYS_close, self.fd) };
    }
}

/// Closes what waits for its peer (SO_LINGER) while only the coroutine waits; here, where there is no helper.
#[cold]
fn linger(current: Current, fd: c_int) -> Result<usize> {
    let (work, before) = (Linger { fd, result: Ok(0) }, errno::get());
    match current.offload(work, NEVER) {
        Ok(done) => {
            errno::set(before);
            done.result
        }
        // A child that was forked meanwhile has the number if the helper had not begun, and perhaps again since.
        Err(Errno(libc::ECANCELED)) => {
            if !descriptors::get(fd).known() {
                // SAFETY: takes a number only.
                let _ = unsafe { syscall!(SYS_close, fd) };
            }
            Ok(0)
        }
        // SAFETY: takes a number only.
        Err(_) => unsafe { syscall!(SYS_close, fd) },
    }
}

/// Whether the number is a poller's or the like.
#[inline]
fn is_ours(fd: c_int) -> bool {
    descriptors::get(fd).internal() && is_anonymous(fd)
}

/// Whether the number still belongs to a file without a name, as those of pollers are, and was not closed behind our back
/// and used again.
#[cold]
fn is_anonymous(fd: c_int) -> bool {
    // SAFETY: a stat of zeros is valid, and a valid out parameter.
    let mut stat: libc::stat = unsafe { core::mem::zeroed() };
    // SAFETY: as above.
    unsafe { syscall!(SYS_fstat, fd, &raw mut stat) }.is_ok() && stat.st_mode & libc::S_IFMT == 0
}

const UNSHARE: c_int = libc::CLOSE_RANGE_UNSHARE as c_int;
const CLOEXEC: c_int = libc::CLOSE_RANGE_CLOEXEC as c_int;

/// `close_range`, which spares what is the library's own.
pub fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int {
    // SAFETY: takes numbers only.
    let call = |first, last, flags| unsafe { next::close_range(first, last, flags) };
    if in_vfork_child() || first > last || flags & !(UNSHARE | CLOEXEC) != 0 || flags & CLOEXEC != 0 {
        // What is ours is closed on exec anyway.
        return call(first, last, flags);
    }
    // Closes nothing, but tells whether the kernel has the call, and makes the table the thread's own if asked to.
    let result = call(c_uint::MAX, c_uint::MAX, flags);
    if result < 0 {
        return result;
    }
    // Each number is closed once: what is closed may be another thread's at once.
    let mut begin = first;
    for fd in first..=last.min(descriptors::highest() as c_uint) {
        let snapshot = descriptors::get(fd as c_int);
        let spared = is_ours(fd as c_int);
        if !spared && !snapshot.known() && descriptors::watchers(fd as c_int) == 0 {
            continue;
        }
        if begin < fd {
            call(begin, fd - 1, 0);
        }
        begin = fd + 1;
        if !spared {
            end(fd as c_int, flags & UNSHARE == 0);
        }
    }
    if begin <= last { call(begin, last, 0) } else { 0 }
}

/// Closes a number of which something is known or for which somebody waits. Not `everywhere`: other threads may have it in
/// a table of their own.
fn end(fd: c_int, everywhere: bool) {
    let closing = descriptor_closing(fd);
    // SAFETY: takes a number only; what we knew of it is forgotten.
    let result = unsafe { syscall!(SYS_close, fd) };
    descriptor_closed(closing, everywhere && result != Err(Errno(libc::EBADF)));
}

/// `closefrom`.
pub fn closefrom(first: c_int) {
    if in_vfork_child() {
        // SAFETY: takes a number only.
        return unsafe { next::closefrom(first) };
    }
    let before = errno::get();
    let first = first.max(0);
    if close_range(first as c_uint, c_uint::MAX, 0) < 0 {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: a valid out parameter.
        unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
        for fd in first..limit.rlim_cur.min(1 << 20) as c_int {
            close(fd);
        }
    }
    errno::set(before);
}
