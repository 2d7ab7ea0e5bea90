// SPDX-License-Identifier: MIT OR Apache-2.0
//! What other threads tell a scheduler: today, that a descriptor which it watches was closed.

use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use super::Scheduler;
use crate::poller::descriptors;
use crate::sys::memory;

struct Message {
    next: *mut Message,
    fd: i32,
    generation: u32,
    closed: bool,
}

/// A stack of messages that any thread may add to. Zeroed memory is an empty one.
pub struct Inbox {
    newest: AtomicPtr<Message>,
    /// A message was lost for want of memory: every watch has to be checked.
    lost: AtomicBool,
}

impl Inbox {
    /// From any thread: `fd` of that generation was closed (or nearly).
    pub fn add(&self, fd: i32, generation: u32, closed: bool) {
        let Ok(message) = memory::zeroed::<Message>() else {
            self.lost.store(true, Ordering::Release);
            return;
        };
        let message = message.as_ptr();
        // SAFETY: the message is ours until it is published.
        unsafe { message.write(Message { next: ptr::null_mut(), fd, generation, closed }) };
        let mut newest = self.newest.load(Ordering::Relaxed);
        loop {
            // SAFETY: as above.
            unsafe { (*message).next = newest };
            match self.newest.compare_exchange_weak(newest, message, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(seen) => newest = seen,
            }
        }
    }

    /// Throws away what is left.
    pub fn free(&mut self) {
        let mut message = *self.newest.get_mut();
        while !message.is_null() {
            // SAFETY: published messages are ours to free, once.
            unsafe {
                let next = (*message).next;
                memory::free(message);
                message = next;
            }
        }
        *self.newest.get_mut() = ptr::null_mut();
    }
}

impl Scheduler {
    /// Does what the messages ask for.
    pub(super) fn read_inbox(&mut self) {
        let mut message = self.inbox.newest.swap(ptr::null_mut(), Ordering::Acquire);
        while !message.is_null() {
            // SAFETY: taking the whole stack made its messages ours.
            unsafe {
                let Message { next, fd, generation, closed } = message.read();
                self.forget_watch(fd, generation, closed);
                memory::free(message);
                message = next;
            }
        }
        if self.inbox.lost.swap(false, Ordering::Acquire) {
            self.forget_old_watches();
        }
    }

    /// Forgets every registration whose number has a newer generation.
    fn forget_old_watches(&mut self) {
        let scheduler: *mut Scheduler = self;
        // SAFETY: the watches are not added to while they are walked.
        unsafe {
            let watches = &raw mut (*scheduler).watches;
            (*watches).for_each(&mut |watch| (*scheduler).forget_if_old(watch));
        }
    }

    /// # Safety
    /// `watch` is one of this scheduler's.
    unsafe fn forget_if_old(&mut self, watch: *mut super::watch::Watch) {
        // SAFETY: the caller's promise.
        unsafe {
            if let Some((fd, generation)) = (*watch).registration()
                && descriptors::get(fd).generation != generation
            {
                self.forget_watch(fd, generation, true);
            }
        }
    }
}
