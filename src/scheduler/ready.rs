// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ready queues: first in, first out; urgent coroutines before others, but not for ever.

use core::ptr;

use crate::arch;
use crate::coroutine::Coroutine;
use crate::list::{Link, List};
use crate::stack::{Kind, own};

/// How many urgent coroutines run in a row while others are ready.
const URGENT_IN_A_ROW: u32 = 128;

/// How many cache lines of a parked frame are fetched ahead.
const LINES: usize = 6;

/// Of so many coroutines on own stacks that is done at a time, where system calls lie between the switches.
const TOGETHER: u32 = 8;

/// The coroutines that are ready to run. Zeroed memory becomes one by [`Queues::init`]; it does not move.
pub struct Queues {
    normal: List,
    urgent: List,
    in_a_row: u32,
    /// So many of those at the head have been fetched ahead.
    fetched: u32,
}

impl Queues {
    /// # Safety
    /// `self` does not move any more.
    pub unsafe fn init(&mut self) {
        // SAFETY: the caller's promise.
        unsafe {
            List::init(&mut self.normal);
            List::init(&mut self.urgent);
        }
    }

    /// Whether none is ready.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.normal.is_empty() && self.urgent.is_empty()
    }

    /// Puts a coroutine last.
    ///
    /// # Safety
    /// `coroutine` is valid and its waiter in no list.
    #[inline(always)]
    pub unsafe fn push(&mut self, coroutine: *mut Coroutine) {
        // SAFETY: the caller's promise.
        unsafe {
            let queue = if (*coroutine).urgent { &mut self.urgent } else { &mut self.normal };
            List::push_back(queue, &raw mut (*coroutine).waiter.link);
        }
    }

    /// Puts a coroutine first.
    ///
    /// # Safety
    /// `coroutine` is valid and its waiter in no list.
    pub unsafe fn push_first(&mut self, coroutine: *mut Coroutine) {
        // SAFETY: the caller's promise.
        unsafe {
            let queue = if (*coroutine).urgent { &mut self.urgent } else { &mut self.normal };
            List::push_front(queue, &raw mut (*coroutine).waiter.link);
        }
    }

    /// Takes the next one off; null when none is ready.
    #[inline(always)]
    pub fn pop(&mut self) -> *mut Coroutine {
        if self.urgent.is_empty() {
            return self.pop_plainly();
        }
        // SAFETY: as in `pop_plainly`; an urgent one is ready.
        unsafe { owner(self.pop_fairly()) }
    }

    /// As [`Queues::pop`], where no urgent one is ready; null otherwise.
    #[inline(always)]
    pub fn pop_plainly(&mut self) -> *mut Coroutine {
        if !self.urgent.is_empty() {
            return ptr::null_mut();
        }
        self.in_a_row = 0;
        // SAFETY: the lists are initialised and hold waiters of valid control blocks: ending one takes it off.
        unsafe { owner(List::pop_front(&mut self.normal)) }
    }

    /// # Safety
    /// As in `pop`; an urgent one is ready.
    #[cold]
    unsafe fn pop_fairly(&mut self) -> *mut Link {
        // SAFETY: the caller's promise.
        unsafe {
            if self.normal.is_empty() {
                self.in_a_row = 0;
                List::pop_front(&mut self.urgent)
            } else if self.in_a_row < URGENT_IN_A_ROW {
                self.in_a_row += 1;
                List::pop_front(&mut self.urgent)
            } else {
                self.in_a_row = 0;
                List::pop_front(&mut self.normal)
            }
        }
    }

    /// Fetches what the switch after the next one will touch: with many coroutines each is a cache miss.
    #[inline(always)]
    pub fn prefetch(&self) {
        let queue = if self.urgent.is_empty() { &self.normal } else { &self.urgent };
        // SAFETY: what is first in a queue is in it.
        unsafe { prefetch(queue, queue.first()) };
    }

    /// As [`Queues::prefetch`], before the next one has been taken off. Own stacks are fetched several at a time: each has a
    /// page of its own, and the processor waits for where that is, but looks for several side by side.
    #[inline(always)]
    pub fn prefetch_early(&mut self) {
        let queue = if self.urgent.is_empty() { &self.normal } else { &self.urgent };
        let next = queue.first();
        if next.is_null() {
            return;
        }
        // SAFETY: both links are in that queue.
        unsafe {
            let after = queue.after(next);
            if !after.is_null() && (*Coroutine::from_link(after)).kind == Kind::Shared {
                return prefetch(queue, after);
            }
        }
        if self.fetched > 0 {
            self.fetched -= 1;
        } else {
            self.fetched = prefetch_several(queue);
        }
    }
}

/// Fetches the first frames in a queue; how many there will be when the next one has gone.
#[inline(never)]
fn prefetch_several(queue: &List) -> u32 {
    let mut link = queue.first();
    let mut count = 0;
    while !link.is_null() && count < TOGETHER {
        // SAFETY: `link` is in the queue.
        unsafe {
            prefetch_frame(Coroutine::from_link(link));
            link = queue.after(link);
        }
        count += 1;
    }
    count.saturating_sub(1)
}

/// # Safety
/// `link` is null or in `queue`.
#[inline(always)]
unsafe fn prefetch(queue: &List, link: *mut Link) {
    // SAFETY: the caller's promise.
    unsafe {
        if link.is_null() {
            return;
        }
        prefetch_frame(Coroutine::from_link(link));
        let after = queue.after(link);
        if !after.is_null() {
            arch::prefetch(Coroutine::from_link(after).cast());
            arch::prefetch(Coroutine::from_link(after).cast::<u8>().wrapping_add(64));
        }
    }
}

/// # Safety
/// `next` is ready.
#[inline(always)]
unsafe fn prefetch_frame(next: *mut Coroutine) {
    // SAFETY: ready coroutines are valid, and fetching an address ahead reads nothing.
    unsafe {
        // Above the first frame there is nothing to fetch, and beyond the stack's end another's guard: to look for that takes
        // the processor longest of all.
        let top = if (*next).kind == Kind::Own { own::first_frame((*next).rest.cast()) as usize } else { usize::MAX };
        for line in 0..LINES {
            let place = (*next).sp.wrapping_add(line * 64);
            if place as usize >= top {
                break;
            }
            arch::prefetch(place);
        }
        if (*next).kind == Kind::Shared {
            arch::prefetch((*next).rest.cast::<u8>().wrapping_add(64));
        }
    }
}

/// # Safety
/// `link` is null or on a ready queue.
#[inline(always)]
unsafe fn owner(link: *mut Link) -> *mut Coroutine {
    // SAFETY: ready queues hold links of waiters in control blocks.
    if link.is_null() { ptr::null_mut() } else { unsafe { Coroutine::from_link(link) } }
}
