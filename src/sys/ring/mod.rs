// SPDX-License-Identifier: MIT OR Apache-2.0
//! A raw io_uring(7), used by the thread that made it and by no other.
//!
//! The kernel knows it by an index of the thread's own (REGISTERED_FD_ONLY) and uses memory of ours (NO_MMAP): there is no
//! descriptor that the program could see, close or count, and a forked child has nothing of it but memory.
//! Completions come only while the thread is in [`Ring::enter`] (DEFER_TASKRUN). All of that takes Linux 6.10; where
//! something is missing or forbidden there is no ring.

use core::ptr;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use libc::c_void;

use super::syscall::KERNEL_SIGSET;
use super::{Result, clock, memory};
use crate::syscall;

mod abi;
mod buffers;

pub use abi::*;
pub use buffers::{RECEIVED, SENT};

/// Submissions that wait for the kernel.
pub const ENTRIES: u32 = 256;
/// Completions that wait for us; beyond them the kernel keeps a list.
const COMPLETIONS: u32 = 1024;

const ENTRY_BYTES: usize = ENTRIES as usize * size_of::<Submission>();
/// With room for the kernel's own words before the completions.
const RING_BYTES: usize = COMPLETIONS as usize * size_of::<Completion>() + 64 * 1024;

/// A ring. Zeroed memory is one that has not been opened.
pub struct Ring {
    state: State,
    index: u32,
    memory: *mut c_void,
    entries: *mut Submission,
    completions: *const Completion,
    submission_tail: *const AtomicU32,
    submission_head: *const AtomicU32,
    completion_tail: *const AtomicU32,
    completion_head: *const AtomicU32,
    buffers: buffers::Buffers,
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum State {
    /// Not opened yet.
    Closed = 0,
    Open,
    /// The kernel has none for us.
    Absent,
}

impl Ring {
    /// Whether it is open.
    #[inline(always)]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Opens the ring unless it is open; false where there is none. The kernel is asked once.
    pub fn open(&mut self) -> bool {
        if self.state == State::Closed {
            self.state = if self.try_open() { State::Open } else { State::Absent };
        }
        self.state == State::Open
    }

    #[cold]
    fn try_open(&mut self) -> bool {
        let Ok(memory) = memory::map(ENTRY_BYTES + RING_BYTES, 0) else { return false };
        self.memory = memory.as_ptr();
        let rings = self.memory.wrapping_byte_add(ENTRY_BYTES);
        let mut parameters = Parameters {
            cq_entries: COMPLETIONS,
            flags: setup::CQSIZE
                | setup::SUBMIT_ALL
                | setup::SINGLE_ISSUER
                | setup::DEFER_TASKRUN
                | setup::NO_MMAP
                | setup::REGISTERED_FD_ONLY
                | setup::NO_SQARRAY,
            ..Parameters::default()
        };
        parameters.submissions.user_address = self.memory as u64;
        parameters.completions.user_address = rings as u64;
        // SAFETY: valid parameters. The kernel uses as much of our memory as these numbers of entries need, which fits.
        let Ok(index) = (unsafe { syscall!(SYS_io_uring_setup, ENTRIES, &raw mut parameters) }) else {
            self.unmap();
            return false;
        };
        self.index = index as u32;
        let word = |offset: u32| rings.wrapping_byte_add(offset as usize).cast_const().cast();
        self.entries = self.memory.cast();
        self.submission_head = word(parameters.submissions.head);
        self.submission_tail = word(parameters.submissions.tail);
        self.completion_head = word(parameters.completions.head);
        self.completion_tail = word(parameters.completions.tail);
        self.completions =
            rings.wrapping_byte_add(parameters.completions.dropped_or_completions as usize).cast_const().cast();
        let fits = parameters.sq_entries == ENTRIES && parameters.cq_entries == COMPLETIONS;
        if !fits || !self.knows_dontwait() {
            self.close();
            return false;
        }
        true
    }

    /// Tries the newest of what we use: a kernel that does not know the flag says so before it looks at the descriptor.
    fn knows_dontwait(&mut self) -> bool {
        self.push(&Entry { opcode: ACCEPT, ioprio: ACCEPT_DONTWAIT, fd: -1, ..Entry::default() });
        self.submit().is_ok() && self.next().is_some_and(|completion| completion.result == -libc::EBADF)
    }

    /// Puts an entry where the kernel will find it, and returns at which of [`ENTRIES`] places; `None` when there is no room.
    #[inline]
    pub fn push(&mut self, entry: &Entry) -> Option<usize> {
        // SAFETY: the ring is open; the words are the kernel's and ours, the entries beyond the head are ours.
        unsafe {
            let tail = (*self.submission_tail).load(Relaxed);
            if tail.wrapping_sub((*self.submission_head).load(Acquire)) >= ENTRIES {
                return None;
            }
            let place = (tail % ENTRIES) as usize;
            entry.copy_to(&raw mut (*self.entries.add(place)).entry);
            (*self.submission_tail).store(tail.wrapping_add(1), Release);
            Some(place)
        }
    }

    /// Takes back the entry that was pushed last, unless the kernel has it.
    pub fn take_back(&mut self) -> bool {
        // SAFETY: the ring is open.
        unsafe {
            let tail = (*self.submission_tail).load(Relaxed);
            let pending = tail != (*self.submission_head).load(Acquire);
            if pending {
                (*self.submission_tail).store(tail.wrapping_sub(1), Release);
            }
            pending
        }
    }

    /// How many entries the kernel has not taken yet.
    #[inline]
    pub fn pending(&self) -> u32 {
        // SAFETY: the ring is open.
        unsafe { (*self.submission_tail).load(Relaxed).wrapping_sub((*self.submission_head).load(Acquire)) }
    }

    /// Calls `each` for every entry that the kernel has not taken yet, with its place.
    #[inline]
    pub fn for_each_pending(&mut self, mut each: impl FnMut(usize, &mut Entry)) {
        // SAFETY: the ring is open; entries between head and tail are ours.
        unsafe {
            let mut at = (*self.submission_head).load(Acquire);
            while at != (*self.submission_tail).load(Relaxed) {
                let place = (at % ENTRIES) as usize;
                each(place, &mut (*self.entries.add(place)).entry);
                at = at.wrapping_add(1);
            }
        }
    }

    /// Gives the kernel what has been pushed, and does not wait; what can be done at once is done when this returns.
    pub fn submit(&mut self) -> Result<usize> {
        // SAFETY: the ring is open.
        unsafe { syscall!(SYS_io_uring_enter, self.index, self.pending(), 0, enter::REGISTERED_RING, 0, 0) }
    }

    /// As [`Ring::submit`], and waits for `wanted` completions, at most `limit` nanoseconds. Before it waits, the kernel
    /// carries on what has become possible in the meantime, for `wanted` operations or a few. A signal ends it early.
    pub fn enter(&mut self, wanted: u32, limit: Option<u64>) -> Result<usize> {
        /// `struct io_uring_getevents_arg`.
        #[repr(C)]
        struct Argument {
            mask: u64,
            mask_size: u32,
            least_wait: u32,
            timeout: *const libc::timespec,
        }
        let timeout = limit.map(clock::timespec);
        let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        let argument = Argument { mask: 0, mask_size: KERNEL_SIGSET as u32, least_wait: 0, timeout };
        let flags = enter::GETEVENTS | enter::EXT_ARG | enter::REGISTERED_RING;
        let size = size_of::<Argument>();
        // SAFETY: the ring is open; the argument and what it points to are valid for the call.
        unsafe { syscall!(SYS_io_uring_enter, self.index, self.pending(), wanted, flags, &raw const argument, size) }
    }

    /// The next completion, if one has come.
    #[inline]
    pub fn next(&mut self) -> Option<Completion> {
        // SAFETY: the ring is open; completions before the tail have been written, and stay until the head passes them.
        unsafe {
            let head = (*self.completion_head).load(Relaxed);
            if head == (*self.completion_tail).load(Acquire) {
                return None;
            }
            let completion = self.completions.add((head % COMPLETIONS) as usize).read();
            (*self.completion_head).store(head.wrapping_add(1), Release);
            Some(completion)
        }
    }

    /// Closes the ring. Nothing is in flight.
    pub fn close(&mut self) {
        /// `struct io_uring_rsrc_update`.
        #[repr(C)]
        struct Update {
            offset: u32,
            reserved: u32,
            data: u64,
        }
        let update = Update { offset: self.index, reserved: 0, data: 0 };
        let operation = register::UNREGISTER_RINGS | register::BY_INDEX;
        // SAFETY: names our own ring, by its index.
        let _ = unsafe { syscall!(SYS_io_uring_register, self.index, operation, &raw const update, 1) };
        self.unmap();
    }

    /// Closes the ring if it is open. After fork, in the child, only its memory goes: the index was its parent's.
    pub fn free(&mut self, forked: bool) {
        if self.state == State::Open {
            if forked {
                self.unmap();
            } else {
                self.close();
            }
        }
        self.state = State::Closed;
    }

    fn unmap(&mut self) {
        // SAFETY: our own mapping, which the kernel uses no more.
        unsafe { memory::unmap(self.memory, ENTRY_BYTES + RING_BYTES) };
        self.memory = ptr::null_mut();
        self.free_buffers();
    }
}
