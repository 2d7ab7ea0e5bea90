// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control blocks of a scheduler, and their names.
//!
//! cids are drawn in order from one counter for the whole process, so that a dead or a foreign one is not mistaken for
//! another for two thousand million creations; after the counter has turned around, one that is still alive in this
//! thread is skipped. The hash table is chained through the control blocks: ids in order fill its buckets evenly. Blocks
//! are numbered, from 1 on, for that takes half the room of their addresses.
//!
//! A coroutine has its [`Rest`] from here too, until it gets an own stack with room for that.

use core::mem::ManuallyDrop;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::coroutine::{Coroutine, Rest};
use crate::sys::{Errno, Result, memory};

/// How many cids a scheduler draws at once.
const DRAW: u32 = 256;

/// How many control blocks are allocated at once.
const CHUNK: usize = 64;

static COUNTER: AtomicU32 = AtomicU32::new(0);

type Blocks = [Coroutine; CHUNK];

/// Of a [`Rest`] that is nobody's.
union Free {
    next: *mut Free,
    _rest: ManuallyDrop<Rest>,
}

struct Rests {
    next: *mut Rests,
    rests: [Free; CHUNK],
}

/// Zeroed memory is an empty table.
pub struct Table {
    /// By cid: the number of the first block in the chain; 0: none.
    buckets: *mut u32,
    bucket_count: usize,
    live: usize,
    /// The most that were alive since memory was last given back.
    pub crowd: usize,
    next_cid: u32,
    cids_left: u32,
    /// The number of the first free block, chained by `next`; 0: none.
    free: u32,
    chunks: *mut *mut Blocks,
    chunk_count: usize,
    /// How many chunks there is room for in `chunks`.
    chunk_room: usize,
    free_rest: *mut Free,
    rests: *mut Rests,
}

impl Table {
    /// How many coroutines are alive.
    pub fn live(&self) -> usize {
        self.live
    }

    /// How many coroutines there are control blocks for.
    pub fn blocks(&self) -> usize {
        self.chunk_count * CHUNK
    }

    /// A new coroutine with a name and a waiter of its own; all else is zero.
    ///
    /// # Safety
    /// It gets a [`Rest`] before anybody else sees it.
    pub unsafe fn add(&mut self) -> Result<*mut Coroutine> {
        if self.live >= self.bucket_count {
            self.grow()?;
        }
        if self.free == 0 {
            self.add_chunk()?;
        }
        // SAFETY: free blocks are valid and nobody's.
        unsafe {
            let number = self.free;
            let coroutine = self.block(number);
            self.free = (*coroutine).next;
            ptr::write_bytes(coroutine, 0, 1);
            (*coroutine).waiter.coroutine = coroutine;
            (*coroutine).cid = self.draw_cid();
            let bucket = self.bucket((*coroutine).cid);
            (*coroutine).next = *bucket;
            *bucket = number;
            self.live += 1;
            self.crowd = self.crowd.max(self.live);
            Ok(coroutine)
        }
    }

    /// Takes a coroutine's name and block back. Its rest is the caller's affair.
    ///
    /// # Safety
    /// It came from [`Table::add`] of this table and is not used again.
    pub unsafe fn remove(&mut self, coroutine: *mut Coroutine) {
        // SAFETY: a live coroutine is in the chain of its bucket.
        unsafe {
            let mut place = self.bucket((*coroutine).cid);
            while self.block(*place) != coroutine {
                place = &raw mut (*self.block(*place)).next;
            }
            let number = *place;
            *place = (*coroutine).next;
            (*coroutine).next = self.free;
            self.free = number;
        }
        self.live -= 1;
    }

    /// A rest, not initialised.
    #[inline]
    pub fn take_rest(&mut self) -> Result<*mut Rest> {
        if self.free_rest.is_null() {
            self.add_rests()?;
        }
        let free = self.free_rest;
        // SAFETY: it is nobody's, and says which is next.
        self.free_rest = unsafe { (*free).next };
        Ok(free.cast())
    }

    /// Takes a rest back.
    ///
    /// # Safety
    /// It came from this table and is not used again.
    #[inline]
    pub unsafe fn give_rest_back(&mut self, rest: *mut Rest) {
        let free: *mut Free = rest.cast();
        // SAFETY: the caller's promise.
        unsafe { (*free).next = self.free_rest };
        self.free_rest = free;
    }

    /// The live coroutine of that name; ESRCH when there is none.
    pub fn find(&self, cid: i32) -> Result<*mut Coroutine> {
        if cid > 0 && self.bucket_count > 0 {
            // SAFETY: chains hold live coroutines.
            unsafe {
                let mut number = *self.bucket(cid);
                while number != 0 {
                    let coroutine = self.block(number);
                    if (*coroutine).cid == cid {
                        return Ok(coroutine);
                    }
                    number = (*coroutine).next;
                }
            }
        }
        Err(Errno(libc::ESRCH))
    }

    /// Calls `each` for every live coroutine; it may remove the one that it is called for.
    pub fn for_each(&mut self, each: &mut dyn FnMut(*mut Coroutine)) {
        for index in 0..self.bucket_count {
            // SAFETY: `index` is within the buckets; the successor is read before `each` can free the coroutine.
            unsafe {
                let mut number = *self.buckets.add(index);
                while number != 0 {
                    let coroutine = self.block(number);
                    number = (*coroutine).next;
                    each(coroutine);
                }
            }
        }
    }

    /// Gives all memory back. Nobody is alive.
    pub fn free(&mut self) {
        // SAFETY: all are ours or null, and nobody's.
        unsafe {
            for index in 0..self.chunk_count {
                memory::free(*self.chunks.add(index));
            }
            while !self.rests.is_null() {
                let rests = self.rests;
                self.rests = (*rests).next;
                memory::free(rests);
            }
            memory::free(self.chunks);
            memory::free(self.buckets);
        }
        (self.buckets, self.bucket_count) = (ptr::null_mut(), 0);
        (self.chunks, self.chunk_count, self.chunk_room) = (ptr::null_mut(), 0, 0);
        (self.free, self.free_rest) = (0, ptr::null_mut());
    }

    /// The block of that number.
    ///
    /// # Safety
    /// There is one.
    #[inline(always)]
    unsafe fn block(&self, number: u32) -> *mut Coroutine {
        let index = number as usize - 1;
        // SAFETY: the caller's promise.
        unsafe { (*self.chunks.add(index / CHUNK)).cast::<Coroutine>().add(index % CHUNK) }
    }

    fn bucket(&self, cid: i32) -> *mut u32 {
        // SAFETY: the count is a power of two, so the index is within the buckets.
        unsafe { self.buckets.add(cid as usize & (self.bucket_count - 1)) }
    }

    fn draw_cid(&mut self) -> i32 {
        loop {
            if self.cids_left == 0 {
                self.next_cid = COUNTER.fetch_add(DRAW, Relaxed);
                self.cids_left = DRAW;
            }
            self.cids_left -= 1;
            self.next_cid = self.next_cid.wrapping_add(1);
            let cid = (self.next_cid & i32::MAX as u32) as i32;
            if cid != 0 && self.find(cid).is_err() {
                return cid;
            }
        }
    }

    /// Twice as many buckets. When there is no memory for more, those that are there get longer chains.
    fn grow(&mut self) -> Result<()> {
        let count = (self.bucket_count * 2).max(64);
        let buckets = match memory::array_zeroed::<u32>(count) {
            Ok(buckets) => buckets.as_ptr(),
            Err(errno) => return if self.bucket_count == 0 { Err(errno) } else { Ok(()) },
        };
        for index in 0..self.bucket_count {
            // SAFETY: chains hold live coroutines; both indices are within their arrays.
            unsafe {
                let mut number = *self.buckets.add(index);
                while number != 0 {
                    let coroutine = self.block(number);
                    let next = (*coroutine).next;
                    let bucket = buckets.add((*coroutine).cid as usize & (count - 1));
                    (*coroutine).next = *bucket;
                    *bucket = number;
                    number = next;
                }
            }
        }
        // SAFETY: `buckets` is null or ours.
        unsafe { memory::free(self.buckets) };
        (self.buckets, self.bucket_count) = (buckets, count);
        Ok(())
    }

    #[cold]
    fn add_chunk(&mut self) -> Result<()> {
        if self.chunk_count == self.chunk_room {
            let room = (self.chunk_room * 2).max(16);
            // SAFETY: `chunks` is null or ours and holds plain pointers.
            self.chunks = unsafe { memory::resize(self.chunks, room)? }.as_ptr();
            self.chunk_room = room;
        }
        // Numbers fit: their cids do.
        let chunk = memory::zeroed::<Blocks>()?.as_ptr();
        // SAFETY: there is room for one more; the chunk is fresh memory.
        unsafe {
            self.chunks.add(self.chunk_count).write(chunk);
            for index in (0..CHUNK).rev() {
                (*chunk)[index].next = self.free;
                self.free = (self.chunk_count * CHUNK + index + 1) as u32;
            }
        }
        self.chunk_count += 1;
        Ok(())
    }

    #[cold]
    fn add_rests(&mut self) -> Result<()> {
        let rests = memory::zeroed::<Rests>()?.as_ptr();
        // SAFETY: fresh memory of that size.
        unsafe {
            (*rests).next = self.rests;
            for index in (0..CHUNK).rev() {
                let free = &raw mut (*rests).rests[index];
                (*free).next = self.free_rest;
                self.free_rest = free;
            }
        }
        self.rests = rests;
        Ok(())
    }
}
