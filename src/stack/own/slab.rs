// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mappings from which own stacks of one size are cut.

use super::HEAD;
use crate::list::Link;
use crate::stack::{bytes, guard, page_size, tools};
use crate::sys::{Result, memory};
use crate::syscall_raw;

const LARGEST_SLAB: usize = 64 << 20;

/// A mapping that holds `count` stacks of one size.
#[repr(C)]
pub struct Slab {
    /// Among those of its class; first of all, so that a link is its slab.
    pub(super) link: Link,
    base: *mut u8,
    count: u32,
    /// Stacks that are in use or warm.
    pub(super) used: u32,
    /// Stacks below this index have their guard already.
    guarded: u32,
    /// How many of these guards mprotect has made.
    mprotected: u32,
    free_count: u32,
    /// Indices of stacks that were used and came back; room for `count`. Not touched before one does.
    free: *mut u32,
    /// The names of the guarded stacks for valgrind; null without it.
    ids: *mut u32,
}

impl Slab {
    /// Maps a slab of up to `count` stacks: fewer where that would be large, or where the address space is short.
    pub(super) fn map(size: usize, count: usize) -> Result<*mut Slab> {
        let stride = stride(size);
        let mut count = count.min(LARGEST_SLAB / stride).max(1);
        let mapping = loop {
            match memory::map(count * stride, libc::MAP_STACK) {
                Ok(mapping) => break bytes(mapping),
                Err(_) if count > 1 => count /= 4,
                Err(errno) => return Err(errno),
            }
            count = count.max(1);
        };
        // SAFETY: the mapping is ours. A huge page would commit many stacks at the first touch of one.
        unsafe { syscall_raw!(SYS_madvise, mapping, count * stride, libc::MADV_NOHUGEPAGE) };
        let got = memory::zeroed::<Slab>().and_then(|slab| {
            let slab = slab.as_ptr();
            // SAFETY: `slab` is fresh zeroed memory; where an array cannot be had, it is not used again.
            unsafe {
                (*slab).base = mapping;
                (*slab).count = count as u32;
                match (*slab).make_arrays(count) {
                    Ok(()) => Ok(slab),
                    Err(errno) => {
                        Slab::free(slab);
                        Err(errno)
                    }
                }
            }
        });
        if got.is_err() {
            // SAFETY: the mapping is ours and not used again.
            unsafe { memory::unmap(mapping.cast(), count * stride) };
        }
        got
    }

    fn make_arrays(&mut self, count: usize) -> Result<()> {
        self.free = memory::array_uninitialized(count)?.as_ptr();
        if tools::on_valgrind() {
            self.ids = memory::array_zeroed(count)?.as_ptr();
        }
        Ok(())
    }

    /// # Safety
    /// `slab` is not used again.
    unsafe fn free(slab: *mut Slab) {
        // SAFETY: the caller's promise; the arrays are null or ours.
        unsafe {
            memory::free((*slab).free);
            memory::free((*slab).ids);
            memory::free(slab);
        }
    }

    /// # Safety
    /// `slab` is not linked, its stacks are `size` bytes each and not used again.
    pub(super) unsafe fn unmap(slab: *mut Slab, size: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            guard::forget((*slab).mprotected);
            if !(*slab).ids.is_null() {
                for index in 0..(*slab).guarded as usize {
                    tools::forget_stack(*(*slab).ids.add(index));
                }
            }
            memory::unmap((*slab).base.cast(), (*slab).count as usize * stride(size));
            Slab::free(slab);
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.free_count > 0 || self.guarded < self.count
    }

    /// The lowest byte of a stack that is not in use; there is one.
    pub(super) fn take(&mut self, size: usize) -> *mut u8 {
        self.used += 1;
        // SAFETY: indices stay below `count`, for which `free` and the mapping have room.
        unsafe {
            if self.free_count > 0 {
                self.free_count -= 1;
                return self.lowest(*self.free.add(self.free_count as usize) as usize, size);
            }
            let index = self.guarded as usize;
            self.mprotected += guard::install(self.base.add(index * stride(size)), page_size());
            let stack = self.lowest(index, size);
            if !self.ids.is_null() {
                self.ids.add(index).write(tools::register_stack(stack, size));
            }
            self.guarded += 1;
            stack
        }
    }

    fn lowest(&self, index: usize, size: usize) -> *mut u8 {
        self.base.wrapping_add(index * stride(size) + page_size())
    }

    /// # Safety
    /// `stack` came from `take` and is not in use.
    pub(super) unsafe fn give_back(&mut self, stack: *mut u8, size: usize) {
        let index = (stack as usize - self.base as usize) / stride(size);
        // SAFETY: no more than `count` stacks can come back.
        unsafe { self.free.add(self.free_count as usize).write(index as u32) };
        self.free_count += 1;
        self.used -= 1;
    }
}

/// From one stack of a slab to the next: a guard, the stack, and what is above it.
pub(super) fn stride(size: usize) -> usize {
    page_size() + size + HEAD
}
