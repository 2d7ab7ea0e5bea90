// SPDX-License-Identifier: MIT OR Apache-2.0
//! What other threads tell a scheduler: that a descriptor which it watches was closed, that a signal came which its
//! coroutines hold, that a child has ended.

use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use libc::signalfd_siginfo;

use super::Scheduler;
use crate::poller::descriptors;
use crate::sys::memory;

/// How many signals wait in an inbox whose loop does not run.
const SIGNALS: u32 = 1024;

/// One thing to tell.
#[derive(Clone, Copy)]
pub enum Message {
    /// The descriptor of that generation was closed, or nearly.
    Closed { fd: i32, generation: u32, closed: bool },
    /// This signal to the process came.
    Signal(signalfd_siginfo),
}

struct Node {
    next: *mut Node,
    message: Message,
}

/// A stack of messages that any thread may add to. Zeroed memory is an empty one.
pub struct Inbox {
    newest: AtomicPtr<Node>,
    /// A message about a descriptor was lost for want of memory: every watch has to be checked.
    lost: AtomicBool,
    /// Signals of which the messages were lost.
    lost_signals: AtomicU64,
    signals: AtomicU32,
    /// A child has ended.
    child: AtomicBool,
}

impl Inbox {
    /// From any thread: adds a message.
    pub fn add(&self, message: Message) {
        if matches!(message, Message::Signal(_)) && self.signals.fetch_add(1, Ordering::Relaxed) >= SIGNALS {
            return self.lose(message);
        }
        let Ok(node) = memory::zeroed::<Node>() else { return self.lose(message) };
        let node = node.as_ptr();
        let mut newest = self.newest.load(Ordering::Relaxed);
        loop {
            // SAFETY: the node is ours until it is published.
            unsafe { node.write(Node { next: newest, message }) };
            match self.newest.compare_exchange_weak(newest, node, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(seen) => newest = seen,
            }
        }
    }

    fn lose(&self, message: Message) {
        match message {
            Message::Closed { .. } => self.lost.store(true, Ordering::Release),
            Message::Signal(info) => {
                self.lost_signals.fetch_or(1 << (info.ssi_signo.wrapping_sub(1) & 63), Ordering::Release);
            }
        }
    }

    /// From any thread: a child has ended.
    pub fn child_ended(&self) {
        self.child.store(true, Ordering::Release);
    }

    /// Takes all messages, in the order in which they came.
    fn take(&self) -> *mut Node {
        let mut newest = self.newest.swap(ptr::null_mut(), Ordering::Acquire);
        self.signals.store(0, Ordering::Relaxed);
        let mut oldest = ptr::null_mut();
        while !newest.is_null() {
            // SAFETY: taking the whole stack made its nodes ours.
            unsafe {
                let next = (*newest).next;
                (*newest).next = oldest;
                oldest = newest;
                newest = next;
            }
        }
        oldest
    }

    /// Throws away what is left.
    pub fn free(&mut self) {
        let mut node = self.take();
        while !node.is_null() {
            // SAFETY: taken nodes are ours to free, once.
            unsafe {
                let next = (*node).next;
                memory::free(node);
                node = next;
            }
        }
    }
}

impl Scheduler {
    /// Does what the messages ask for.
    pub(super) fn read_inbox(&mut self) {
        let mut node = self.inbox.take();
        while !node.is_null() {
            // SAFETY: taken nodes are ours to free, once.
            unsafe {
                let Node { next, message } = node.read();
                memory::free(node);
                node = next;
                match message {
                    Message::Closed { fd, generation, closed } => {
                        self.forget_watch(fd, generation, closed);
                    }
                    Message::Signal(info) => self.deliver_signal(&info),
                }
            }
        }
        if self.inbox.lost.swap(false, Ordering::Acquire) {
            self.forget_old_watches();
        }
        self.deliver_signals(self.inbox.lost_signals.swap(0, Ordering::Acquire));
        if self.inbox.child.swap(false, Ordering::Acquire) {
            self.wake_child_waiters();
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
