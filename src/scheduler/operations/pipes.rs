// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading from pipes and writing to them. What is read to a shared stack comes as in `streams`.

use libc::{c_int, c_void};

use super::operate::{Begin, End};
use crate::poller::descriptors;
use crate::scheduler::Current;
use crate::stack::Kind;
use crate::sys::clock::{self, Instant, NEVER};
use crate::sys::ring::{self, Entry};
use crate::sys::{Errno, Result};

impl Current {
    /// Whether [`Current::read_pipe`] can be. One reader of a pipe at a time: of several that wait in rings the kernel wakes all
    /// for every write, and lets a thread of its own wait in the place of one that has found nothing too often.
    pub fn may_read_pipe(self, fd: c_int, buffer: *const c_void, length: usize) -> bool {
        let fits = self.may_lend(buffer, length) || length <= ring::RECEIVED && self.lies_in_frames(buffer, length);
        // SAFETY: the scheduler is valid; its watches live as long as it does.
        fits && self.watches_alone(fd) && unsafe { (*(*self.scheduler()).watches.get(fd)).operators.is_empty() }
    }

    /// Notes, after [`Current::may_read_pipe`], that a try has left nothing in the pipe, or perhaps something, for
    /// [`Current::is_dry`].
    pub fn note_tried(self, fd: c_int, dry: bool) {
        // SAFETY: the scheduler is valid; its watches live as long as it does.
        unsafe { (*(*self.scheduler()).watches.get(fd)).dry = dry };
    }

    /// `read` from a blocking pipe of which a hook has seen the birth, in which there is nothing yet. EAGAIN: the deadline came.
    /// `None`: not by the ring.
    ///
    /// # Safety
    /// As read(2), after [`Current::may_read_pipe`].
    pub unsafe fn read_pipe(
        self,
        fd: c_int,
        buffer: *mut c_void,
        length: usize,
        deadline: Instant,
    ) -> Option<Result<usize>> {
        let me = self.coroutine();
        let lent = self.may_lend(buffer, length);
        let generation = descriptors::get(fd).generation;
        let entry = || Entry {
            opcode: ring::READ,
            flags: if lent { 0 } else { ring::CHOOSE_BUFFER },
            fd,
            offset: ring::NO_OFFSET,
            address: if lent { buffer as u64 } else { 0 },
            length: length.min(i32::MAX as usize) as u32,
            ..Entry::default()
        };
        loop {
            // SAFETY: the running coroutine, which waits to send nothing, is valid; the caller's promise.
            let end = unsafe {
                if !lent {
                    (*(*me).rest).message = buffer.cast();
                }
                self.operate(fd, deadline, Begin::WithNextTurn, entry)
            };
            match end? {
                End::Cancelled if clock::now() < deadline => {}
                End::Cancelled => return Some(Err(Errno(libc::EAGAIN))),
                // Or all buffers are in use: by what has come together, or for long by the kernel's own threads.
                End::Result(Err(Errno(libc::EAGAIN | libc::ENOBUFS))) => return self.otherwise(fd, generation),
                End::Result(result) => {
                    self.note_tried(fd, matches!(result, Ok(1..)));
                    return Some(result);
                }
            }
        }
    }

    /// Whether [`Current::write_pipe`] can be: the kernel keeps SIGPIPE back, as far as is known. Not on a shared stack: to copy
    /// its bytes out and in costs more than the call that is saved.
    pub fn may_write_pipe(self) -> bool {
        // SAFETY: the scheduler and its running coroutine are valid.
        unsafe { (*self.coroutine()).kind != Kind::Shared && !(*self.scheduler()).operations.raises }
    }

    /// `write` to a pipe of which a hook has seen the birth, without waiting for room. `None`: not by the ring, but to wait for
    /// room, or for SIGPIPE.
    ///
    /// # Safety
    /// As write(2), after [`Current::may_write_pipe`].
    pub unsafe fn write_pipe(self, fd: c_int, buffer: *const c_void, length: usize) -> Option<Result<usize>> {
        let entry = || Entry {
            opcode: ring::WRITE,
            fd,
            offset: ring::NO_OFFSET,
            address: buffer as u64,
            length: length.min(i32::MAX as usize) as u32,
            call_flags: libc::RWF_NOWAIT as u32 | ring::NO_SIGNAL,
            ..Entry::default()
        };
        let generation = descriptors::get(fd).generation;
        loop {
            // SAFETY: the caller's promise; no buffer moves.
            match unsafe { self.operate(fd, NEVER, Begin::WithNextTurn, entry) }? {
                End::Cancelled => {}
                End::Result(Err(Errno(libc::EAGAIN | libc::EPIPE))) => return self.otherwise(fd, generation),
                // Linux before 6.18 cannot keep SIGPIPE back.
                End::Result(Err(Errno(libc::EOPNOTSUPP | libc::EINVAL))) => {
                    // SAFETY: the scheduler is valid while its coroutine runs.
                    unsafe { (*self.scheduler()).operations.raises = true };
                    return self.otherwise(fd, generation);
                }
                End::Result(result) => return Some(result),
            }
        }
    }
}
