// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tries: calls of another library's, made such that they do not wait.
//!
//! Such a call may call back into the program, which may park there or try something else. So a try belongs to its
//! coroutine, and counts for that one only. Where several are under way, the last one to begin counts, and for the others
//! calls wait as if there were no try: that is right as well, only the stack is deeper then.

use super::Current;

/// What is being tried.
#[derive(Clone, Copy)]
pub struct Trying {
    /// The coroutine's cid; 0: nothing is being tried.
    owner: i32,
    /// Descriptors for which calls do not wait; -1: none.
    fds: [i32; 2],
    /// The descriptor whose reads are those of TLS records; -1: none.
    #[cfg(feature = "ssl")]
    records: i32,
}

impl Trying {
    /// Nothing.
    pub const NOTHING: Trying = Trying {
        owner: 0,
        fds: [-1; 2],
        #[cfg(feature = "ssl")]
        records: -1,
    };
}

impl Current {
    /// From now on calls of this coroutine that would wait for one of `fds` answer EAGAIN, and reads of `records` are of
    /// TLS records. Returns what [`Current::end_try`] needs to know.
    #[cfg(feature = "ssl")]
    pub fn begin_try(self, fds: [i32; 2], records: i32) -> Trying {
        // SAFETY: the scheduler and its running coroutine are valid.
        unsafe {
            let owner = (*self.coroutine()).cid;
            core::mem::replace(&mut (*self.scheduler()).trying, Trying { owner, fds, records })
        }
    }

    /// Ends the try that was begun when `before` was found.
    #[cfg(feature = "ssl")]
    pub fn end_try(self, before: Trying) {
        // SAFETY: as above.
        unsafe {
            // Another coroutine's may have ended meanwhile.
            let mine = before.owner == (*self.coroutine()).cid;
            (*self.scheduler()).trying = if mine { before } else { Trying::NOTHING };
        }
    }

    /// Whether the caller is in a try that must not wait for `fd`.
    #[inline(always)]
    pub fn is_impatient(self, fd: i32) -> bool {
        // SAFETY: the scheduler is valid.
        unsafe { (*self.scheduler()).trying.owner != 0 && self.is_trying(fd) }
    }

    #[inline(never)]
    fn is_trying(self, fd: i32) -> bool {
        // SAFETY: the scheduler and its running coroutine are valid.
        unsafe {
            let trying = &(*self.scheduler()).trying;
            let impatient = trying.fds.contains(&fd) && trying.owner == (*self.coroutine()).cid;
            (*self.scheduler()).been_impatient |= impatient;
            impatient
        }
    }

    /// Whether [`Current::is_impatient`] was ever true in this thread: somebody asks.
    #[cfg(feature = "ssl")]
    pub fn has_been_impatient(self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.scheduler()).been_impatient && !(*self.scheduler()).hooks_off }
    }

    /// Whether reads of `fd` are those of TLS records.
    #[cfg(feature = "ssl")]
    #[inline(always)]
    pub fn reads_records(self, fd: i32) -> bool {
        // SAFETY: as above.
        unsafe { (*self.scheduler()).trying.records == fd }
    }
}
