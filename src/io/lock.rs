// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting for file locks. The kernel does not tell when a lock comes free, so it is asked in growing pauses.
//!
//! For classic record locks (F_SETLKW, lockf) the kernel also finds out when processes wait for each other in a circle
//! (EDEADLK), but only of those that wait in the kernel. Such locks belong to the process, so that a helper thread can take
//! one for a coroutine: one that is not to be had at once is waited for by a helper, up to [`MOST_HELPERS`] of them at a
//! time. flock's locks and those of F_OFD_SETLKW belong to the open file and know no circles.

use core::ffi::c_int;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use libc::{F_LOCK, F_SETLK, F_SETLKW, F_UNLCK, F_WRLCK, LOCK_NB, LOCK_UN, SEEK_CUR, c_long, off_t};

use crate::scheduler::offload::{Kind, Work};
use crate::scheduler::{self, Current};
use crate::sys::clock::{self, Instant, MS, NEVER};
use crate::sys::{Errno, Result};
use crate::syscall;

/// The longest pause between two tries.
const LONGEST_PAUSE: Instant = 16 * MS;

/// How many helpers wait for locks at a time: each is a thread. Whoever comes then asks in pauses, and is not queued behind
/// them: their locks may come free later than his, or only when he has got his.
const MOST_HELPERS: u32 = 4;

static HELPERS: AtomicU32 = AtomicU32::new(0);

/// `flock`.
pub fn flock(current: Current, fd: c_int, operation: c_int) -> Result<usize> {
    // SAFETY: takes numbers only.
    let call = |operation| unsafe { syscall!(SYS_flock, fd, operation) };
    if operation & (LOCK_NB | LOCK_UN) != 0 {
        return call(operation);
    }
    try_in_pauses(current, || call(operation | LOCK_NB), || None)
}

/// Whether this fcntl command waits for a lock.
pub fn waits(command: c_int) -> bool {
    matches!(command, F_SETLKW | libc::F_OFD_SETLKW)
}

/// `fcntl` with a command that [`waits`].
///
/// # Safety
/// As fcntl(2).
pub unsafe fn fcntl(current: Current, fd: c_int, command: c_int, lock: c_long) -> Result<usize> {
    // SAFETY: the caller's promise.
    let call = |command| unsafe { syscall!(SYS_fcntl, fd, command, lock) };
    if command == libc::F_OFD_SETLKW {
        return try_in_pauses(current, || call(libc::F_OFD_SETLK), || None);
    }
    // SAFETY: the first try has shown that the lock can be read.
    try_in_pauses(current, || call(F_SETLK), || wait_elsewhere(current, fd, unsafe { *(lock as *const libc::flock) }))
}

/// `lockf` with F_LOCK, which waits.
pub fn lockf(current: Current, fd: c_int, length: off_t) -> Result<usize> {
    // SAFETY: plain data, valid when zero.
    let mut lock: libc::flock = unsafe { core::mem::zeroed() };
    lock.l_type = F_WRLCK as _;
    lock.l_whence = SEEK_CUR as _;
    lock.l_len = length;
    try_in_pauses(
        current,
        // SAFETY: the lock is valid for the call.
        || unsafe { syscall!(SYS_fcntl, fd, F_SETLK, &raw const lock) },
        || wait_elsewhere(current, fd, lock),
    )
}

/// Whether `command` of lockf waits.
pub fn lockf_waits(command: c_int) -> bool {
    command == F_LOCK
}

/// Tries until the lock is to be had, or `otherwise` has an answer.
fn try_in_pauses(
    current: Current,
    attempt: impl Fn() -> Result<usize>,
    otherwise: impl Fn() -> Option<Result<usize>>,
) -> Result<usize> {
    let mut pause = MS / 2;
    loop {
        match attempt() {
            Err(Errno(libc::EAGAIN | libc::EACCES)) => {}
            Err(Errno(libc::EINTR)) => continue,
            result => return result,
        }
        if let Some(answer) = otherwise() {
            return answer;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
        current.sleep_until(clock::after(pause));
    }
}

/// A helper's wait for a lock. When nobody wants it any more, the lock is given back.
struct Wait {
    fd: c_int,
    lock: libc::flock,
    result: Result<usize>,
    taken: bool,
}

impl Work for Wait {
    const KIND: Kind = Kind::Locks;
    fn run(&mut self) {
        self.result = loop {
            // SAFETY: the lock is valid for the call.
            match unsafe { syscall!(SYS_fcntl, self.fd, F_SETLKW, &raw const self.lock) } {
                Err(Errno(libc::EINTR)) => {}
                result => break result,
            }
        };
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        HELPERS.fetch_sub(1, Relaxed);
        if self.result.is_ok() && !self.taken {
            self.lock.l_type = F_UNLCK as _;
            // SAFETY: the lock is valid for the call.
            let _ = unsafe { syscall!(SYS_fcntl, self.fd, F_SETLK, &raw const self.lock) };
        }
    }
}

/// Has a helper wait for the lock in the kernel; `None`: no helper is free.
fn wait_elsewhere(current: Current, fd: c_int, lock: libc::flock) -> Option<Result<usize>> {
    if !current.can_offload() {
        return None;
    }
    let most = scheduler::helper_limit().ok()?.min(MOST_HELPERS);
    if HELPERS.fetch_add(1, Relaxed) >= most {
        HELPERS.fetch_sub(1, Relaxed);
        return None;
    }
    let wait = Wait { fd, lock, result: Err(Errno(libc::EAGAIN)), taken: false };
    let mut done = current.offload(wait, NEVER).ok()?;
    done.taken = true;
    Some(done.result)
}
