// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accepting and connecting.

use libc::{c_int, sockaddr, socklen_t};

use super::AT_ONCE;
use super::operate::{Begin, End};
use crate::scheduler::Current;
use crate::sys::clock::{self, Instant};
use crate::sys::ring::{self, Entry};
use crate::sys::{Errno, Result};
use crate::syscall_raw;

impl Current {
    /// Whether there is a ring; it is opened if need be.
    pub fn has_ring(self) -> bool {
        // SAFETY: the scheduler is valid while its coroutine runs.
        unsafe { (*self.scheduler()).operations.with_ring(|_| Some(())).is_some() }
    }

    /// `accept4` that does not wait, although the listener may be blocking: EAGAIN. `None`: there is no ring. With it comes
    /// whether there are more connections, of a TCP listener.
    ///
    /// # Safety
    /// As accept4(2).
    pub unsafe fn accept_now(
        self,
        fd: c_int,
        address: *mut sockaddr,
        length: *mut socklen_t,
        flags: c_int,
    ) -> Option<(Result<usize>, bool)> {
        let entry = Entry {
            opcode: ring::ACCEPT,
            ioprio: ring::ACCEPT_DONTWAIT,
            fd,
            offset: length as u64,
            address: address as u64,
            call_flags: flags as u32,
            data: AT_ONCE,
            ..Entry::default()
        };
        // SAFETY: the scheduler is valid while its coroutine runs.
        let scheduler = unsafe { &mut *self.scheduler() };
        // An operation that does not wait is done when it has been submitted: the kernel does not keep the addresses.
        scheduler.operations.with_ring(|operations| {
            operations.push(entry)?;
            operations.give();
            // Otherwise the kernel has not got so far.
            if operations.ring.pending() > 0 && operations.ring.take_back() { None } else { Some(()) }
        })?;
        scheduler.reap();
        if scheduler.operations.at_once.is_none() {
            // There was no room for its completion.
            scheduler.look_at_ring();
        }
        scheduler.operations.at_once.take().map(|completion| (completion.result(), completion.flags & ring::NONEMPTY != 0))
    }

    /// `connect` of a blocking socket. EINPROGRESS: the deadline came. `None`: not by the ring.
    ///
    /// # Safety
    /// As connect(2).
    pub unsafe fn connect(
        self,
        fd: c_int,
        address: *const sockaddr,
        length: socklen_t,
        deadline: Instant,
    ) -> Option<Result<usize>> {
        let entry =
            || Entry { opcode: ring::CONNECT, fd, offset: length.into(), address: address as u64, ..Entry::default() };
        // SAFETY: the running coroutine is valid. The caller's promise; the kernel copies the address when it takes the entry.
        let before = unsafe { (*self.coroutine()).switches };
        // SAFETY: as above.
        match unsafe { self.operate(fd, deadline, Begin::Now, entry) }? {
            End::Cancelled if clock::now() < deadline => Some(Err(Errno(libc::EALREADY))),
            End::Cancelled => Some(Err(Errno(libc::EINPROGRESS))),
            End::Result(result) => {
                // SAFETY: the running coroutine is valid.
                let waited = unsafe { (*self.coroutine()).switches } != before;
                if waited && matches!(result, Err(error) if error != Errno(libc::EBADF)) {
                    // The kernel's second look takes the error, but unlike connect(2) leaves the socket connecting.
                    let nowhere = [libc::AF_UNSPEC as u16; 8];
                    // SAFETY: an address that the call reads. It ends what has failed already.
                    unsafe { syscall_raw!(SYS_connect, fd, &raw const nowhere, size_of_val(&nowhere)) };
                }
                Some(result)
            }
        }
    }
}
