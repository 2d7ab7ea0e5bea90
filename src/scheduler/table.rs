// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control blocks of a scheduler, and their names.
//!
//! cids are drawn in order from one counter for the whole process, so that a dead or a foreign one is not mistaken for
//! another for two thousand million creations; after the counter has turned around, one that is still alive in this
//! thread is skipped. The hash table is chained through the control blocks: ids in order fill its buckets evenly.

use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::coroutine::Coroutine;
use crate::sys::{Errno, Result, memory};

/// How many cids a scheduler draws at once.
const DRAW: u32 = 256;

/// How many control blocks are allocated at once.
const CHUNK: usize = 64;

static COUNTER: AtomicU32 = AtomicU32::new(0);

struct Chunk {
    next: *mut Chunk,
    blocks: [Coroutine; CHUNK],
}

/// Zeroed memory is an empty table.
pub struct Table {
    buckets: *mut *mut Coroutine,
    bucket_count: usize,
    live: usize,
    /// The most that were alive since memory was last given back.
    pub crowd: usize,
    next_cid: u32,
    cids_left: u32,
    /// Free control blocks, chained by `next_in_bucket`.
    free: *mut Coroutine,
    chunks: *mut Chunk,
    blocks: usize,
}

impl Table {
    /// How many coroutines are alive.
    pub fn live(&self) -> usize {
        self.live
    }

    /// How many coroutines there are control blocks for.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// A new coroutine with a name and a waiter of its own; all else is zero.
    pub fn add(&mut self) -> Result<*mut Coroutine> {
        if self.live >= self.bucket_count {
            self.grow()?;
        }
        if self.free.is_null() {
            self.add_chunk()?;
        }
        let coroutine = self.free;
        // SAFETY: free blocks are valid and nobody's.
        unsafe {
            self.free = (*coroutine).next_in_bucket;
            ptr::write_bytes(coroutine, 0, 1);
            (*coroutine).waiter.coroutine = coroutine;
            (*coroutine).cid = self.draw_cid();
            let bucket = self.bucket((*coroutine).cid);
            (*coroutine).next_in_bucket = *bucket;
            *bucket = coroutine;
        }
        self.live += 1;
        self.crowd = self.crowd.max(self.live);
        Ok(coroutine)
    }

    /// Takes a coroutine's name and block back.
    ///
    /// # Safety
    /// It came from [`Table::add`] of this table and is not used again.
    pub unsafe fn remove(&mut self, coroutine: *mut Coroutine) {
        // SAFETY: a live coroutine is in the chain of its bucket.
        unsafe {
            let mut place = self.bucket((*coroutine).cid);
            while *place != coroutine {
                place = &raw mut (**place).next_in_bucket;
            }
            *place = (*coroutine).next_in_bucket;
            (*coroutine).next_in_bucket = self.free;
        }
        self.free = coroutine;
        self.live -= 1;
    }

    /// The live coroutine of that name; ESRCH when there is none.
    pub fn find(&self, cid: i32) -> Result<*mut Coroutine> {
        if cid > 0 && self.bucket_count > 0 {
            // SAFETY: chains hold live coroutines.
            unsafe {
                let mut coroutine = *self.bucket(cid);
                while !coroutine.is_null() {
                    if (*coroutine).cid == cid {
                        return Ok(coroutine);
                    }
                    coroutine = (*coroutine).next_in_bucket;
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
                let mut coroutine = *self.buckets.add(index);
                while !coroutine.is_null() {
                    let next = (*coroutine).next_in_bucket;
                    each(coroutine);
                    coroutine = next;
                }
            }
        }
    }

    /// Gives all memory back. Nobody is alive.
    pub fn free(&mut self) {
        while !self.chunks.is_null() {
            let chunk = self.chunks;
            // SAFETY: chunks are ours and their blocks free.
            unsafe {
                self.chunks = (*chunk).next;
                memory::free(chunk);
            }
        }
        // SAFETY: `buckets` is null or ours.
        unsafe { memory::free(self.buckets) };
        (self.buckets, self.bucket_count) = (ptr::null_mut(), 0);
        self.free = ptr::null_mut();
        self.blocks = 0;
    }

    fn bucket(&self, cid: i32) -> *mut *mut Coroutine {
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
        let buckets = match memory::array_zeroed::<*mut Coroutine>(count) {
            Ok(buckets) => buckets.as_ptr(),
            Err(errno) => return if self.bucket_count == 0 { Err(errno) } else { Ok(()) },
        };
        for index in 0..self.bucket_count {
            // SAFETY: chains hold live coroutines; both indices are within their arrays.
            unsafe {
                let mut coroutine = *self.buckets.add(index);
                while !coroutine.is_null() {
                    let next = (*coroutine).next_in_bucket;
                    let bucket = buckets.add((*coroutine).cid as usize & (count - 1));
                    (*coroutine).next_in_bucket = *bucket;
                    *bucket = coroutine;
                    coroutine = next;
                }
            }
        }
        // SAFETY: `buckets` is null or ours.
        unsafe { memory::free(self.buckets) };
        (self.buckets, self.bucket_count) = (buckets, count);
        Ok(())
    }

    fn add_chunk(&mut self) -> Result<()> {
        let chunk = memory::zeroed::<Chunk>()?.as_ptr();
        // SAFETY: fresh memory of that size.
        unsafe {
            (*chunk).next = self.chunks;
            for index in (0..CHUNK).rev() {
                let block = &raw mut (*chunk).blocks[index];
                (*block).next_in_bucket = self.free;
                self.free = block;
            }
        }
        self.chunks = chunk;
        self.blocks += CHUNK;
        Ok(())
    }
}
