// SPDX-License-Identifier: MIT OR Apache-2.0
//! Own stacks: cut from large mappings (slabs), guarded, committed as they are touched, kept warm for reuse.
//!
//! A stack takes a power of two of bytes and one page more: untouched pages cost nothing, and few sizes make the caches
//! work. A slab holds stacks of one size, each above its guard and below [`HEAD`] bytes for what belongs to its coroutine:
//! a parked one has touched that page anyway. A freed stack goes to a bounded warm list, most recently used first. When that
//! is full the pages of several go back to the kernel (the guard markers stay) and the stacks to their slabs; a slab
//! without users goes back whole.

use core::{ptr, slice};

use super::{bytes, guard, page_size, tools};
use crate::sys::{Errno, Result, memory};
use crate::syscall_raw;

/// The smallest own stack: `fprintf(stderr)` alone uses 10 KB, and untouched pages cost nothing.
pub const MIN: usize = 16 << 10;

/// The largest; beyond that the size is taken for a mistake.
pub const MAX: usize = 1 << 40;

/// Bytes above each stack that are its coroutine's, and go with the stack.
pub const HEAD: usize = 128;

/// Stacks begin at so many different places in their pages, a cache line apart. Were they all alike, the lines that many
/// parked coroutines need would compete for few places of the caches.
const PLACES: usize = 8;
const LINE: usize = 64;

const CLASSES: usize = (MAX / MIN).ilog2() as usize + 1;

/// Freed stacks of one size that keep their pages.
const WARM: usize = 4096;

/// So many give them back at a time. In a crowd that ends in the order in which it was made these are neighbours, and that is
/// one system call.
const COOLED: usize = 64;

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
    /// Indices of stacks that were used and came back; room for `count`. Not touched before one does.
    free: *mut u32,
    /// The names of the guarded stacks for valgrind; null without it.
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
    let spare = page_size() - HEAD;
    let power = size.saturating_sub(spare - (PLACES - 1) * LINE).max(MIN).max(page_size());
    if size > MAX { Err(Errno(libc::EINVAL)) } else { Ok(power.next_power_of_two() + spare) }
}

/// Where the first frame ends on the stack whose end is `top`. Stacks of one megabyte begin at the same place: processors
/// foresee accesses that are equally far apart, and coroutines are often made, and then run, in the order of their stacks.
#[inline(always)]
pub fn first_frame(top: *mut u8) -> *mut u8 {
    top.wrapping_sub((top as usize >> 20) % PLACES * LINE)
}

/// What is beyond the power of two is less than that.
fn class_of(size: usize) -> usize {
    (size / MIN).ilog2() as usize
}

impl Stacks {
    /// A stack of `size` bytes, a size that [`rounded`] gave.
    pub fn take(&mut self, size: usize) -> Result<Warm> {
        let class = &mut self.classes[class_of(size)];
        // SAFETY: the warm array holds `warm_count` stacks; the slabs of a class are valid and linked.
        unsafe {
            if class.warm_count > 0 {
                class.warm_count -= 1;
                return Ok(*class.warm.add(class.warm_count as usize));
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
            Ok(Warm { base, slab })
        }
    }

    /// Whether a stack of this size that is given back now would be kept as it is.
    #[inline(always)]
    pub fn keeps(&self, size: usize) -> bool {
        let class = &self.classes[class_of(size)];
        class.keeps(size) && (class.warm_count as usize) < WARM
    }

    /// Takes a stack back.
    ///
    /// # Safety
    /// It came from [`Stacks::take`] with this size, and nobody runs on it or will.
    pub unsafe fn give_back(&mut self, base: *mut u8, size: usize, slab: *mut Slab) {
        let class = &mut self.classes[class_of(size)];
        if class.warm.is_null() {
            class.warm = memory::array_zeroed(WARM).map_or(ptr::null_mut(), |warm| warm.as_ptr());
        }
        // SAFETY: the warm array has room for WARM; the slab is one of the class.
        unsafe {
            if !class.keeps(size) {
                return class.cool(&[Warm { base, slab }], size);
            }
            if class.warm_count as usize == WARM {
                class.cool_several(size);
            }
            class.warm.add(class.warm_count as usize).write(Warm { base, slab });
            class.warm_count += 1;
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
                    Slab::unmap(slab, (MIN << index) + page_size() - HEAD);
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
    /// Whether stacks of this size stay warm: a huge one may have touched much.
    #[inline(always)]
    fn keeps(&self, size: usize) -> bool {
        !self.warm.is_null() && size < 2 << 20
    }

    /// Gives up those warm stacks that were freed last.
    ///
    /// # Safety
    /// There are as many.
    #[cold]
    #[inline(never)]
    unsafe fn cool_several(&mut self, size: usize) {
        self.warm_count -= COOLED as u32;
        // SAFETY: the caller's promise; nobody uses warm stacks.
        unsafe {
            let stacks = slice::from_raw_parts_mut(self.warm.add(self.warm_count as usize), COOLED);
            stacks.sort_unstable_by_key(|stack| stack.base);
            let are_neighbours = |a: &Warm, b: &Warm| a.slab == b.slab && a.base.wrapping_add(stride(size)) == b.base;
            for neighbours in stacks.chunk_by(are_neighbours) {
                self.cool(neighbours, size);
            }
        }
    }

    /// Gives the pages of neighbouring stacks to the kernel and the stacks to their slab.
    ///
    /// # Safety
    /// They are of the class, of one slab, in order, each next to the one before, and not in use.
    unsafe fn cool(&mut self, stacks: &[Warm], size: usize) {
        let (Some(first), Some(last)) = (stacks.first(), stacks.last()) else { return };
        // SAFETY: the caller's promise.
        unsafe {
            let slab = first.slab;
            for stack in stacks {
                (*slab).give_back(stack.base, size);
            }
            self.unlink(slab);
            // One slab without users stays, so that one coroutine at a time does not map and unmap.
            if (*slab).used == 0 && self.slab_count > 0 {
                Slab::unmap(slab, size);
                return;
            }
            let bytes = last.base as usize + size + HEAD - first.base as usize;
            syscall_raw!(SYS_madvise, first.base, bytes, libc::MADV_DONTNEED);
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
    unsafe fn unmap(slab: *mut Slab, size: usize) {
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

    fn has_room(&self) -> bool {
        self.free_count > 0 || self.guarded < self.count
    }

    /// The lowest byte of a stack that is not in use; there is one.
    fn take(&mut self, size: usize) -> *mut u8 {
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
    unsafe fn give_back(&mut self, stack: *mut u8, size: usize) {
        let index = (stack as usize - self.base as usize) / stride(size);
        // SAFETY: no more than `count` stacks can come back.
        unsafe { self.free.add(self.free_count as usize).write(index as u32) };
        self.free_count += 1;
        self.used -= 1;
    }
}

/// From one stack of a slab to the next: a guard, the stack, and what is above it.
fn stride(size: usize) -> usize {
    page_size() + size + HEAD
}
