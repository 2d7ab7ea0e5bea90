// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a TLS read has seen of its socket and not taken yet. One per scheduler; `io::tls::records` works with it.

use super::Current;
use crate::poller::descriptors;
use crate::sys::{Result, memory};

/// How much is looked at: records longer than that are read in the usual way.
pub const ROOM: usize = 2048;

/// What was seen at the beginning of a socket's queue.
pub struct Glimpse {
    /// The socket whose reader has a header that is still in the socket's queue; -1: there is none.
    pub fd: i32,
    /// Its generation.
    generation: u32,
    /// Who has looked, and when.
    moment: (i32, u32),
    /// How many bytes were seen.
    pub seen: usize,
    /// The bytes.
    pub bytes: [u8; ROOM],
}

impl Glimpse {
    /// The coroutine that runs has seen so many bytes and got the header.
    pub fn begin(&mut self, current: Current, fd: i32, seen: usize) {
        (self.fd, self.seen) = (fd, seen);
        (self.generation, self.moment) = (descriptors::get(fd).generation, moment(current));
    }

    /// Whether it is of what `fd` means now.
    pub fn is_of(&self, fd: i32) -> bool {
        self.fd == fd && self.generation == descriptors::get(fd).generation
    }

    /// Whether nobody else has run since.
    pub fn is_fresh(&self, current: Current) -> bool {
        self.moment == moment(current)
    }
}

/// The coroutine that runs, and how often it has parked.
fn moment(current: Current) -> (i32, u32) {
    // SAFETY: the running coroutine is valid.
    unsafe { ((*current.coroutine()).cid, (*current.coroutine()).switches) }
}

impl Current {
    /// The scheduler's glimpse, made if need be. Valid until the scheduler ends; it may change whenever others run.
    pub fn glimpse(self) -> Result<*mut Glimpse> {
        // SAFETY: the scheduler is valid while its coroutine runs.
        unsafe {
            let s = self.scheduler();
            if (*s).glimpse.is_null() {
                let glimpse = memory::zeroed::<Glimpse>()?.as_ptr();
                (*glimpse).fd = -1;
                (*s).glimpse = glimpse;
            }
            Ok((*s).glimpse)
        }
    }

    /// The glimpse, if a reader has a header of it that is still in the socket's queue.
    pub fn glimpse_under_way(self) -> Option<*mut Glimpse> {
        // SAFETY: as above; a glimpse lives as long as its scheduler.
        unsafe {
            let glimpse = (*self.scheduler()).glimpse;
            (!glimpse.is_null() && (*glimpse).fd >= 0).then_some(glimpse)
        }
    }
}
