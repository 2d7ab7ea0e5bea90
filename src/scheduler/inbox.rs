// SPDX-License-Identifier: MIT OR Apache-2.0
//! What other threads tell a scheduler: that a descriptor which it watches was closed, that a signal came which its
//! coroutines hold, that a child has ended, that a helper has done a job.

use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use libc::signalfd_siginfo;

use super::offload::{self, Finished};
use super::{Scheduler, registry};
use crate::coroutine::Wake;
use crate::poller::descriptors;
use crate::sys::memory;

/// How many signals wait in an inbox whose loop does not run.
const SIGNALS: u32 = 1024;

/// How many closed descriptors it names.
const CLOSED: usize = 32;

/// The descriptor of that generation was closed.
#[derive(Clone, Copy)]
pub struct Closed {
    pub fd: i32,
    pub generation: u32,
    /// How to wake who waits for it.
    pub wake: Wake,
}

struct Node {
    next: *mut Node,
    signal: signalfd_siginfo,
}

/// What any thread may add to, under the registry's lock. Zeroed memory is an empty one.
pub struct Inbox {
    /// No memory is asked for: `close` is allowed in signal handlers.
    closed: UnsafeCell<[Closed; CLOSED]>,
    closed_count: AtomicUsize,
    /// There were more: every watch has to be checked.
    lost: AtomicBool,
    newest: AtomicPtr<Node>,
    /// Signals of which the messages were lost.
    lost_signals: AtomicU64,
    signals: AtomicU32,
    /// A child has ended.
    child: AtomicBool,
    finished: UnsafeCell<Finished>,
    any_finished: AtomicBool,
}

impl Inbox {
    /// From any thread: a descriptor was closed.
    ///
    /// # Safety
    /// Under the registry's lock.
    pub unsafe fn add_closed(&self, closed: Closed) {
        let count = self.closed_count.load(Ordering::Relaxed);
        if count == CLOSED {
            self.lost.store(true, Ordering::Release);
            return;
        }
        // SAFETY: `count` is within the array, which is touched under the lock only.
        unsafe { (*self.closed.get())[count] = closed };
        self.closed_count.store(count + 1, Ordering::Release);
    }

    /// From any thread: a signal to the process came.
    pub fn add_signal(&self, signal: &signalfd_siginfo) {
        let lose = || {
            self.lost_signals.fetch_or(1 << (signal.ssi_signo.wrapping_sub(1) & 63), Ordering::Release);
        };
        if self.signals.fetch_add(1, Ordering::Relaxed) >= SIGNALS {
            return lose();
        }
        let Ok(node) = memory::zeroed::<Node>() else { return lose() };
        let node = node.as_ptr();
        let mut newest = self.newest.load(Ordering::Relaxed);
        loop {
            // SAFETY: the node is ours until it is published.
            unsafe { node.write(Node { next: newest, signal: *signal }) };
            match self.newest.compare_exchange_weak(newest, node, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(seen) => newest = seen,
            }
        }
    }

    /// From any thread: a child has ended.
    pub fn child_ended(&self) {
        self.child.store(true, Ordering::Release);
    }

    /// From a helper: a job is done, which `put` adds.
    ///
    /// # Safety
    /// Under the registry's lock.
    pub(super) unsafe fn add_finished(&self, put: impl FnOnce(&mut Finished)) {
        // SAFETY: touched under the lock only.
        put(unsafe { &mut *self.finished.get() });
        self.any_finished.store(true, Ordering::Release);
    }

    /// What `take` takes of the jobs that are done.
    ///
    /// # Safety
    /// Under the registry's lock.
    pub(super) unsafe fn take_finished<T>(&self, take: impl FnOnce(&mut Finished) -> T) -> T {
        self.any_finished.store(false, Ordering::Relaxed);
        // SAFETY: touched under the lock only.
        take(unsafe { &mut *self.finished.get() })
    }

    /// Takes all signals, in the order in which they came.
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
        self.closed_count.store(0, Ordering::Relaxed);
        // SAFETY: nobody else knows the inbox any more.
        unsafe { offload::free_all(self.finished.get_mut()) };
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
        if self.inbox.closed_count.load(Ordering::Acquire) > 0 {
            // SAFETY: under the lock.
            let (count, closed) = registry::locked(|| unsafe {
                (self.inbox.closed_count.swap(0, Ordering::Relaxed), *self.inbox.closed.get())
            });
            for Closed { fd, generation, wake } in &closed[..count] {
                self.forget_watch(*fd, *generation, *wake);
            }
        }
        let mut node = self.inbox.take();
        while !node.is_null() {
            // SAFETY: taken nodes are ours to free, once.
            unsafe {
                let Node { next, signal } = node.read();
                memory::free(node);
                node = next;
                self.deliver_signal(&signal);
            }
        }
        if self.inbox.lost.swap(false, Ordering::Acquire) {
            self.forget_old_watches();
        }
        self.deliver_signals(self.inbox.lost_signals.swap(0, Ordering::Acquire));
        if self.inbox.child.swap(false, Ordering::Acquire) {
            self.wake_child_waiters();
        }
        if self.inbox.any_finished.load(Ordering::Acquire) {
            self.read_finished();
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
            let (fd, generations) = (*watch).generations();
            for generation in generations.into_iter().flatten() {
                if descriptors::get(fd).generation != generation {
                    self.forget_watch(fd, generation, Wake::Closed);
                }
            }
        }
    }
}
