// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory of the ring's own, for those whose own memory the kernel must not have.
//!
//! What is received lies in a buffer that the kernel takes only when something has come (IORING_REGISTER_PBUF_RING), between
//! the call that completes it and the look at its completion. What is sent lies beside its entry, until the kernel has taken
//! that.

use core::ptr;
use core::sync::atomic::AtomicU16;
use core::sync::atomic::Ordering::Release;

use libc::c_void;

use super::{ENTRIES, Ring, register};
use crate::sys::memory;
use crate::syscall;

/// How much can be received at a time.
pub const RECEIVED: usize = 2048;
/// How much can be sent at a time.
pub const SENT: usize = 512;

/// More complete with one call only when many find at once what they ask for.
const BUFFERS: u16 = 128;

const OFFERS_BYTES: usize = 4096;
const RECEIVED_BYTES: usize = BUFFERS as usize * RECEIVED;
const SENT_BYTES: usize = ENTRIES as usize * SENT;
const BYTES: usize = OFFERS_BYTES + RECEIVED_BYTES + SENT_BYTES;

/// `struct io_uring_buf`; the last field of the first one is the tail of the ring that they are.
#[repr(C)]
struct Offer {
    address: u64,
    length: u32,
    index: u16,
    tail: AtomicU16,
}

const _: () = assert!(size_of::<Offer>() * BUFFERS as usize <= OFFERS_BYTES);

/// A ring's buffers. Zeroed: not asked for yet.
pub struct Buffers {
    /// The offers to the kernel, a page, and then the buffers.
    memory: *mut c_void,
    tail: u16,
    /// The kernel wants none.
    absent: bool,
}

impl Ring {
    /// Whether there are buffers; they are made if need be. The ring is open.
    #[inline]
    pub fn has_buffers(&mut self) -> bool {
        !self.buffers.memory.is_null() || !self.buffers.absent && self.make_buffers()
    }

    #[cold]
    fn make_buffers(&mut self) -> bool {
        /// `struct io_uring_buf_reg`, of group 0.
        #[repr(C)]
        struct Registration {
            address: u64,
            entries: u32,
            group_and_flags: u32,
            reserved: [u64; 3],
        }
        self.buffers.absent = true;
        let Ok(memory) = memory::map(BYTES, 0) else { return false };
        let registration = Registration {
            address: memory.as_ptr() as u64,
            entries: BUFFERS.into(),
            group_and_flags: 0,
            reserved: [0; 3],
        };
        let (operation, index) = (register::PROVIDED_BUFFERS | register::BY_INDEX, self.index);
        // SAFETY: a valid registration; the memory stays as long as the ring.
        if unsafe { syscall!(SYS_io_uring_register, index, operation, &raw const registration, 1) }.is_err() {
            // SAFETY: just mapped, and the kernel does not use it.
            unsafe { memory::unmap(memory.as_ptr(), BYTES) };
            return false;
        }
        self.buffers = Buffers { memory: memory.as_ptr(), tail: 0, absent: false };
        for index in 0..BUFFERS {
            self.offer(index);
        }
        true
    }

    /// What has come into a buffer.
    #[inline]
    pub fn received(&self, index: u16) -> *const u8 {
        self.buffers.memory.wrapping_byte_add(OFFERS_BYTES + index as usize * RECEIVED).cast()
    }

    /// Gives the kernel a buffer, for the first time or again.
    #[inline]
    pub fn offer(&mut self, index: u16) {
        let address = self.received(index) as u64;
        let tail = self.buffers.tail;
        self.buffers.tail = tail.wrapping_add(1);
        // SAFETY: there are buffers, whoever has got an index says so. The offers beyond the tail are ours: there are as many
        // as buffers.
        unsafe {
            let offers: *mut Offer = self.buffers.memory.cast();
            let offer = offers.add((tail % BUFFERS) as usize);
            (*offer).address = address;
            (*offer).length = RECEIVED as u32;
            (*offer).index = index;
            (*offers).tail.store(tail.wrapping_add(1), Release);
        }
    }

    /// Has the entry at a place, which the kernel has not got yet, send a copy.
    ///
    /// # Safety
    /// There are buffers; `data` can be read, at most [`SENT`] bytes of it.
    #[inline]
    pub unsafe fn send_copy(&mut self, place: usize, data: *const u8, length: usize) {
        let copy = self.buffers.memory.wrapping_byte_add(OFFERS_BYTES + RECEIVED_BYTES + place * SENT).cast::<u8>();
        // SAFETY: the caller's promise; the bytes beside an entry are in use only while the kernel has not taken it.
        unsafe {
            ptr::copy_nonoverlapping(data, copy, length);
            (*self.entries.add(place)).entry.address = copy as u64;
        }
    }

    /// Gives the memory back. The kernel has closed the ring, or it is a forked child's parent's.
    pub(super) fn free_buffers(&mut self) {
        if !self.buffers.memory.is_null() {
            // SAFETY: our own mapping, which the kernel uses no more.
            unsafe { memory::unmap(self.buffers.memory, BYTES) };
        }
        self.buffers = Buffers { memory: ptr::null_mut(), tail: 0, absent: false };
    }
}
