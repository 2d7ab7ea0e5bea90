// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where coroutines run.
//!
//! - `own`: a mapped, guarded, lazily committed stack of its own;
//! - caller-supplied: the program's memory, exactly as given;
//! - `shared`: a slot of the scheduler, which several coroutines use in turn, their live bytes copied out and in.
//!
//! `guard` makes pages that fault, `tools` tells valgrind.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

pub mod guard;
pub mod own;
pub mod shared;
pub mod tools;

/// What kind of stack a coroutine has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// A slot; chosen at the first run.
    Shared,
    /// The library's, from [`own`].
    Own,
    /// The program's memory.
    Caller,
}

/// A coroutine's stack. Zeroed memory is a shared one without a slot.
#[repr(C)]
pub struct Stack {
    /// The lowest usable byte; null for a shared one before its first run.
    pub base: *mut u8,
    /// Usable bytes.
    pub size: usize,
    /// For [`Kind::Own`]: where it came from. For [`Kind::Shared`]: its slot.
    pub home: Home,
    /// For [`Kind::Shared`]: room for the live bytes while another coroutine has the slot.
    pub saved: *mut u8,
    /// How many live bytes `saved` holds; 0 while they are in the slot.
    pub saved_length: u32,
    /// How many bytes `saved` has room for.
    pub saved_capacity: u32,
}

/// Where a stack came from; which field holds depends on its [`Kind`].
#[derive(Clone, Copy)]
pub union Home {
    /// [`Kind::Own`].
    pub slab: *mut own::Slab,
    /// [`Kind::Shared`]; null before the first run.
    pub slot: *mut shared::Slot,
    /// [`Kind::Caller`]: its name for valgrind.
    pub id: u32,
}

/// The smallest stack that the library accepts from a program, in bytes: its own frames need up to 1 KiB.
pub const MIN_CALLER: usize = 2048;

/// What the library writes at the bottom of a caller's stack, to see an overflow that has gone further.
const CANARY: [usize; 2] = [0x7961_7473_6f63_7964u64 as usize, 0x6b63_6174_735f_6579u64 as usize];

/// So far below a caller's stack its coroutine may have come. What is further away is another stack that the program has
/// given it (makecontext), or a signal's.
const REACH: usize = 64 << 10;

impl Stack {
    /// One past the highest usable byte.
    #[inline(always)]
    pub fn top(&self) -> *mut u8 {
        self.base.wrapping_add(self.size)
    }

    /// Whether an address lies in the stack.
    #[inline(always)]
    pub fn contains(&self, address: *const u8) -> bool {
        (address as usize).wrapping_sub(self.base as usize) < self.size
    }

    /// Takes the program's memory, `size` bytes from `base`, for a stack.
    pub fn of_caller(base: *mut u8, size: usize) -> Stack {
        // SAFETY: zeroed memory is a stack.
        let stack: Stack = unsafe { core::mem::zeroed() };
        Stack { base, size, home: Home { id: tools::register_stack(base, size) }, ..stack }
    }

    /// Gives the program's memory back.
    ///
    /// # Safety
    /// The stack is [`Kind::Caller`], nobody runs on it or will.
    pub unsafe fn return_to_caller(&self) {
        // SAFETY: `of_caller` has set it.
        tools::forget_stack(unsafe { self.home.id });
        tools::make_usable(self.base, self.size);
    }

    /// Marks the bottom of a caller's stack.
    ///
    /// # Safety
    /// The stack is [`Kind::Caller`] and nobody runs on it.
    pub unsafe fn mark_bottom(&self) {
        // SAFETY: the caller's memory has at least MIN_CALLER bytes from `base`.
        unsafe { self.base.cast::<[usize; 2]>().write_unaligned(CANARY) };
    }

    /// Whether a coroutine whose stack pointer is `sp` has gone beyond its stack.
    ///
    /// # Safety
    /// The stack is [`Kind::Caller`] and was marked: the others fault on their guard.
    #[inline(always)]
    pub unsafe fn has_overflowed(&self, sp: *const u8) -> bool {
        // SAFETY: `mark_bottom` wrote there, and the program keeps the memory while the coroutine lives.
        (self.base as usize).wrapping_sub(sp as usize).wrapping_sub(1) < REACH
            || unsafe { self.base.cast::<[usize; 2]>().read_unaligned() } != CANARY
    }

    /// Whether more than 7/8 of the stack is used at `sp`.
    pub fn is_nearly_full(&self, sp: *const u8) -> bool {
        let used = (self.top() as usize).saturating_sub(sp as usize);
        used > self.size - self.size / 8
    }
}

/// [`page_size`], once it is known.
static PAGE_SIZE: AtomicUsize = AtomicUsize::new(0);

/// The machine's page size, in bytes.
#[inline]
pub fn page_size() -> usize {
    let known = PAGE_SIZE.load(Relaxed);
    if known != 0 {
        return known;
    }
    // SAFETY: no preconditions; answered from the auxiliary vector.
    let size = unsafe { libc::getauxval(libc::AT_PAGESZ) as usize };
    PAGE_SIZE.store(size, Relaxed);
    size
}

/// A non-null byte pointer from a mapping.
fn bytes(memory: NonNull<libc::c_void>) -> *mut u8 {
    memory.as_ptr().cast()
}
