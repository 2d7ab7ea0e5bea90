// SPDX-License-Identifier: MIT OR Apache-2.0
//! What <linux/io_uring.h> defines, as far as we use it.

#![allow(missing_docs)]

use crate::sys::{Result, syscall};

/// IORING_SETUP_*.
pub mod setup {
    pub const CQSIZE: u32 = 1 << 3;
    pub const SUBMIT_ALL: u32 = 1 << 7;
    pub const SINGLE_ISSUER: u32 = 1 << 12;
    pub const DEFER_TASKRUN: u32 = 1 << 13;
    pub const NO_MMAP: u32 = 1 << 14;
    pub const REGISTERED_FD_ONLY: u32 = 1 << 15;
    pub const NO_SQARRAY: u32 = 1 << 16;
}

/// IORING_ENTER_*.
pub mod enter {
    pub const GETEVENTS: u32 = 1 << 0;
    pub const EXT_ARG: u32 = 1 << 3;
    pub const REGISTERED_RING: u32 = 1 << 4;
}

/// IORING_REGISTER_*, IORING_UNREGISTER_*.
pub mod register {
    pub const UNREGISTER_RINGS: u32 = 21;
    pub const PROVIDED_BUFFERS: u32 = 22;
    /// The ring is given by its index.
    pub const BY_INDEX: u32 = 1 << 31;
}

/// IORING_OP_READ.
pub const READ: u8 = 22;
/// IORING_OP_WRITE.
pub const WRITE: u8 = 23;
/// The file's own position, in [`Entry::offset`].
pub const NO_OFFSET: u64 = u64::MAX;
/// RWF_NOSIGNAL (Linux 6.18), in [`Entry::call_flags`]: EPIPE comes without SIGPIPE.
pub const NO_SIGNAL: u32 = 1 << 8;
/// IOSQE_ASYNC, in [`Entry::flags`]: a thread of the kernel makes the call, and waits in it.
pub const BY_WORKER: u8 = 1 << 4;
/// IOSQE_BUFFER_SELECT, in [`Entry::flags`]: into a buffer that the kernel chooses.
pub const CHOOSE_BUFFER: u8 = 1 << 5;
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
/// IORING_ACCEPT_POLL_FIRST (as old), in [`Entry::ioprio`]: there is no connection yet.
pub const ACCEPT_POLL_FIRST: u16 = 1 << 2;

/// IORING_ASYNC_CANCEL_ALL, in [`Entry::call_flags`]: not only the first that matches.
pub const CANCEL_ALL: u32 = 1 << 0;
/// IORING_ASYNC_CANCEL_FD: what concerns the descriptor's file.
pub const CANCEL_FD: u32 = 1 << 1;
/// IORING_ASYNC_CANCEL_OP: those whose operation is [`Entry::length`].
pub const CANCEL_OPCODE: u32 = 1 << 5;
/// IORING_RECVSEND_POLL_FIRST, in [`Entry::ioprio`]: it is not ready yet.
pub const POLL_FIRST: u16 = 1 << 0;
/// IORING_CQE_F_BUFFER: it has chosen one.
const CHOSEN: u32 = 1 << 0;
/// IORING_CQE_F_SOCK_NONEMPTY: there is more to receive.
pub const NONEMPTY: u32 = 1 << 2;

/// What we use of a `struct io_uring_sqe`: what is asked of the kernel. Zeros are for all that an operation does not use.
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
}

impl Entry {
    /// Copies it field by field, as it was written just before: what is read as wider words has to reach the cache first, which
    /// takes long on a stack that others' have driven out of there.
    ///
    /// # Safety
    /// `place` is writable.
    #[inline(always)]
    pub unsafe fn copy_to(&self, place: *mut Entry) {
        // SAFETY: the caller's promise.
        unsafe {
            (&raw mut (*place).opcode).write_volatile(self.opcode);
            (&raw mut (*place).flags).write_volatile(self.flags);
            (&raw mut (*place).ioprio).write_volatile(self.ioprio);
            (&raw mut (*place).fd).write_volatile(self.fd);
            (&raw mut (*place).offset).write_volatile(self.offset);
            (&raw mut (*place).address).write_volatile(self.address);
            (&raw mut (*place).length).write_volatile(self.length);
            (&raw mut (*place).call_flags).write_volatile(self.call_flags);
            (&raw mut (*place).data).write_volatile(self.data);
        }
    }
}

/// `struct io_uring_sqe`.
#[repr(C)]
pub struct Submission {
    /// Its first words.
    pub entry: Entry,
    /// Buffers, credentials and the like: zeros, for ever.
    rest: [u64; 3],
}

const _: () = assert!(size_of::<Submission>() == 64);

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
        syscall::check(self.result as isize)
    }

    /// The buffer that the kernel has chosen and used.
    #[inline]
    pub fn buffer(&self) -> Option<u16> {
        (self.flags & CHOSEN != 0).then_some((self.flags >> 16) as u16)
    }
}

/// `struct io_sqring_offsets` and `struct io_cqring_offsets`: one layout, other names for the fields from the fifth on.
#[repr(C)]
#[derive(Default)]
pub struct Offsets {
    pub head: u32,
    pub tail: u32,
    pub mask: u32,
    pub entries: u32,
    pub flags_or_overflow: u32,
    pub dropped_or_completions: u32,
    pub array_or_flags: u32,
    pub reserved: u32,
    /// NO_MMAP: our memory.
    pub user_address: u64,
}

/// `struct io_uring_params`.
#[repr(C)]
#[derive(Default)]
pub struct Parameters {
    pub sq_entries: u32,
    pub cq_entries: u32,
    pub flags: u32,
    pub thread_cpu: u32,
    pub thread_idle: u32,
    pub features: u32,
    pub wq_fd: u32,
    pub reserved: [u32; 3],
    pub submissions: Offsets,
    pub completions: Offsets,
}

const _: () = assert!(size_of::<Parameters>() == 120);
