// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads and writes of what has no flag that keeps one call from waiting.

use core::ptr;

use libc::{c_int, c_void, iovec};

use super::operate::{Begin, End};
use crate::coroutine::Waiter;
use crate::poller::descriptors;
use crate::scheduler::Current;
use crate::sys::clock::NEVER;
use crate::sys::ring::{self, Entry};
use crate::sys::{Errno, Result, memory};

impl Current {
    /// `read`, however long it takes; `by_worker`: of what cannot be asked not to wait. `None`: make the call otherwise.
    ///
    /// # Safety
    /// As read(2).
    pub unsafe fn read(self, fd: c_int, piece: &iovec, by_worker: bool) -> Option<Result<usize>> {
        // SAFETY: the caller's promise.
        unsafe { self.transfer(ring::READ, fd, piece, by_worker) }
    }

    /// `write`, however long it takes; as [`Current::read`].
    ///
    /// # Safety
    /// As write(2).
    pub unsafe fn write(self, fd: c_int, piece: &iovec, by_worker: bool) -> Option<Result<usize>> {
        // SAFETY: the caller's promise.
        unsafe { self.transfer(ring::WRITE, fd, piece, by_worker) }
    }

    /// # Safety
    /// As read(2) or write(2).
    unsafe fn transfer(self, opcode: u8, fd: c_int, piece: &iovec, by_worker: bool) -> Option<Result<usize>> {
        let &iovec { iov_base: buffer, iov_len: length } = piece;
        let flags = if by_worker { ring::BY_WORKER } else { 0 };
        let entry = Entry { opcode, flags, fd, ..Entry::default() };
        if self.may_lend(buffer, length) {
            // SAFETY: the caller's promise; the buffer stays where it is.
            return unsafe { self.transfer_all(entry, buffer, length) };
        }
        if !self.lies_on_stack(buffer, length) {
            return None;
        }
        // A buffer on a shared stack: by way of the heap. It belongs to the coroutine, should that be ended.
        let bounce: *mut c_void = memory::array_zeroed::<u8>(length.max(1)).ok()?.as_ptr().cast();
        let me = self.coroutine();
        // SAFETY: the running coroutine is valid and waits on no array; both buffers have room for the length.
        unsafe {
            (*(*me).rest).waiters = bounce.cast::<Waiter>();
            if opcode == ring::WRITE {
                ptr::copy_nonoverlapping(buffer, bounce, length);
            }
            let result = self.transfer_all(entry, bounce, length);
            if let (ring::READ, Some(Ok(length))) = (opcode, result) {
                ptr::copy_nonoverlapping(bounce, buffer, length);
            }
            (*(*me).rest).waiters = ptr::null_mut();
            memory::free(bounce);
            result
        }
    }

    /// A read is done when something has come, a write when all is written.
    ///
    /// # Safety
    /// As read(2) or write(2), of a buffer that stays where it is.
    unsafe fn transfer_all(self, entry: Entry, buffer: *mut c_void, length: usize) -> Option<Result<usize>> {
        let mut done = 0;
        let generation = descriptors::get(entry.fd).generation;
        loop {
            let rest = (length - done).min(i32::MAX as usize);
            let entry = Entry {
                // There is no position.
                offset: ring::NO_OFFSET,
                address: buffer.wrapping_byte_add(done) as u64,
                length: rest as u32,
                ..entry
            };
            // SAFETY: the caller's promise.
            match unsafe { self.operate(entry.fd, NEVER, Begin::Now, || entry) } {
                Some(End::Cancelled) => {}
                Some(End::Result(Ok(more @ 1..))) if entry.opcode == ring::WRITE && done + more < length => {
                    done += more;
                    if self.otherwise(entry.fd, generation).is_some() {
                        return Some(Ok(done));
                    }
                }
                Some(End::Result(Ok(more))) => return Some(Ok(done + more)),
                _ if done > 0 => return Some(Ok(done)),
                Some(End::Result(Err(Errno(libc::EAGAIN | libc::EOPNOTSUPP)))) => {
                    return self.otherwise(entry.fd, generation);
                }
                None => return None,
                Some(End::Result(result)) => return Some(result),
            }
        }
    }
}
