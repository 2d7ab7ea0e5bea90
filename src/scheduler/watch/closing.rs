// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptors that are closed or replaced while coroutines wait for them.
//!
//! A program may close in a signal handler, which may have interrupted the scheduler anywhere. So closing only takes a
//! note, and the scheduler looks at it before the next coroutine runs.

use core::ptr;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};

use super::{Watch, Watches};
use crate::coroutine::Wake;
use crate::poller::descriptors::{self, Snapshot};
use crate::poller::epoll::{Added, BASE};
use crate::scheduler::{Current, Scheduler, registry, this};

/// A descriptor that is being closed or replaced.
#[must_use]
pub struct Closing {
    fd: i32,
    generation: u32,
    /// How many schedulers watch it.
    watchers: u32,
}

/// To be called before a descriptor is closed or replaced: takes our registration away where the file may live on under
/// another number or in another process, ends this thread's operations on the file (they would keep it open), and makes
/// what is known of the number old.
pub fn descriptor_closing(fd: i32) -> Closing {
    let snapshot = descriptors::get(fd);
    if let Some(scheduler) = this() {
        // SAFETY: this thread's scheduler is valid; its watches live as long as it does.
        unsafe {
            let s = &mut *scheduler.as_ptr();
            let watch = s.watches.get(fd);
            if !watch.is_null() && (*watch).is_registered(&snapshot) && (snapshot.shared() || !snapshot.known()) {
                s.poller.remove(fd);
            }
            if !watch.is_null() && !(*watch).operators.is_empty() {
                s.operations.let_go(watch, fd);
            }
        }
    }
    Closing { fd, generation: snapshot.generation, watchers: descriptors::ending(fd) }
}

/// To be called after it: wakes those who wait for the descriptor, in all threads, with EBADF when it is `closed`. When the
/// call failed they only try again.
pub fn descriptor_closed(closing: Closing, closed: bool) {
    let mut others = closing.watchers;
    let wake = if closed { Wake::Closed } else { Wake::Ready };
    if let Some(scheduler) = this() {
        // SAFETY: this thread's scheduler is valid; its watches live as long as it does.
        unsafe {
            let s = &*scheduler.as_ptr();
            let watch = s.watches.get(closing.fd);
            let life = Snapshot::of_generation(closing.generation);
            let ours =
                |watch: &Watch| u32::from(watch.is_registered(&life)) + u32::from(watch.is_operated(life.generation));
            let ours = watch.as_ref().map_or(0, ours);
            if ours > 0 {
                others = others.saturating_sub(ours);
                s.watches.note_closed(watch, closing.generation, wake);
                if s.is_running && s.running.is_null() {
                    s.keep_awake();
                }
            }
        }
    }
    if others > 0 {
        registry::tell_closed(closing.fd, closing.generation, wake);
    }
    if descriptors::watchers(closing.fd) > 0 {
        // Another thread has begun to wait between the beginning and the end, or already for the number's next file.
        registry::tell_closed(closing.fd, closing.generation.wrapping_add(1), Wake::Ready);
    }
}

impl Current {
    /// Whether a number still means what it did when it had that generation and was waited for. Where it does not, the wait
    /// has been ended by something else before its coroutine could learn of the close: there may be another file by now.
    #[inline(always)]
    pub fn still_means(self, fd: i32, now: Snapshot, generation: u32) -> bool {
        now.generation == generation || self.is_left(fd, generation)
    }

    /// Whether who was to end it has failed, or has ended it in a table of descriptors of his own: our registration tells.
    #[cold]
    #[inline(never)]
    fn is_left(self, fd: i32, generation: u32) -> bool {
        let now = descriptors::get(fd);
        // SAFETY: this thread's scheduler is valid; its watches live as long as it does.
        unsafe {
            let s = &*self.scheduler();
            let Some(watch) = s.watches.get(fd).as_ref() else { return false };
            if watch.is_registered(&now) {
                // Others wait for the number since.
                return generation.wrapping_sub(watch.began) as i32 >= 0;
            }
            match s.poller.add(fd, now.generation, BASE) {
                Ok(Added::Present) => true,
                Ok(Added::New) => {
                    s.poller.remove(fd);
                    false
                }
                Ok(Added::AlwaysReady) | Err(_) => false,
            }
        }
    }
}

impl Watches {
    /// Notes that what `watch` watches was closed, at any moment: also in a signal handler that has interrupted anything here.
    ///
    /// # Safety
    /// `watch` is one of ours.
    pub unsafe fn note_closed(&self, watch: *mut Watch, generation: u32, wake: Wake) {
        // SAFETY: the caller's promise.
        unsafe {
            (*watch).closed_generation = generation;
            (*watch).closed_wake = wake;
            if !(*watch).closed.swap(true, SeqCst) {
                let push = |first| {
                    (*watch).next_closed = first;
                    Some(watch)
                };
                let _ = self.closed.fetch_update(SeqCst, SeqCst, push);
            }
        }
    }

    /// Whether [`Scheduler::forget_closed`] has anything to do.
    #[inline(always)]
    pub fn any_closed(&self) -> bool {
        !self.closed.load(Relaxed).is_null()
    }
}

impl Scheduler {
    /// Wakes those who waited for what was closed in the meantime, if anything was.
    #[inline(always)]
    pub(in crate::scheduler) fn settle(&mut self) {
        if self.watches.any_closed() {
            self.forget_closed();
        }
    }

    /// Forgets the registration of a number's old generation and wakes who waited.
    pub(in crate::scheduler) fn forget_watch(&mut self, fd: i32, generation: u32, wake: Wake) {
        let watch = self.watches.get(fd);
        // SAFETY: watches live as long as the scheduler.
        unsafe {
            if watch.is_null() {
                return;
            }
            if (*watch).is_registered(&Snapshot::of_generation(generation)) {
                self.unregister(watch, wake);
            }
            if (*watch).is_operated(generation) {
                self.end_operations(watch, wake);
            }
        }
    }

    /// Wakes those who waited for what was closed in the meantime.
    #[cold]
    pub(in crate::scheduler) fn forget_closed(&mut self) {
        loop {
            let mut watch = self.watches.closed.swap(ptr::null_mut(), SeqCst);
            if watch.is_null() {
                return;
            }
            while !watch.is_null() {
                // SAFETY: closed watches are valid. A signal handler that comes before the store changes what is read after
                // it; one that comes later puts the watch on the stack again.
                unsafe {
                    let next = (*watch).next_closed;
                    (*watch).closed.store(false, SeqCst);
                    self.forget_watch((*watch).fd, (*watch).closed_generation, (*watch).closed_wake);
                    watch = next;
                }
            }
        }
    }
}
