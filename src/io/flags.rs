// SPDX-License-Identifier: MIT OR Apache-2.0
//! O_NONBLOCK as the program sees it, and how to set it for a moment without the program's seeing it.

use core::ffi::c_int;
use core::sync::atomic::{
    AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

use crate::poller::descriptors::Snapshot;
use crate::sys::{Result, errno};
use crate::{syscall, syscall_raw};

/// Whether the program has set O_NONBLOCK. EBADF.
#[inline(always)]
pub fn is_nonblocking(fd: c_int, snapshot: Snapshot) -> Result<bool> {
    if snapshot.known() && !snapshot.shared() { Ok(snapshot.nonblocking()) } else { ask_nonblocking(fd) }
}

#[inline(never)]
fn ask_nonblocking(fd: c_int) -> Result<bool> {
    let _lock = FlagLock::take(fd);
    // SAFETY: takes numbers only.
    Ok(unsafe { syscall!(SYS_fcntl, fd, libc::F_GETFL) }? & libc::O_NONBLOCK as usize != 0)
}

/// How often a taker gives way before it goes on without the lock. Locks are held for one system call that does not
/// wait; one held longer belongs to a thread that a fork has left behind.
const PATIENCE: u32 = 1000;

/// Who holds the lock of a descriptor number: the address of the thread's `errno`, or 0. Numbers share locks.
static OWNERS: [AtomicUsize; 64] = [const { AtomicUsize::new(0) }; 64];

/// While it is held, O_NONBLOCK of a descriptor is not what the program has set, or must not be looked at.
///
/// Taken by who sets the flag for a moment, and by our fcntl, ioctl and dup, so that the program never sees it. Other
/// processes, and other numbers of the same description, can see it for that moment.
pub struct FlagLock(Option<&'static AtomicUsize>);

impl FlagLock {
    /// Waits for the lock. In a signal handler that has interrupted its holder: goes on without.
    pub fn take(fd: c_int) -> FlagLock {
        let lock = &OWNERS[fd as usize % OWNERS.len()];
        let me = errno::location() as usize;
        for _ in 0..PATIENCE {
            match lock.compare_exchange(0, me, Acquire, Relaxed) {
                Ok(_) => return FlagLock(Some(lock)),
                Err(owner) if owner == me => return FlagLock(None),
                // SAFETY: no preconditions.
                Err(_) => unsafe { syscall_raw!(SYS_sched_yield) },
            };
        }
        FlagLock(None)
    }

    /// Makes a system call on a blocking descriptor as if the program had set O_NONBLOCK.
    pub fn without_blocking(&self, fd: c_int, call: impl FnOnce() -> Result<usize>) -> Result<usize> {
        self.set_nonblocking(fd, true)?;
        let result = call();
        let _ = self.set_nonblocking(fd, false);
        result
    }

    /// Sets O_NONBLOCK of the descriptor that the lock was taken for, or takes it away.
    pub fn set_nonblocking(&self, fd: c_int, on: bool) -> Result<()> {
        let value = c_int::from(on);
        // FIONBIO, not F_SETFL: it changes this one flag and needs no look at the others.
        // SAFETY: FIONBIO reads one int.
        unsafe { syscall!(SYS_ioctl, fd, libc::FIONBIO, &raw const value) }.map(|_| ())
    }
}

impl Drop for FlagLock {
    fn drop(&mut self) {
        if let Some(lock) = self.0 {
            lock.store(0, Release);
        }
    }
}
