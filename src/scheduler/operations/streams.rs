// SPDX-License-Identifier: MIT OR Apache-2.0
//! Receiving and sending.
//!
//! The kernel has no address of a shared stack: what is sent from there is copied, what comes goes to a buffer of the ring's
//! and from there to the parked frame.

use libc::{c_int, c_void};

use super::operate::{Begin, End};
use crate::arch;
use crate::poller::descriptors;
use crate::scheduler::Current;
use crate::stack::Kind;
use crate::sys::clock::{self, Instant, NEVER};
use crate::sys::ring::{self, Entry};
use crate::sys::{Errno, Result};
use crate::syscall;

impl Current {
    /// Whether receiving and sending go by the ring.
    #[inline(always)]
    pub fn streams_by_ring(self) -> bool {
        // SAFETY: the scheduler is valid while its coroutine runs.
        unsafe { (*self.scheduler()).operations.chosen }
    }

    /// Whether others have something for the kernel, too, or soon may: one call then serves all.
    #[inline(always)]
    pub fn has_company(self) -> bool {
        // SAFETY: the scheduler is valid while its coroutine runs.
        let scheduler = unsafe { &*self.scheduler() };
        !scheduler.ready.is_empty() || scheduler.operations.any_pending()
    }

    /// Whether a buffer stays where it is while the coroutine waits: on a shared stack another one runs there meanwhile.
    #[inline]
    pub fn may_lend(self, buffer: *const c_void, length: usize) -> bool {
        // SAFETY: the running coroutine is valid.
        let (kind, stack) = unsafe { ((*self.coroutine()).kind, &(*(*self.coroutine()).rest).stack) };
        let start = buffer as usize;
        kind != Kind::Shared || start >= stack.top() as usize || start.saturating_add(length) <= stack.base as usize
    }

    /// Whether a buffer lies on the coroutine's stack as a whole.
    pub fn lies_on_stack(self, buffer: *const c_void, length: usize) -> bool {
        // SAFETY: the running coroutine is valid.
        let stack = unsafe { &(*(*self.coroutine()).rest).stack };
        let start = buffer as usize;
        start >= stack.base as usize && start.saturating_add(length) <= stack.top() as usize
    }

    /// Whether a buffer lies in the coroutine's frames, and is saved with them when it parks.
    pub(super) fn lies_in_frames(self, buffer: *const c_void, length: usize) -> bool {
        buffer as usize >= arch::stack_pointer() as usize && self.lies_on_stack(buffer, length)
    }

    /// Whether the last operation on `fd` has left nothing to receive: then trying is in vain.
    pub fn is_dry(self, fd: c_int) -> bool {
        // SAFETY: the scheduler is valid; its watches live as long as it does.
        unsafe {
            let watch = (*self.scheduler()).watches.get(fd);
            !watch.is_null() && (*watch).dry && (*watch).is_operated(descriptors::get(fd).generation)
        }
    }

    /// Notes that `fd`, of which a hook has seen the birth, has just been found empty, for [`Current::is_dry`].
    pub fn note_dry(self, fd: c_int) {
        // SAFETY: the scheduler is valid while its coroutine runs; its watches live as long as it does.
        unsafe {
            if let Some(Ok(watch)) = (*self.scheduler()).operated(fd, descriptors::get(fd).generation) {
                (*watch).dry = true;
            }
        }
    }

    /// `recv` from a socket of which a hook has seen the birth, in which there is nothing yet. EAGAIN: the deadline came.
    /// `None`: not by the ring.
    ///
    /// # Safety
    /// As recv(2).
    pub unsafe fn receive(
        self,
        fd: c_int,
        buffer: *mut c_void,
        length: usize,
        deadline: Instant,
    ) -> Option<Result<usize>> {
        let me = self.coroutine();
        // SAFETY: the scheduler and its running coroutine, which waits to send nothing, are valid; the caller's promise.
        unsafe {
            let lent = self.may_lend(buffer, length);
            if !lent {
                // Who passes descriptors relies on where a read of a UNIX socket ends.
                if !self.lies_in_frames(buffer, length) || length > ring::RECEIVED && !descriptors::get(fd).tcp() {
                    return None;
                }
                (*(*me).rest).message = buffer.cast();
            }
            let generation = descriptors::get(fd).generation;
            loop {
                let entry = || Entry {
                    opcode: ring::RECEIVE,
                    flags: if lent { 0 } else { ring::CHOOSE_BUFFER },
                    ioprio: if self.is_dry(fd) { ring::POLL_FIRST } else { 0 },
                    fd,
                    address: if lent { buffer as u64 } else { 0 },
                    length: length.min(i32::MAX as usize) as u32,
                    ..Entry::default()
                };
                match self.operate(fd, deadline, Begin::WithNextTurn, entry)? {
                    End::Cancelled if clock::now() < deadline => {}
                    End::Cancelled => return Some(Err(Errno(libc::EAGAIN))),
                    // Or all buffers are in use: by what has come together, or for long by the kernel's own threads.
                    End::Result(Err(Errno(libc::EAGAIN | libc::ENOBUFS))) => return self.otherwise(fd, generation),
                    End::Result(result) => {
                        let watch = (*self.scheduler()).watches.get(fd);
                        (*watch).dry = matches!(result, Ok(1..)) && !(*me).more && descriptors::get(fd).tcp();
                        let more = (*me).more && descriptors::get(fd).generation == generation;
                        if !lent && more && result == Ok(ring::RECEIVED) {
                            let (at, room) = (buffer.wrapping_byte_add(ring::RECEIVED), length - ring::RECEIVED);
                            let rest = syscall!(SYS_recvfrom, fd, at, room, libc::MSG_DONTWAIT, 0, 0);
                            return Some(Ok(ring::RECEIVED + rest.unwrap_or(0)));
                        }
                        return Some(result);
                    }
                }
            }
        }
    }

    /// `send` to a stream socket of which a hook has seen the birth, without waiting for room. `None`: not by the ring, but to
    /// wait for room, or for SIGPIPE.
    ///
    /// # Safety
    /// As send(2).
    pub unsafe fn send(self, fd: c_int, buffer: *const c_void, length: usize) -> Option<Result<usize>> {
        let entry = || Entry {
            opcode: ring::SEND,
            fd,
            address: buffer as u64,
            length: length.min(i32::MAX as usize) as u32,
            // The kernel is done with the bytes when it has taken the entry.
            call_flags: (libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT) as u32,
            ..Entry::default()
        };
        let begin = if self.may_lend(buffer, length) {
            Begin::WithNextTurn
        } else if length <= ring::SENT && self.lies_in_frames(buffer, length) {
            Begin::Copied(length)
        } else {
            return None;
        };
        let generation = descriptors::get(fd).generation;
        loop {
            // SAFETY: the caller's promise; a copy is made where the kernel must not read.
            match unsafe { self.operate(fd, NEVER, begin, entry) }? {
                End::Cancelled => {}
                End::Result(Err(Errno(libc::EAGAIN | libc::EPIPE))) => return self.otherwise(fd, generation),
                End::Result(result) => return Some(result),
            }
        }
    }
}
