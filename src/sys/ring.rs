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
use super::{Result, memory};
use crate::syscall;

/// Submissions that wait for the kernel.
pub const ENTRIES: u32 = 256;
/// Completions that wait for us; beyond them the kernel keeps a list.
const COMPLETIONS: u32 = 1024;

const ENTRY_BYTES: usize = ENTRIES as usize * size_of::<Entry>();
/// With room for the kernel's own words before the completions.
const RING_BYTES: usize = COMPLETIONS as usize * size_of::<Completion>() + 64 * 1024;

/// IORING_SETUP_*.
mod setup {
    pub const CQSIZE: u32 = 1 << 3;
    pub const SUBMIT_ALL: u32 = 1 << 7;
    pub const SINGLE_ISSUER: u32 = 1 << 12;
    pub const DEFER_TASKRUN: u32 = 1 << 13;
    pub const NO_MMAP: u32 = 1 << 14;
    pub const REGISTERED_FD_ONLY: u32 = 1 << 15;
    pub const NO_SQARRAY: u32 = 1 << 16;
}

/// IORING_ENTER_*.
mod enter {
    pub const GETEVENTS: u32 = 1 << 0;
    pub const EXT_ARG: u32 = 1 << 3;
    pub const REGISTERED_RING: u32 = 1 << 4;
}

/// IORING_UNREGISTER_RING_FDS, of a ring given by its index.
const UNREGISTER: u32 = 21 | 1 << 31;

/// IORING_OP_READ.
pub const READ: u8 = 22;
/// IORING_OP_WRITE.
pub const WRITE: u8 = 23;
/// IOSQE_ASYNC, in [`Entry::flags`]: a thread of the kernel makes the call, and waits in it.
pub const BY_WORKER: u8 = 1 << 4;
/// IORING_OP_POLL_ADD.
pub const POLL: u8 = 6;
/// IORING_OP_ACCEPT.
pub const ACCEPT: u8 = 13;
/// IORING_OP_ASYNC_CANCEL.
pub const CANCEL: u8 = 14;
/// IORING_OP_CONNECT.
pub const CONNECT: u8 = 16;
/// IORING_OP_SEND.
pub const SEND: u8 = 26;
/// IORING_OP_RECV.
pub const RECEIVE: u8 = 27;
/// IORING_ACCEPT_DONTWAIT (Linux 6.10), in [`Entry::ioprio`].
pub const ACCEPT_DONTWAIT: u16 = 1 << 1;

/// IORING_ASYNC_CANCEL_ALL, in [`Entry::call_flags`]: not only the first that matches.
pub const CANCEL_ALL: u32 = 1 << 0;
/// IORING_ASYNC_CANCEL_FD: what concerns the descriptor's file.
pub const CANCEL_FD: u32 = 1 << 1;
/// IORING_ASYNC_CANCEL_ANY: everything.
pub const CANCEL_ANY: u32 = 1 << 2;
/// IORING_RECVSEND_POLL_FIRST, in [`Entry::ioprio`]: it is not ready yet.
pub const POLL_FIRST: u16 = 1 << 0;
/// IORING_CQE_F_SOCK_NONEMPTY: there is more to receive.
pub const NONEMPTY: u32 = 1 << 2;

/// `struct io_uring_sqe`: what is asked of the kernel. Zeros are for all that an operation does not use.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Entry {
    /// IORING_OP_*.
    pub opcode: u8,
    /// IOSQE_*.
    pub flags: u8,
    /// A priority, or flags of the operation.
    pub ioprio: u16,
    /// The descriptor.
    pub fd: i32,
    /// An offset, or a second address.
    pub offset: u64,
    /// A buffer, or whatever the operation takes.
    pub address: u64,
    /// The buffer's length.
    pub length: u32,
    /// The flags of the system call that the operation is like.
    pub call_flags: u32,
    /// Comes back with the completion.
    pub data: u64,
    /// Buffers, credentials and the like.
    pub rest: [u64; 3],
}

const _: () = assert!(size_of::<Entry>() == 64);

/// `struct io_uring_cqe`: what became of it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Completion {
    /// [`Entry::data`].
    pub data: u64,
    /// A system call's result, or -errno.
    pub result: i32,
    /// IORING_CQE_F_*.
    pub flags: u32,
}

impl Completion {
    /// The result as of a system call.
    pub fn result(&self) -> Result<usize> {
        super::syscall::check(self.result as isize)
    }
}

/// `struct io_sqring_offsets` and `struct io_cqring_offsets`: one layout, other names for the fields from the fifth on.
#[repr(C)]
#[derive(Default)]
struct Offsets {
    head: u32,
    tail: u32,
    mask: u32,
    entries: u32,
    flags_or_overflow: u32,
    dropped_or_completions: u32,
    array_or_flags: u32,
    reserved: u32,
    /// NO_MMAP: our memory.
    user_address: u64,
}

/// `struct io_uring_params`.
#[repr(C)]
#[derive(Default)]
struct Parameters {
    sq_entries: u32,
    cq_entries: u32,
    flags: u32,
    thread_cpu: u32,
    thread_idle: u32,
    features: u32,
    wq_fd: u32,
    reserved: [u32; 3],
    submissions: Offsets,
    completions: Offsets,
}

const _: () = assert!(size_of::<Parameters>() == 120);

/// A ring. Zeroed memory is one that has not been opened.
pub struct Ring {
    state: State,
    index: u32,
    memory: *mut c_void,
    entries: *mut Entry,
    completions: *const Completion,
    submission_tail: *const AtomicU32,
    submission_head: *const AtomicU32,
    completion_tail: *const AtomicU32,
    completion_head: *const AtomicU32,
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
        self.push(Entry { opcode: ACCEPT, ioprio: ACCEPT_DONTWAIT, fd: -1, ..Entry::default() });
        self.submit().is_ok() && self.next().is_some_and(|completion| completion.result == -libc::EBADF)
    }

    /// Puts an entry where the kernel will find it, and returns at which of [`ENTRIES`] places; `None` when there is no room.
    #[inline]
    pub fn push(&mut self, entry: Entry) -> Option<usize> {
        // SAFETY: the ring is open; the words are the kernel's and ours, the entries beyond the head are ours.
        unsafe {
            let tail = (*self.submission_tail).load(Relaxed);
            if tail.wrapping_sub((*self.submission_head).load(Acquire)) >= ENTRIES {
                return None;
            }
            let place = (tail % ENTRIES) as usize;
            self.entries.add(place).write(entry);
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
                each(place, &mut *self.entries.add(place));
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
        let timeout = limit.map(|limit| libc::timespec {
            tv_sec: (limit / 1_000_000_000) as libc::time_t,
            tv_nsec: (limit % 1_000_000_000) as libc::c_long,
        });
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
        // SAFETY: names our own ring, by its index.
        let _ = unsafe { syscall!(SYS_io_uring_register, self.index, UNREGISTER, &raw const update, 1) };
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
    }
}
