// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connecting.

use libc::{c_int, c_void, sockaddr, socklen_t};

use super::operate::{Begin, End};
use crate::poller::descriptors;
use crate::scheduler::Current;
use crate::sys::clock::{self, Instant};
use crate::sys::ring::{self, Entry};
use crate::sys::{Errno, Result};
use crate::{syscall, syscall_raw};

/// The kernel takes no address that is longer.
const LONGEST: usize = size_of::<libc::sockaddr_storage>();

impl Current {
    /// `connect` of a blocking socket; `together`: with what others have for the kernel. EINPROGRESS: the deadline came. `None`:
    /// not by the ring.
    ///
    /// # Safety
    /// As connect(2).
    pub unsafe fn connect(
        self,
        fd: c_int,
        address: *const sockaddr,
        length: socklen_t,
        deadline: Instant,
        together: bool,
    ) -> Option<Result<usize>> {
        let entry =
            || Entry { opcode: ring::CONNECT, fd, offset: length.into(), address: address as u64, ..Entry::default() };
        let begin = if together { self.begin_connect(address.cast(), length as usize) } else { Begin::Now };
        let generation = descriptors::get(fd).generation;
        // SAFETY: the running coroutine is valid.
        let before = unsafe { (*self.coroutine()).switches };
        // SAFETY: the caller's promise; the kernel copies the address when it takes the entry, and until then it stays or is
        // copied.
        match unsafe { self.operate(fd, deadline, begin, entry) }? {
            End::Cancelled if clock::now() < deadline => Some(Err(Errno(libc::EALREADY))),
            End::Cancelled => Some(Err(Errno(libc::EINPROGRESS))),
            End::Result(result) => {
                // SAFETY: the running coroutine is valid.
                let parked = unsafe { (*self.coroutine()).switches } != before;
                if let Err(error) = result
                    && parked
                    && descriptors::get(fd).generation == generation
                    && (begin == Begin::Now && error != Errno(libc::EBADF) || is_left_connecting(fd, error))
                {
                    // The kernel's second look takes the error, but unlike connect(2) leaves the socket connecting.
                    let nowhere = [libc::AF_UNSPEC as u16; 8];
                    // SAFETY: an address that the call reads. It ends what has failed already.
                    unsafe { syscall_raw!(SYS_connect, fd, &raw const nowhere, size_of_val(&nowhere)) };
                }
                Some(result)
            }
        }
    }

    /// How a connect begins that others share a call with.
    fn begin_connect(self, address: *const c_void, length: usize) -> Begin {
        if self.may_lend(address, length) {
            Begin::WithNextTurn
        } else if length <= LONGEST && self.lies_in_frames(address, length) {
            Begin::Copied(length)
        } else {
            Begin::Now
        }
    }
}

/// Whether a connection that has failed, with the kernel's first look or its second, may have left the socket connecting. One
/// that is connected, or that somebody else connects, must not be disturbed; nor one of which only the address was wrong, which
/// may have been shut down already.
#[cold]
fn is_left_connecting(fd: c_int, error: Errno) -> bool {
    /// `TCP_CLOSE`.
    const CLOSED: u8 = 7;
    if matches!(
        error,
        Errno(
            libc::EBADF
                | libc::EISCONN
                | libc::EALREADY
                | libc::EINVAL
                | libc::EFAULT
                | libc::EAFNOSUPPORT
                | libc::EADDRNOTAVAIL
        )
    ) {
        return false;
    }
    let (mut state, mut size) = (0u8, 1 as socklen_t);
    // The first byte of `struct tcp_info`. No other protocol needs this.
    // SAFETY: valid out parameters.
    let asked =
        unsafe { syscall!(SYS_getsockopt, fd, libc::IPPROTO_TCP, libc::TCP_INFO, &raw mut state, &raw mut size) };
    asked.is_ok() && state == CLOSED
}
