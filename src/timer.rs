// SPDX-License-Identifier: MIT OR Apache-2.0
//! Deadlines: a 4-ary heap with lazy cancellation.
//!
//! Nearly every deadline belongs to an I/O wait and is cancelled long before it comes, so cancelling is one store:
//! the entry stays in the heap under its old key. Setting a later deadline while the old entry is still there is one
//! store too. An entry is corrected when it reaches the top. So an entry's key is never later than its timer's
//! deadline, and a timer that is set always has an entry.
//!
//! With many timers each one that is touched is a cache miss. Moving an entry touches none: entries name their timer by
//! a handle, and where a handle's entry is stands in an array beside the heap. The four children of an entry share a
//! cache line.

use core::ptr;

use crate::arch;
use crate::sys::clock::{Instant, NEVER};
use crate::sys::{Result, memory};

/// A deadline inside something else; zeroed memory becomes one by [`Timer::init`].
#[repr(C, packed(4))]
pub struct Timer {
    deadline: Instant,
    /// The handle of its entry in the heap; `ABSENT` when it has none.
    handle: u32,
}

const ABSENT: u32 = u32::MAX;
const ARITY: usize = 4;
const CACHE_LINE: usize = 64;

#[derive(Clone, Copy)]
struct Entry {
    key: Instant,
    handle: u32,
}

/// The timers of one scheduler. Zeroed memory is an empty heap.
pub struct Heap {
    entries: *mut Entry,
    /// By handle: the timer.
    timers: *mut *mut Timer,
    /// By handle: where its entry is; of a free handle the next free one, as `free`.
    places: *mut u32,
    length: usize,
    capacity: usize,
    /// Handles from here on were never given out.
    fresh: u32,
    /// One more than the first free handle below `fresh`; 0: there is none.
    free: u32,
    /// The one allocation in which the arrays are.
    memory: *mut u8,
}

impl Timer {
    /// Makes the timer unset and without an entry.
    pub fn init(&mut self) {
        self.deadline = NEVER;
        self.handle = ABSENT;
    }
}

impl Heap {
    /// Makes room for `timers` entries, so that [`Heap::set`] cannot fail for want of memory.
    #[inline]
    pub fn reserve(&mut self, timers: usize) -> Result<()> {
        if timers <= self.capacity { Ok(()) } else { self.resize(timers.next_power_of_two().max(64)) }
    }

    /// Gives back the room beyond `timers` entries, where that is much.
    pub fn trim(&mut self, timers: usize) {
        let capacity = timers.max(self.length).next_power_of_two().max(64);
        if capacity < self.capacity / 4 {
            // Where that fails, the old arrays stay.
            let _ = self.resize(capacity);
        }
    }

    /// Moves the entries to new arrays, and names the timers anew.
    #[cold]
    fn resize(&mut self, capacity: usize) -> Result<()> {
        const EACH: usize = size_of::<Entry>() + size_of::<*mut Timer>() + size_of::<u32>();
        let memory: *mut u8 = memory::array_uninitialized(capacity * EACH + 2 * CACHE_LINE)?.as_ptr();
        // SAFETY: the arrays follow each other within the allocation, each aligned: the second entry, which is the first
        // child, begins a cache line. The old entries are within their arrays, and their timers valid.
        unsafe {
            let entries: *mut Entry =
                memory.add(memory.align_offset(CACHE_LINE)).add(CACHE_LINE - size_of::<Entry>()).cast();
            let timers: *mut *mut Timer = entries.add(capacity).cast();
            let places: *mut u32 = timers.add(capacity).cast();
            for index in 0..self.length {
                let Entry { key, handle } = *self.entries.add(index);
                let timer = *self.timers.add(handle as usize);
                entries.add(index).write(Entry { key, handle: index as u32 });
                timers.add(index).write(timer);
                places.add(index).write(index as u32);
                (*timer).handle = index as u32;
            }
            memory::free(self.memory);
            (self.entries, self.timers, self.places, self.memory) = (entries, timers, places, memory);
        }
        (self.capacity, self.fresh, self.free) = (capacity, self.length as u32, 0);
        Ok(())
    }

    /// Gives the memory back.
    pub fn free(&mut self) {
        // SAFETY: `memory` is null or ours; it is not used again.
        unsafe { memory::free(self.memory) };
        self.memory = ptr::null_mut();
        (self.length, self.capacity, self.fresh, self.free) = (0, 0, 0, 0);
    }

    /// Sets `timer`, which is not set, to `deadline`, which is not [`NEVER`].
    ///
    /// # Safety
    /// `timer` is valid and stays where it is until [`Heap::remove`]; room was reserved for it.
    #[inline]
    pub unsafe fn set(&mut self, timer: *mut Timer, deadline: Instant) {
        // SAFETY: the caller's promise; a present entry's place is within the heap.
        unsafe {
            (*timer).deadline = deadline;
            let handle = (*timer).handle;
            if handle == ABSENT {
                debug_assert!(self.length < self.capacity);
                let handle = self.take_handle(timer);
                (*timer).handle = handle;
                self.length += 1;
                self.up(self.length - 1, Entry { key: deadline, handle });
            } else {
                let index = *self.places.add(handle as usize) as usize;
                if (*self.entries.add(index)).key > deadline {
                    self.up(index, Entry { key: deadline, handle });
                }
            }
        }
    }

    /// # Safety
    /// There are fewer entries than there is room for.
    unsafe fn take_handle(&mut self, timer: *mut Timer) -> u32 {
        // SAFETY: a handle is free for each entry that is not there, and below the capacity.
        unsafe {
            let handle = if self.free == 0 {
                self.fresh += 1;
                self.fresh - 1
            } else {
                let handle = self.free - 1;
                self.free = *self.places.add(handle as usize);
                handle
            };
            self.timers.add(handle as usize).write(timer);
            handle
        }
    }

    /// Cancels `timer`; nothing happens when it is not set.
    ///
    /// # Safety
    /// `timer` is valid.
    #[inline(always)]
    pub unsafe fn cancel(&mut self, timer: *mut Timer) {
        // SAFETY: the caller's promise.
        unsafe {
            (*timer).deadline = NEVER;
        }
    }

    /// Cancels `timer` and takes its entry out: the heap does not know its address any more.
    ///
    /// # Safety
    /// `timer` is valid.
    #[inline]
    pub unsafe fn remove(&mut self, timer: *mut Timer) {
        // SAFETY: the caller's promise; a present entry's place is within the heap.
        unsafe {
            self.cancel(timer);
            if (*timer).handle != ABSENT {
                self.take_out(*self.places.add((*timer).handle as usize) as usize);
            }
        }
    }

    /// How many entries there are; some may be of timers that were cancelled.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The earliest deadline, or [`NEVER`].
    pub fn next(&mut self) -> Instant {
        self.settle();
        if self.length == 0 {
            NEVER
        } else {
            // SAFETY: the heap is not empty.
            unsafe { (*self.entries).key }
        }
    }

    /// Takes a timer out whose deadline is not after `now`; null when there is none.
    pub fn expire(&mut self, now: Instant) -> *mut Timer {
        if self.length == 0 {
            return ptr::null_mut();
        }
        // SAFETY: the heap is not empty, before and after settling; entries name valid timers.
        unsafe {
            if (*self.entries).key > now {
                return ptr::null_mut();
            }
            self.settle();
            if self.length == 0 || (*self.entries).key > now {
                return ptr::null_mut();
            }
            let timer = self.timer_of((*self.entries).handle);
            self.remove(timer);
            self.prefetch_timers();
            timer
        }
    }

    /// Fetches what the next ones to expire are part of: the one after the next is among the children of the top.
    #[inline(always)]
    fn prefetch_timers(&self) {
        for index in 1..(1 + ARITY).min(self.length) {
            // SAFETY: `index` is within the heap; fetching an address ahead reads nothing.
            unsafe {
                let timer: *const u8 = self.timer_of((*self.entries.add(index)).handle).cast();
                arch::prefetch(timer);
                arch::prefetch(timer.wrapping_sub(CACHE_LINE));
            }
        }
    }

    /// # Safety
    /// The handle is of an entry.
    #[inline(always)]
    unsafe fn timer_of(&self, handle: u32) -> *mut Timer {
        // SAFETY: the caller's promise.
        unsafe { *self.timers.add(handle as usize) }
    }

    /// Corrects the top until it is a set timer under its true deadline.
    fn settle(&mut self) {
        while self.length > 0 {
            // SAFETY: the heap is not empty; entries name valid timers, which leave by `remove`.
            unsafe {
                let Entry { key, handle } = *self.entries;
                let deadline = (*self.timer_of(handle)).deadline;
                if deadline == key {
                    return;
                }
                if deadline == NEVER {
                    self.take_out(0);
                } else {
                    self.down(0, Entry { key: deadline, handle });
                }
            }
        }
    }

    /// # Safety
    /// `index` is within the heap.
    unsafe fn take_out(&mut self, index: usize) {
        // SAFETY: `index` and the last entry are within the heap.
        unsafe {
            let handle = (*self.entries.add(index)).handle;
            (*self.timer_of(handle)).handle = ABSENT;
            self.places.add(handle as usize).write(self.free);
            self.free = handle + 1;
            self.length -= 1;
            if index == self.length {
                return;
            }
            let last = *self.entries.add(self.length);
            if index > 0 && (*self.entries.add((index - 1) / ARITY)).key > last.key {
                self.up(index, last);
            } else {
                self.down(index, last);
            }
        }
    }

    /// Puts `entry` at the hole `index` or above.
    ///
    /// # Safety
    /// `index` is within the heap.
    unsafe fn up(&mut self, mut index: usize, entry: Entry) {
        // SAFETY: parents of indices within the heap are within it.
        unsafe {
            while index > 0 {
                let parent = (index - 1) / ARITY;
                let above = *self.entries.add(parent);
                if above.key <= entry.key {
                    break;
                }
                self.place(index, above);
                index = parent;
            }
            self.place(index, entry);
        }
    }

    /// Puts `entry` at the hole `index` or below.
    ///
    /// # Safety
    /// `index` is within the heap.
    unsafe fn down(&mut self, mut index: usize, entry: Entry) {
        // SAFETY: children are looked at below `length` only.
        unsafe {
            loop {
                let first = index * ARITY + 1;
                if first >= self.length {
                    break;
                }
                self.prefetch(first * ARITY + 1);
                let mut least = first;
                for child in first + 1..(first + ARITY).min(self.length) {
                    if (*self.entries.add(child)).key < (*self.entries.add(least)).key {
                        least = child;
                    }
                }
                let below = *self.entries.add(least);
                if below.key >= entry.key {
                    break;
                }
                self.place(index, below);
                index = least;
            }
            self.place(index, entry);
        }
    }

    /// Fetches the children of four siblings ahead of their use: sixteen entries, of which one cache line will be read.
    #[inline(always)]
    fn prefetch(&self, first: usize) {
        if first < self.length {
            for line in 0..ARITY {
                arch::prefetch(self.entries.wrapping_add(first + line * ARITY).cast());
            }
        }
    }

    /// # Safety
    /// `index` is within the heap and `entry.handle` given out.
    #[inline(always)]
    unsafe fn place(&mut self, index: usize, entry: Entry) {
        // SAFETY: the caller's promise.
        unsafe {
            self.entries.add(index).write(entry);
            self.places.add(entry.handle as usize).write(index as u32);
        }
    }
}
