// SPDX-License-Identifier: MIT OR Apache-2.0
//! The signals of one coroutine. It keeps [`QUEUE`] of them; of those that come after (or for which there is no memory)
//! only that they came: one of each number, in [`Holder::overflow`].

use libc::signalfd_siginfo;

use super::{Set, bit, each};
use crate::list::{Link, List};
use crate::sys::{Result, memory};

/// How many signals a holder keeps.
const QUEUE: u32 = 1024;

/// The signals of one coroutine.
#[repr(C)]
pub struct Holder {
    pub(super) link: Link,
    pub(super) set: Set,
    /// Its coroutine, while it waits.
    pub(super) waiter: List,
    queue: List,
    queued: u32,
    /// Signals that came and could not be kept.
    overflow: Set,
}

#[repr(C)]
struct Queued {
    link: Link,
    info: signalfd_siginfo,
}

impl Holder {
    /// One that holds the signals of `set`.
    pub(super) fn new(set: Set) -> Result<*mut Holder> {
        let holder = memory::zeroed::<Holder>()?.as_ptr();
        // SAFETY: fresh memory that does not move.
        unsafe {
            (*holder).set = set;
            List::init(&raw mut (*holder).waiter);
            List::init(&raw mut (*holder).queue);
        }
        Ok(holder)
    }

    /// Keeps a signal until it is taken.
    pub(super) fn queue(&mut self, info: &signalfd_siginfo) {
        let node = if self.queued < QUEUE { memory::zeroed::<Queued>().ok() } else { None };
        match node {
            Some(node) => {
                // SAFETY: fresh memory, ours until it is taken off the queue.
                unsafe {
                    (*node.as_ptr()).info = *info;
                    List::push_back(&raw mut self.queue, &raw mut (*node.as_ptr()).link);
                }
                self.queued += 1;
            }
            None => self.overflow |= bit(info.ssi_signo),
        }
    }

    /// The next one.
    pub(super) fn take(&mut self) -> Option<signalfd_siginfo> {
        // SAFETY: the queue holds `Queued`s, of which `link` is the first field; off the queue they are ours to free.
        unsafe {
            let node: *mut Queued = List::pop_front(&raw mut self.queue).cast();
            if !node.is_null() {
                let info = (*node).info;
                memory::free(node);
                self.queued -= 1;
                return Some(info);
            }
        }
        let signal = each(self.overflow).next()?;
        self.overflow &= !bit(signal);
        Some(bare(signal))
    }
}

/// All that is known of a signal of which only the number was kept.
pub(super) fn bare(signal: u32) -> signalfd_siginfo {
    // SAFETY: plain data, valid when zero.
    let mut info: signalfd_siginfo = unsafe { core::mem::zeroed() };
    info.ssi_signo = signal;
    info
}

// Links are taken for what they are the first field of.
const _: () = assert!(memoffset::offset_of!(Holder, link) == 0 && memoffset::offset_of!(Queued, link) == 0);
