// SPDX-License-Identifier: MIT OR Apache-2.0
//! Own stacks: cut from large mappings (slabs), guarded, committed as they are touched, kept warm for reuse.
//!
//! Sizes are rounded up to powers of two: untouched pages cost nothing, and few sizes make the caches work. A slab
//! holds stacks of one size, each above its guard. A freed stack goes to a bounded warm list, most recently used
//! first; beyond that its pages go back to the kernel (the guard marker stays) and the stack to its slab; a slab
//! without users goes back whole.

use core::ptr;

use super::{bytes, guard, page_size, tools};
use crate::sys::{Errno, Result, memory};
use crate::syscall_raw;

/// The smallest own stack: `fprintf(stderr)` alone uses 10 KB, and untouched pages cost nothing.
pub const MIN: usize = 16 << 10;

/// The largest; beyond that the size is taken for a mistake.
pub const MAX: usize = 1 << 40;

const CLASSES: usize = (MAX / MIN).ilog2() as usize + 1;

/// Freed stacks of one size that keep their pages.
const WARM: usize = 4096;

const FIRST_SLAB: usize = 16;
const LARGEST_SLAB: usize = 64 << 20;

/// A mapping that holds `count` stacks of one size.
pub struct Slab {
    next: *mut Slab,
    previous: *mut Slab,
    base: *mut u8,
    count: u32,
    /// Stacks that are in use or warm.
    used: u32,
    /// Stacks below this index have their guard already.
    guarded: u32,
    /// How many of these guards mprotect has made.
    mprotected: u32,
    free_count: u32,
    /// Indices of stacks that were used and came back; room for `count`.
    free: *mut u32,
    /// The names of the guarded stacks for valgrind; behind `free` in the same allocation.
    ids: *mut u32,
}

/// A stack that nobody uses, with its pages.
#[derive(Clone, Copy)]
pub struct Warm {
    /// Its lowest byte.
    pub base: *mut u8,
    /// Where it came from.
    pub slab: *mut Slab,
}

struct Class {
    /// Slabs that have a stack to give come first.
    slabs: *mut Slab,
    last: *mut Slab,
    slab_count: u32,
    warm_count: u32,
    warm: *mut Warm,
}

/// The own stacks of one scheduler. Zeroed memory is one that has none yet.
pub struct Stacks {
    classes: [Class; CLASSES],
}

/// The usable size of a stack for a program that asks for `size` bytes.
pub fn rounded(size: usize) -> Result<usize> {
    if size > MAX { Err(Errno(libc::EINVAL)) } else { Ok(size.max(MIN).next_power_of_two()) }
}

fn class_of(size: usize) -> usize {
    (size / MIN).ilog2() as usize
}

impl Stacks {
    /// A stack of `size` bytes, a size that [`rounded`] gave: its lowest byte and its slab.
    pub fn take(&mut self, size: usize) -> Result<(*mut u8, *mut Slab)> {
        let class = &mut self.classes[class_of(size)];
        // SAFETY: the warm array holds `warm_count` stacks; the slabs of a class are valid and linked.
        unsafe {
            if class.warm_count > 0 {
                class.warm_count -= 1;
                let warm = *class.warm.add(class.warm_count as usize);
                return Ok((warm.base, warm.slab));
            }
            if class.slabs.is_null() || !(*class.slabs).has_room() {
                let slab = Slab::map(size, FIRST_SLAB << class.slab_count.min(20))?;
                class.push_first(slab);
            }
            let slab = class.slabs;
            let base = (*slab).take(size);
            if !(*slab).has_room() && slab != class.last {
                class.unlink(slab);
                class.push_last(slab);
            }
            Ok((base, slab))
        }
    }

    /// Whether a stack of this size that is given back now would be kept as it is.
    #[inline(always)]
    pub fn keeps(&self, size: usize) -> bool {
        let class = &self.classes[class_of(size)];
        // A huge stack may have touched much: it does not stay warm.
        !class.warm.is_null() && (class.warm_count as usize) < WARM && size <= 1 << 20
    }

    /// Takes a stack back.
    ///
    /// # Safety
    /// It came from [`Stacks::take`] with this size, and nobody runs on it or will.
    pub unsafe fn give_back(&mut self, base: *mut u8, size: usize, slab: *mut Slab) {
        let class = &mut self.classes[class_of(size)];
        // SAFETY: the warm array has room for WARM; the slab is one of the class.
        unsafe {
            if class.warm.is_null() {
                class.warm = memory::array_zeroed(WARM).map_or(ptr::null_mut(), |warm| warm.as_ptr());
            }
            if self.keeps(size) {
                let class = &mut self.classes[class_of(size)];
                class.warm.add(class.warm_count as usize).write(Warm { base, slab });
                class.warm_count += 1;
                return;
            }
            self.classes[class_of(size)].cool(Warm { base, slab }, size);
        }
    }

    /// Gives everything back.
    ///
    /// # Safety
    /// No stack is in use.
    pub unsafe fn free(&mut self) {
        for (index, class) in self.classes.iter_mut().enumerate() {
            while !class.slabs.is_null() {
                let slab = class.slabs;
                // SAFETY: a linked slab is valid; nobody uses its stacks.
                unsafe {
                    class.unlink(slab);
                    Slab::unmap(slab, MIN << index);
                }
            }
            // SAFETY: `warm` is null or ours; it is not used again.
            unsafe { memory::free(class.warm) };
            class.warm = ptr::null_mut();
            class.warm_count = 0;
        }
    }
}

impl Class {
    /// Gives a stack's pages to the kernel and the stack to its slab.
    ///
    /// # Safety
    /// The stack is one of the class's and not in use.
    unsafe fn cool(&mut self, stack: Warm, size: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let slab = stack.slab;
            (*slab).give_back(stack.base, size);
            self.unlink(slab);
            // One slab without users stays, so that one coroutine at a time does not map and unmap.
            if (*slab).used == 0 && self.slab_count > 0 {
                Slab::unmap(slab, size);
                return;
            }
            syscall_raw!(SYS_madvise, stack.base, size, libc::MADV_DONTNEED);
            self.push_first(slab);
        }
    }

    /// # Safety
    /// `slab` is valid and not linked.
    unsafe fn push_first(&mut self, slab: *mut Slab) {
        // SAFETY: linked slabs are valid.
        unsafe {
            (*slab).previous = ptr::null_mut();
            (*slab).next = self.slabs;
            if self.slabs.is_null() {
                self.last = slab;
            } else {
                (*self.slabs).previous = slab;
            }
        }
        self.slabs = slab;
        self.slab_count += 1;
    }

    /// # Safety
    /// `slab` is valid and not linked.
    unsafe fn push_last(&mut self, slab: *mut Slab) {
        // SAFETY: linked slabs are valid.
        unsafe {
            (*slab).next = ptr::null_mut();
            (*slab).previous = self.last;
            if self.last.is_null() {
                self.slabs = slab;
            } else {
                (*self.last).next = slab;
            }
        }
        self.last = slab;
        self.slab_count += 1;
    }

    /// # Safety
    /// `slab` is linked here.
    unsafe fn unlink(&mut self, slab: *mut Slab) {
        // SAFETY: linked slabs are valid.
        unsafe {
            let (previous, next) = ((*slab).previous, (*slab).next);
            if previous.is_null() {
                self.slabs = next;
            } else {
                (*previous).next = next;
            }
            if next.is_null() {
                self.last = previous;
            } else {
                (*next).previous = previous;
            }
        }
        self.slab_count -= 1;
    }
}

impl Slab {
    /// Maps a slab of up to `count` stacks: fewer where that would be large, or where the address space is short.
    fn map(size: usize, count: usize) -> Result<*mut Slab> {
        let stride = size + page_size();
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
        let (slab, free) = match (memory::zeroed::<Slab>(), memory::array_zeroed::<u32>(2 * count)) {
            (Ok(slab), Ok(free)) => (slab.as_ptr(), free.as_ptr()),
            (slab, free) => {
                // SAFETY: what was got is ours and not used again.
                unsafe {
                    memory::free(slab.map_or(ptr::null_mut(), |slab| slab.as_ptr()));
                    memory::free(free.map_or(ptr::null_mut(), |free| free.as_ptr()));
                    memory::unmap(mapping.cast(), count * stride);
                }
                return Err(Errno(libc::ENOMEM));
            }
        };
        // SAFETY: `slab` is fresh zeroed memory.
        unsafe {
            (*slab).base = mapping;
            (*slab).count = count as u32;
            (*slab).free = free;
            (*slab).ids = free.add(count);
        }
        Ok(slab)
    }

    /// # Safety
    /// `slab` is not linked, its stacks are `size` bytes each and not used again.
    unsafe fn unmap(slab: *mut Slab, size: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            guard::forget((*slab).mprotected);
            for index in 0..(*slab).guarded as usize {
                tools::forget_stack(*(*slab).ids.add(index));
            }
            memory::unmap((*slab).base.cast(), (*slab).count as usize * (size + page_size()));
            memory::free((*slab).free);
            memory::free(slab);
        }
    }

    fn has_room(&self) -> bool {
        self.free_count > 0 || self.guarded < self.count
    }

    /// The lowest byte of a stack that is not in use; there is one.
    fn take(&mut self, size: usize) -> *mut u8 {
        let page = page_size();
        self.used += 1;
        // SAFETY: indices stay below `count`, for which `free` and the mapping have room.
        unsafe {
            if self.free_count > 0 {
                self.free_count -= 1;
                let index = *self.free.add(self.free_count as usize);
                return self.base.add(index as usize * (size + page) + page);
            }
            let index = self.guarded as usize;
            let guard = self.base.add(index * (size + page));
            self.mprotected += guard::install(guard, page);
            self.ids.add(index).write(tools::register_stack(guard.add(page), size));
            self.guarded += 1;
            guard.add(page)
        }
    }

    /// # Safety
    /// `stack` came from `take` and is not in use.
    unsafe fn give_back(&mut self, stack: *mut u8, size: usize) {
        let index = (stack as usize - self.base as usize) / (size + page_size());
        // SAFETY: no more than `count` stacks can come back.
        unsafe { self.free.add(self.free_count as usize).write(index as u32) };
        self.free_count += 1;
        self.used -= 1;
    }
}
