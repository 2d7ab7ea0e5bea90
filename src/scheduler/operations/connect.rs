// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connecting.

use libc::{c_int, sockaddr, socklen_t};

use super::operate::{Begin, End};
use crate::scheduler::Current;
use crate::sys::clock::{self, Instant};
use crate::sys::ring::{self, Entry};
use crate::sys::{Errno, Result};
use crate::syscall_raw;

impl Current {
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
