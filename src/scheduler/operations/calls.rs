// SPDX-License-Identifier: MIT OR Apache-2.0
//! System calls that coroutines make as operations.

use libc::{c_int, c_void, sockaddr, socklen_t};

use super::{AT_ONCE, CLOSED};
use crate::arch;
use crate::poller::descriptors;
use crate::scheduler::watch::{Watch, life_of};
use crate::scheduler::{Current, Scheduler};
use crate::stack::Kind;
use crate::sys::clock::{self, Instant, NEVER};
use crate::sys::ring::{self, Entry};
use crate::sys::syscall::check;
use crate::sys::{Errno, Result};
use crate::{syscall, syscall_raw};

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
        scheduler.operations.at_once.take().map(|completion| completion.result())
    }

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
    fn lies_in_frames(self, buffer: *const c_void, length: usize) -> bool {
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
        let mut entry = Entry {
            opcode: ring::RECEIVE,
            fd,
            address: buffer as u64,
            length: length.min(i32::MAX as usize) as u32,
            ..Entry::default()
        };
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
                (entry.flags, entry.address) = (ring::CHOOSE_BUFFER, 0);
            }
            loop {
                let poll_first = if self.is_dry(fd) { ring::POLL_FIRST } else { 0 };
                match self.operate(Entry { ioprio: poll_first, ..entry }, deadline, Begin::WithNextTurn)? {
                    End::Cancelled if clock::now() < deadline => {}
                    End::Cancelled => return Some(Err(Errno(libc::EAGAIN))),
                    End::Result(Err(Errno(libc::EAGAIN | libc::ENOBUFS))) => return None,
                    End::Result(result) => {
                        let watch = (*self.scheduler()).watches.get(fd);
                        (*watch).dry = matches!(result, Ok(1..)) && !(*me).more && descriptors::get(fd).tcp();
                        if !lent && (*me).more && result == Ok(ring::RECEIVED) {
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

    /// `send` to a stream socket of which a hook has seen the birth, without waiting for room: EAGAIN. EPIPE comes without
    /// SIGPIPE. `None`: not by the ring.
    ///
    /// # Safety
    /// As send(2).
    pub unsafe fn send(self, fd: c_int, buffer: *const c_void, length: usize) -> Option<Result<usize>> {
        let entry = Entry {
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
            Begin::Copied
        } else {
            return None;
        };
        loop {
            // SAFETY: the caller's promise; a copy is made where the kernel must not read.
            match unsafe { self.operate(entry, NEVER, begin) }? {
                End::Cancelled => {}
                End::Result(result) => return Some(result),
            }
        }
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
            Entry { opcode: ring::CONNECT, fd, offset: length.into(), address: address as u64, ..Entry::default() };
        // SAFETY: the running coroutine is valid. The caller's promise; the kernel copies the address when it takes the entry.
        let before = unsafe { (*self.coroutine()).switches };
        // SAFETY: as above.
        match unsafe { self.operate(entry, deadline, Begin::Now) }? {
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

    /// Carries out an operation on the entry's descriptor; the coroutine parks until it has ended, and at the deadline it is
    /// cancelled. EBADF: the descriptor was closed meanwhile. `None`: there is no ring, or it cannot be used now.
    ///
    /// # Safety
    /// What the entry points to stays until the operation ends, or until it is begun if the kernel copies it.
    pub(super) unsafe fn operate(self, entry: Entry, deadline: Instant, begin: Begin) -> Option<End> {
        if self.is_aside() {
            return None;
        }
        let (me, fd) = (self.coroutine(), entry.fd);
        // SAFETY: the scheduler and its running coroutine are valid; watches live as long as the scheduler. No reference to
        // the scheduler lives across the switch.
        unsafe {
            let scheduler = &mut *self.scheduler();
            let generation = descriptors::get(fd).generation;
            scheduler.open_poller().ok()?;
            let watch = match scheduler.operated(fd, generation)? {
                Ok(watch) => watch,
                Err(error) => return Some(End::Result(Err(error))),
            };
            if !scheduler.begin_operation(watch, generation, entry, begin == Begin::Copied) {
                return None;
            }
            if begin != Begin::Now || scheduler.begin_now()? {
                self.park_for_outside(deadline);
            }
            match check((*me).waiter.result as isize) {
                Err(Errno(libc::ECANCELED | libc::EINTR | libc::EBADF)) if (*me).waiter.events & CLOSED != 0 => {
                    Some(End::Result(Err(Errno(libc::EBADF))))
                }
                // What the number means now is for the kernel to say.
                Err(Errno(libc::ECANCELED | libc::EINTR | libc::EBADF))
                    if descriptors::get(fd).generation != generation =>
                {
                    None
                }
                Err(Errno(libc::ECANCELED | libc::EINTR)) => Some(End::Cancelled),
                result => Some(End::Result(result)),
            }
        }
    }
}

impl Scheduler {
    /// The watch of a descriptor; who closes that tells us from now on. EBADF: it was closed meanwhile. `None`: no memory.
    #[inline]
    fn operated(&mut self, fd: c_int, generation: u32) -> Option<Result<*mut Watch>> {
        let watch = self.watches.entry(fd).ok()?;
        // SAFETY: watches live as long as the scheduler.
        unsafe {
            if !(*watch).is_operated(generation) {
                (*watch).operated = life_of(generation);
                (*watch).dry = false;
                descriptors::watched(fd);
                if descriptors::get(fd).generation != generation {
                    (*watch).operated = 0;
                    return Some(Err(Errno(libc::EBADF)));
                }
            }
        }
        Some(Ok(watch))
    }
}

/// When the kernel takes an entry.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Begin {
    /// When the loop turns.
    WithNextTurn,
    /// The same, with a copy of what it is to send.
    Copied,
    /// Before the coroutine parks. It does not park when that was all.
    Now,
}

/// How an operation ended.
pub(super) enum End {
    Result(Result<usize>),
    /// By its deadline, or for no reason of its own.
    Cancelled,
}
