// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations that the kernel carries out for coroutines by io_uring.
//!
//! epoll stays the way to learn that something is ready. While an operation is in the ring the loop waits in the ring, which
//! then watches the epoll set; otherwise it has nothing to do with it.
//!
//! An operation belongs to a parked coroutine, and while the kernel has it the coroutine does not run and its stack stays:
//! whoever would wake it (a deadline, a close) only cancels. Its end wakes it, whatever that brought: a cancel that comes
//! too late delivers what has come. A cancelled coroutine looks for itself why.

use core::mem::replace;
use core::sync::atomic::{Ordering::SeqCst, compiler_fence};

use super::Scheduler;
use super::watch::Watch;
use crate::coroutine::{Coroutine, Wake, loose};
use crate::list::{Link, List};
use crate::poller::descriptors;
use crate::stack::{shared, tools};
use crate::sys::clock::{self, Instant};
use crate::sys::ring::{self, Completion, ENTRIES, Entry, Ring};
use crate::sys::{Errno, environment};
use crate::syscall_raw;

mod accept;
mod connect;
mod ending;
mod held;
mod operate;
mod pipes;
mod streams;
mod transfer;

pub(super) use accept::refuse;
use operate::Begin;

/// What [`Entry::data`] is: its lowest bits. A coroutine's operation has the coroutine's address.
const KIND: u64 = 7;
const COROUTINE: u64 = 0;
/// Nobody wants to know its end.
const IGNORED: u64 = 1;
/// A call that is made at once.
const AT_ONCE: u64 = 2;
/// The watch of the epoll set.
const POLLER: u64 = 3;
/// A cancel of the operation of the coroutine whose cid is in the other bits.
const CANCEL: u64 = 4;

/// In the `events` of a waiter in the ring: its descriptor was closed.
const CLOSED: u32 = 1;
/// It receives.
const RECEIVES: u32 = 2;
/// Who was to close its descriptor has failed, or has done so in a table of his own.
const LEFT: u32 = 4;

/// A scheduler's operations.
pub struct Operations {
    ring: Ring,
    /// Somebody uses the ring: a signal handler that interrupts goes without.
    busy: bool,
    /// Receiving and sending go by the ring.
    chosen: bool,
    /// A write to a broken pipe raises SIGPIPE, whatever the kernel is told.
    raises: bool,
    /// The ring watches the epoll set.
    watching: bool,
    /// How many coroutines are in the ring.
    count: u32,
    /// How many of them accept.
    accepting: u32,
    /// The generation of the descriptor that each entry was made for.
    generations: [u32; ENTRIES as usize],
    held: held::Held,
    /// What became of the last call that was made at once.
    at_once: Option<Completion>,
}

impl Operations {
    /// Decides how coroutines receive and send.
    pub(super) fn init(&mut self) {
        self.chosen = environment::is(c"DYCO_POLLER", c"io_uring");
    }

    /// Whether coroutines are in the ring.
    #[inline(always)]
    pub(super) fn any(&self) -> bool {
        self.count > 0
    }

    /// Whether the kernel has still to be given something.
    #[inline(always)]
    pub(super) fn any_pending(&self) -> bool {
        self.count > 0 && (self.ring.pending() > 0 || self.held.any())
    }

    /// Gives back what memory a crowd has left.
    pub(super) fn trim(&mut self) {
        if !self.held.any() {
            self.held.free();
        }
    }

    /// Gives the ring back. No coroutine is in it.
    pub(super) fn free(&mut self) {
        self.ring.free(false);
        self.held.free();
    }

    /// Uses the ring, unless there is none, or this is a signal handler that has interrupted somebody who does.
    #[inline]
    fn with_ring<T>(&mut self, action: impl FnOnce(&mut Operations) -> Option<T>) -> Option<T> {
        if replace(&mut self.busy, true) {
            return None;
        }
        compiler_fence(SeqCst);
        // Valgrind does not know what an operation writes.
        let open = self.ring.is_open() || !tools::on_valgrind() && self.ring.open();
        let result = if open { action(self) } else { None };
        compiler_fence(SeqCst);
        self.busy = false;
        result
    }

    /// Puts an entry into the ring; `None` when it has no room and the kernel takes nothing.
    #[inline]
    fn push(&mut self, entry: &Entry) -> Option<usize> {
        self.ring.push(entry).or_else(|| {
            self.give();
            self.ring.push(entry)
        })
    }

    /// Gives the kernel what has been pushed.
    fn give(&mut self) {
        self.disarm_stale();
        // What it refuses stays for the next time.
        let _ = self.ring.submit();
    }

    /// Waits for `wanted` completions; `limit`: for so long at most.
    fn enter(&mut self, wanted: u32, limit: Option<u64>) {
        self.disarm_stale();
        match self.ring.enter(wanted, limit) {
            Ok(_) | Err(Errno(libc::EINTR | libc::ETIME)) => {}
            // Only for want of memory.
            Err(_) => pause(),
        }
    }

    /// Whether somebody uses the ring: then this is a signal handler that has interrupted him, and must not park.
    #[inline(always)]
    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// What was asked of a descriptor that another thread has closed since must not be done to the next one of that number.
    #[inline]
    fn disarm_stale(&mut self) {
        let generations = &self.generations;
        self.ring.for_each_pending(|place, entry| {
            if entry.data & KIND == COROUTINE && descriptors::get(entry.fd).generation != generations[place] {
                entry.fd = -1;
            }
        });
    }
}

impl Scheduler {
    /// Gives the kernel, with the next turn of the loop, an operation of the coroutine that runs, which parks then. False:
    /// there is no ring, or no room.
    ///
    /// # Safety
    /// `watch` is of the entry's descriptor; what the entry points to stays until the operation has ended, unless it is copied:
    /// then the bytes fit.
    #[inline]
    unsafe fn begin_operation(&mut self, watch: *mut Watch, generation: u32, entry: &mut Entry, begin: Begin) -> bool {
        let me = self.running;
        entry.data = me as u64;
        // SAFETY: the running coroutine is valid.
        let accepts = unsafe { (*me).loose & loose::ACCEPTS != 0 };
        let receives = begin == Begin::WithNextTurn && matches!(entry.opcode, ring::RECEIVE | ring::READ);
        let copied = if let Begin::Copied(bytes) = begin { bytes } else { 0 };
        // SAFETY: the caller's promise.
        if receives && unsafe { has_receiver(watch) } {
            return false;
        }
        let begun = self.operations.with_ring(|operations| {
            if (copied > 0 || entry.flags & ring::CHOOSE_BUFFER != 0) && !operations.ring.has_buffers() {
                return None;
            }
            if receives && operations.held.is_plenty() && operations.hold(entry, generation) {
                operations.count += 1;
                return Some(());
            }
            let place = operations.push(entry)?;
            if copied > 0 {
                // SAFETY: the caller's promise.
                unsafe { operations.ring.send_copy(place, entry.address as *const u8, copied) };
            }
            operations.generations[place] = generation;
            operations.count += 1;
            Some(())
        });
        if begun.is_some() {
            // SAFETY: the caller's promise; the running coroutine's waiter is in no list.
            unsafe {
                (*me).in_ring = true;
                self.operations.accepting += u32::from(accepts);
                (*me).waiter.events = if receives { RECEIVES } else { 0 };
                List::push_back(&raw mut (*watch).operators, &raw mut (*me).waiter.link);
            }
        }
        begun.is_some()
    }

    /// Gives the kernel the operation that has just been begun; whether its end is still to come. `None`: the kernel has
    /// refused, and the operation is no more.
    ///
    /// # Safety
    /// The running coroutine has just begun it, see [`Scheduler::begin_operation`], and has not parked.
    unsafe fn begin_now(&mut self) -> Option<bool> {
        let me = self.running;
        let refused = self.operations.with_ring(|operations| {
            operations.give();
            Some(operations.ring.pending() > 0 && operations.ring.take_back())
        });
        // SAFETY: the caller's promise; the coroutine is by its waiter among the watch's operators.
        unsafe {
            if refused == Some(true) {
                self.operations.count -= 1;
                (*me).in_ring = false;
            }
            self.reap();
            if !(*me).in_ring {
                Link::unlink(&raw mut (*me).waiter.link);
            }
            if refused == Some(true) { None } else { Some((*me).in_ring) }
        }
    }

    fn push_surely(&mut self, entry: Entry) {
        let operations = &mut self.operations;
        while operations.with_ring(|operations| operations.push(&entry)).is_none() {
            // Only for want of memory.
            pause();
        }
    }

    /// Takes what the kernel has completed; whether the epoll set has events.
    fn reap(&mut self) -> bool {
        // Who was cancelled for it learns of a close first.
        self.settle();
        let mut events = false;
        while let Some(completion) = self.operations.ring.next() {
            match completion.data & KIND {
                IGNORED => {}
                CANCEL if completion.result == -libc::ENOENT => self.cancel_again((completion.data >> 3) as i32),
                CANCEL => {}
                AT_ONCE => self.operations.at_once = Some(completion),
                POLLER => {
                    self.operations.watching = false;
                    events = true;
                }
                // SAFETY: a coroutine stays while it is in the ring.
                _ => unsafe { self.complete(completion.data as *mut Coroutine, &completion) },
            }
        }
        events
    }

    /// # Safety
    /// The coroutine is in the ring, until now.
    #[inline]
    unsafe fn complete(&mut self, coroutine: *mut Coroutine, completion: &Completion) {
        self.operations.count -= 1;
        // SAFETY: the caller's promise. Who lets the kernel choose a buffer has said where on its shared stack the bytes go, and
        // no more come than have room there.
        unsafe {
            if let Some(buffer) = completion.buffer() {
                let bytes = self.operations.ring.received(buffer);
                let length = completion.result.max(0) as usize;
                let rest = (*coroutine).rest;
                shared::write(&raw const (*rest).stack, (*rest).message.cast_mut(), bytes, length);
                self.operations.ring.offer(buffer);
            }
            self.operations.held.ended += u32::from((*coroutine).waiter.events & RECEIVES != 0);
            self.operations.accepting -= u32::from((*coroutine).loose & loose::ACCEPTS != 0);
            (*coroutine).in_ring = false;
            (*coroutine).waiter.result = completion.result;
            (*coroutine).more = completion.flags & ring::NONEMPTY != 0;
            self.unpark(coroutine, Wake::Ready);
        }
    }

    /// Lets the kernel carry on, without waiting: as far as it is asked to, otherwise only twenty operations, which among
    /// coroutines that are always ready would be all until the next look, half a millisecond later.
    pub(super) fn look_at_ring(&mut self) {
        self.operations.take_turn();
        self.operations.enter(2 * ENTRIES, Some(0));
        self.reap();
    }

    /// Waits in the ring until something happens or the deadline; returns how many events the epoll set has.
    pub(super) fn wait_for_ring(&mut self, deadline: Instant) -> usize {
        if !self.operations.watching && self.poller.wake_fd() >= 0 {
            let watch = Entry {
                opcode: ring::POLL,
                fd: self.poller.set(),
                call_flags: libc::POLLIN as u32,
                data: POLLER,
                ..Entry::default()
            };
            self.push_surely(watch);
            self.operations.watching = true;
        }
        let now = clock::now();
        let limit = (!self.poller.is_endless(deadline, now)).then(|| deadline.saturating_sub(now));
        let wanted = self.operations.take_turn();
        self.operations.enter(wanted, limit);
        if self.reap() { self.poller.wait(0, 0) } else { 0 }
    }
}

/// Whether somebody receives from a watch's descriptor already. Of several who wait in the ring all look at what comes for
/// one, and who has found nothing too often is left to a thread of the kernel's own, which keeps its buffer.
///
/// # Safety
/// The watch is valid.
#[inline]
unsafe fn has_receiver(watch: *mut Watch) -> bool {
    // SAFETY: the caller's promise; operators are live coroutines.
    unsafe {
        let mut link = (*watch).operators.first();
        while !link.is_null() {
            if (*Coroutine::from_link(link)).waiter.events & RECEIVES != 0 {
                return true;
            }
            link = (*watch).operators.after(link);
        }
    }
    false
}

/// Gives the kernel time to find memory.
fn pause() {
    let time = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    // SAFETY: a valid time.
    unsafe { syscall_raw!(SYS_nanosleep, &raw const time, 0) };
}
