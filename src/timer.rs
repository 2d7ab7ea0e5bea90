// SPDX-License-Identifier: MIT OR Apache-2.0
//! Deadlines: a 4-ary heap with lazy cancellation.
//!
//! Nearly every deadline belongs to an I/O wait and is cancelled long before it comes, so cancelling is one store:
//! the entry stays in the heap under its old key. Setting a later deadline while the old entry is still there is one
//! store too. An entry is corrected when it reaches the top. So an entry's key is never later than its timer's
//! deadline, and a timer that is set always has an entry.

use core::ptr;

use crate::sys::clock::{Instant, NEVER};
use crate::sys::{Result, memory};

/// A deadline inside something else; zeroed memory becomes one by [`Timer::init`].
#[repr(C)]
pub struct Timer {
    deadline: Instant,
    /// Where its entry is in the heap; `ABSENT` when it has none.
    index: u32,
}

const ABSENT: u32 = u32::MAX;
const ARITY: usize = 4;

#[derive(Clone, Copy)]
struct Entry {
    key: Instant,
    timer: *mut Timer,
}

/// The timers of one scheduler. Zeroed memory is an empty heap.
pub struct Heap {
    entries: *mut Entry,
    length: usize,
    capacity: usize,
}

impl Timer {
    /// Makes the timer unset and without an entry.
    pub fn init(&mut self) {
        self.deadline = NEVER;
        self.index = ABSENT;
    }
}

impl Heap {
    /// Makes room for `timers` entries, so that [`Heap::set`] cannot fail for want of memory.
    pub fn reserve(&mut self, timers: usize) -> Result<()> {
        if timers <= self.capacity {
            return Ok(());
        }
        let capacity = timers.next_power_of_two().max(64);
        // SAFETY: `entries` is null or came from the same allocator, and entries are plain data.
        self.entries = unsafe { memory::resize(self.entries, capacity)? }.as_ptr();
        self.capacity = capacity;
        Ok(())
    }

    /// Gives back the room beyond `timers` entries, where that is much.
    pub fn trim(&mut self, timers: usize) {
        let capacity = timers.max(self.length).next_power_of_two().max(64);
        if capacity < self.capacity / 4 {
            // SAFETY: as in `reserve`; a failed shrink leaves the old array.
            if let Ok(entries) = unsafe { memory::resize(self.entries, capacity) } {
                self.entries = entries.as_ptr();
                self.capacity = capacity;
            }
        }
    }

    /// Gives the memory back.
    pub fn free(&mut self) {
        // SAFETY: `entries` is null or ours; it is not used again.
        unsafe { memory::free(self.entries) };
        self.entries = ptr::null_mut();
        (self.length, self.capacity) = (0, 0);
    }

    /// Sets `timer`, which is not set, to `deadline`, which is not [`NEVER`].
    ///
    /// # Safety
    /// `timer` is valid and stays where it is until [`Heap::remove`]; room was reserved for it.
    #[inline]
    pub unsafe fn set(&mut self, timer: *mut Timer, deadline: Instant) {
        // SAFETY: the caller's promise; a present entry's index is within the heap.
        unsafe {
            (*timer).deadline = deadline;
            let index = (*timer).index;
            if index == ABSENT {
                debug_assert!(self.length < self.capacity);
                self.length += 1;
                self.up(self.length - 1, Entry { key: deadline, timer });
            } else if (*self.entries.add(index as usize)).key > deadline {
                self.up(index as usize, Entry { key: deadline, timer });
            }
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
        // SAFETY: the caller's promise; a present entry's index is within the heap.
        unsafe {
            self.cancel(timer);
            if (*timer).index != ABSENT {
                self.take_out((*timer).index as usize);
            }
        }
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
        // SAFETY: the heap is not empty, before and after settling; entries point to valid timers.
        unsafe {
            if (*self.entries).key > now {
                return ptr::null_mut();
            }
            self.settle();
            if self.length == 0 || (*self.entries).key > now {
                return ptr::null_mut();
            }
            let timer = (*self.entries).timer;
            self.remove(timer);
            timer
        }
    }

    /// Corrects the top until it is a set timer under its true deadline.
    fn settle(&mut self) {
        while self.length > 0 {
            // SAFETY: the heap is not empty; entries point to valid timers, which leave by `remove`.
            unsafe {
                let top = *self.entries;
                let deadline = (*top.timer).deadline;
                if deadline == top.key {
                    return;
                }
                if deadline == NEVER {
                    self.take_out(0);
                } else {
                    self.down(0, Entry { key: deadline, timer: top.timer });
                }
            }
        }
    }

    /// # Safety
    /// `index` is within the heap.
    unsafe fn take_out(&mut self, index: usize) {
        // SAFETY: `index` and the last entry are within the heap.
        unsafe {
            (*(*self.entries.add(index)).timer).index = ABSENT;
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

    /// # Safety
    /// `index` is within the heap and `entry.timer` valid.
    #[inline(always)]
    unsafe fn place(&mut self, index: usize, entry: Entry) {
        // SAFETY: the caller's promise.
        unsafe {
            self.entries.add(index).write(entry);
            (*entry.timer).index = index as u32;
        }
    }
}
