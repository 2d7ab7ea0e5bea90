// SPDX-License-Identifier: MIT OR Apache-2.0
//! Own stacks: cut from large mappings (slabs), guarded, committed as they are touched, kept warm for reuse.
//!
//! A stack takes a power of two of bytes and one page more: untouched pages cost nothing, and few sizes make the caches
//! work. A slab holds stacks of one size, each above its guard and below [`HEAD`] bytes for what belongs to its coroutine:
//! a parked one has touched that page anyway. A freed stack goes to a bounded warm list, most recently used first. When that
//! is full the pages of several go back to the kernel (the guard markers stay) and the stacks to their slabs; a slab
//! without users goes back whole.

use core::{ptr, slice};

use super::page_size;
use crate::list::{Link, List};
use crate::sys::{Errno, Result, memory};
use crate::syscall_raw;

mod slab;

pub use slab::Slab;
use slab::stride;

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

/// A stack that nobody uses, with its pages.
#[derive(Clone, Copy)]
pub struct Warm {
    /// Its lowest byte.
    pub base: *mut u8,
    /// Where it came from.
    pub slab: *mut Slab,
}

struct Class {
    /// Slabs that have a stack to give come first. Not a list before there is one.
    slabs: List,
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
            let mut slab = class.first();
            if slab.is_null() || !(*slab).has_room() {
                slab = Slab::map(size, FIRST_SLAB << class.slab_count.min(20))?;
                class.push_first(slab);
            }
            let base = (*slab).take(size);
            if !(*slab).has_room() {
                Link::unlink(&raw mut (*slab).link);
                List::push_back(&raw mut class.slabs, &raw mut (*slab).link);
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
            while class.slab_count > 0 {
                let slab = class.first();
                // SAFETY: a linked slab is valid; nobody uses its stacks.
                unsafe {
                    class.remove(slab);
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
            self.remove(slab);
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

    /// The slab that has a stack to give, if one does; null: there is none at all.
    fn first(&self) -> *mut Slab {
        if self.slab_count == 0 { ptr::null_mut() } else { self.slabs.first().cast() }
    }

    /// # Safety
    /// `slab` is valid and not linked.
    unsafe fn push_first(&mut self, slab: *mut Slab) {
        // SAFETY: the caller's promise; linked slabs are valid, and a class does not move.
        unsafe {
            if self.slab_count == 0 {
                List::init(&raw mut self.slabs);
            }
            List::push_front(&raw mut self.slabs, &raw mut (*slab).link);
        }
        self.slab_count += 1;
    }

    /// # Safety
    /// `slab` is linked here.
    unsafe fn remove(&mut self, slab: *mut Slab) {
        // SAFETY: the caller's promise.
        unsafe { Link::unlink(&raw mut (*slab).link) };
        self.slab_count -= 1;
    }
}
