// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calls that the kernel makes for a coroutine by io_uring, because as system calls they would make the thread wait.

use core::mem::replace;
use core::sync::atomic::{Ordering::SeqCst, compiler_fence};

use libc::{c_int, sockaddr, socklen_t};

use super::Current;
use crate::stack::tools;
use crate::sys::Result;
use crate::sys::ring::{self, Entry, Ring};

/// A scheduler's ring. Zeroed memory is one that has not been opened.
pub struct Operations {
    ring: Ring,
    /// Somebody uses the ring: a signal handler that interrupts goes without.
    busy: bool,
}

impl Operations {
    /// Gives the ring back. Nothing is in flight.
    pub(super) fn free(&mut self) {
        self.ring.free(false);
    }

    /// After fork, in the child: the ring is the parent's.
    pub(super) fn forked(&mut self) {
        self.ring.free(true);
        self.busy = false;
    }

    /// Uses the ring, unless there is none, or this is a signal handler that has interrupted somebody who does.
    fn with_ring<T>(&mut self, action: impl FnOnce(&mut Ring) -> Option<T>) -> Option<T> {
        if replace(&mut self.busy, true) {
            return None;
        }
        compiler_fence(SeqCst);
        // Valgrind does not know what an operation writes.
        let open = self.ring.is_open() || !tools::on_valgrind() && self.ring.open();
        let result = if open { action(&mut self.ring) } else { None };
        compiler_fence(SeqCst);
        self.busy = false;
        result
    }
}

impl Current {
    /// Whether there is a ring; it is opened if need be.
    pub fn has_ring(self) -> bool {
        // SAFETY: the scheduler is valid while its coroutine runs.
        unsafe { (*self.scheduler()).operations.with_ring(|_| Some(())).is_some() }
    }

    /// `accept4` that does not wait, although the listener may be blocking: EAGAIN. `None`: there is no ring.
    ///
    /// # Safety
    /// As accept4(2).
    pub unsafe fn accept_now(
        self,
        fd: c_int,
        address: *mut sockaddr,
        length: *mut socklen_t,
        flags: c_int,
    ) -> Option<Result<usize>> {
        // SAFETY: the scheduler is valid while its coroutine runs.
        let operations = unsafe { &mut (*self.scheduler()).operations };
        operations.with_ring(|ring| {
            let entry = Entry {
                opcode: ring::ACCEPT,
                ioprio: ring::ACCEPT_DONTWAIT,
                fd,
                offset: length as u64,
                address: address as u64,
                call_flags: flags as u32,
                ..Entry::default()
            };
            // An operation that does not wait is done when it has been submitted: the kernel does not keep the addresses.
            if !ring.push(entry) || !ring.submit() {
                return None;
            }
            ring.next().map(|completion| completion.result())
        })
    }
}
