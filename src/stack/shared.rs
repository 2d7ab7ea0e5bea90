// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shared stacks: a few slots per scheduler, each used by many coroutines in turn.
//!
//! A coroutine is bound to one slot for life, because its frames hold addresses. Its bytes leave the slot only when
//! another coroutine needs the place, and only the live ones: from the parked stack pointer to the top. With no more
//! coroutines than slots nobody ever copies.

use core::ptr;

use super::{Stack, bytes, guard, page_size, tools};
use crate::sys::{Result, memory};
use crate::syscall_raw;

/// How many slots a scheduler makes at most. Neighbours in the ready queue mostly have different ones, so that one can
/// put the next one's bytes in place and switch to it directly.
const SLOTS: usize = 16;

/// A place where one of several coroutines can run.
pub struct Slot {
    base: *mut u8,
    /// Whether mprotect has made its guard: 0 or 1.
    mprotected: u32,
    /// Its name for valgrind.
    id: u32,
    /// Whose bytes are in the slot; null: nobody's.
    occupant: *mut Stack,
    /// Where the occupant's parked frame is noted.
    occupant_sp: *mut *mut u8,
    /// How many live coroutines are bound to it.
    bound: u32,
}

/// The slots of one scheduler. Zeroed memory becomes one by [`Slots::init`].
pub struct Slots {
    slots: [Slot; SLOTS],
    count: usize,
    /// Where the search for a slot begins when none is without a coroutine.
    next: usize,
    size: usize,
}

impl Slots {
    /// Sets the size of the slots to come, in bytes.
    pub fn init(&mut self, size: usize) {
        self.size = size;
    }

    /// Their size, in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether the address lies in a slot, where one coroutine's memory is now and another's later: how many bytes from
    /// there to the slot's end.
    pub fn room_at(&self, address: *const u8) -> Option<usize> {
        let offset = |slot: &Slot| (address as usize).wrapping_sub(slot.base as usize);
        self.slots[..self.count].iter().map(offset).find(|&offset| offset < self.size).map(|offset| self.size - offset)
    }

    /// Makes the first slot, so that a coroutine made later cannot be left without one.
    pub fn ensure_one(&mut self) -> Result<()> {
        if self.count == 0 { self.map() } else { Ok(()) }
    }

    /// Binds a coroutine that has not run to a slot: one that nobody is bound to, else a new one, else in turn.
    pub fn bind(&mut self, stack: &mut Stack) -> Result<()> {
        let index = match self.slots[..self.count].iter().position(|slot| slot.bound == 0) {
            Some(index) => index,
            None if self.count < SLOTS => match self.map() {
                Ok(()) => self.count - 1,
                Err(errno) if self.count == 0 => return Err(errno),
                // More slots only spare copies.
                Err(_) => self.in_turn(),
            },
            None => self.in_turn(),
        };
        let slot = &mut self.slots[index];
        slot.bound += 1;
        stack.base = slot.base;
        stack.size = self.size;
        stack.home.slot = slot;
        Ok(())
    }

    fn in_turn(&mut self) -> usize {
        self.next = (self.next + 1) % self.count;
        self.next
    }

    fn map(&mut self) -> Result<()> {
        let page = page_size();
        let memory = bytes(memory::map(self.size + page, libc::MAP_STACK)?);
        // SAFETY: the mapping is ours and unused.
        unsafe {
            syscall_raw!(SYS_madvise, memory, self.size + page, libc::MADV_NOHUGEPAGE);
            self.slots[self.count].mprotected = guard::install(memory, page);
            let base = memory.add(page);
            self.slots[self.count].base = base;
            self.slots[self.count].id = tools::register_stack(base, self.size);
        }
        self.count += 1;
        Ok(())
    }

    /// Gives the slots back.
    ///
    /// # Safety
    /// No coroutine is bound to any.
    pub unsafe fn free(&mut self) {
        let page = page_size();
        for slot in &mut self.slots[..self.count] {
            // SAFETY: the mapping begins a page below the slot.
            unsafe { memory::unmap(slot.base.sub(page).cast(), self.size + page) };
            tools::forget_stack(slot.id);
            guard::forget(slot.mprotected);
        }
        self.count = 0;
    }
}

/// Whether a coroutine's bytes are where it runs.
///
/// # Safety
/// `stack` is shared and bound.
#[inline(always)]
pub unsafe fn is_in_place(stack: *const Stack) -> bool {
    // SAFETY: a bound stack's slot is valid.
    unsafe { (*(*stack).home.slot).occupant.cast_const() == stack }
}

/// Whether [`load`] can put `stack` in place without asking for memory and without touching the slot that `running`
/// runs on, null where that is no shared stack: then it may be called from there.
///
/// # Safety
/// Both are shared and bound.
#[inline]
pub unsafe fn can_load_beside(stack: *const Stack, running: *const Stack) -> bool {
    // SAFETY: a bound stack's slot and its occupant are valid.
    unsafe {
        let slot = (*stack).home.slot;
        if !running.is_null() && (*running).home.slot == slot {
            return false;
        }
        let occupant = (*slot).occupant;
        occupant.is_null() || !needs_buffer(&*occupant, live_bytes(&*occupant, *(*slot).occupant_sp))
    }
}

/// Writes into the frames of a parked coroutine, wherever they are.
///
/// # Safety
/// `stack` is shared and parked; the bytes at `address`, where it runs, are live ones.
#[inline]
pub unsafe fn write(stack: *const Stack, address: *mut u8, bytes: *const u8, length: usize) {
    // SAFETY: the caller's promise; `saved` holds all live bytes, when it holds any.
    unsafe {
        let saved = (*stack).saved_length as usize;
        let below_top = (*stack).top() as usize - address as usize;
        let place = if saved > 0 { (*stack).saved.add(saved - below_top) } else { address };
        ptr::copy_nonoverlapping(bytes, place, length);
    }
}

/// Puts the bytes of `stack` in place, the occupant's into its buffer. ENOMEM leaves all as it was. Where a parked frame is
/// is noted at `sp`, also later, when this one's is moved in its turn.
///
/// # Safety
/// `stack` is shared, bound and parked (or new); the slot's occupant is parked; nobody runs on the slot. `sp` stays valid
/// until [`unbind`].
pub unsafe fn load(stack: *mut Stack, sp: *mut *mut u8) -> Result<()> {
    // SAFETY: the caller's promise; live bytes lie within the slot, saved ones within their buffer.
    unsafe {
        let slot = (*stack).home.slot;
        if !(*slot).occupant.is_null() {
            save(&mut *(*slot).occupant, (*slot).occupant_sp)?;
        }
        (*slot).occupant = stack;
        (*slot).occupant_sp = sp;
        let length = (*stack).saved_length as usize;
        if length > 0 {
            let place = (*stack).top().sub(length);
            tools::make_usable(place, length);
            ptr::copy_nonoverlapping((*stack).saved, place, length);
            *sp = place;
            (*stack).saved_length = 0;
        }
        Ok(())
    }
}

/// # Safety
/// `stack` occupies its slot and is parked, with its frame at `sp`.
unsafe fn save(stack: &mut Stack, sp: *mut *mut u8) -> Result<()> {
    // SAFETY: the caller's promise.
    let live = live_bytes(stack, unsafe { *sp });
    if needs_buffer(stack, live) {
        // libc's heap gives multiples of 16, less 8, in steps of 16 bytes.
        let capacity = (live + 8).next_multiple_of(16) - 8;
        // SAFETY: `saved` is null or ours. The old buffer's bytes are in the slot, so none is lost.
        unsafe {
            memory::free(stack.saved);
            (stack.saved, stack.saved_capacity) = (ptr::null_mut(), 0);
            stack.saved = memory::resize::<u8>(ptr::null_mut(), capacity)?.as_ptr();
        }
        stack.saved_capacity = capacity as u32;
    }
    // SAFETY: the live bytes lie within the slot; the buffer has room for them.
    unsafe {
        ptr::copy_nonoverlapping(*sp, stack.saved, live);
        *sp = stack.saved;
    }
    stack.saved_length = live as u32;
    Ok(())
}

/// Frees what a coroutine has in its slot and in its buffer.
///
/// # Safety
/// `stack` is shared and its coroutine will not run again; nobody runs on its frames.
pub unsafe fn unbind(stack: &mut Stack) {
    // SAFETY: the caller's promise; a bound stack's slot is valid.
    unsafe {
        let slot = stack.home.slot;
        if !slot.is_null() {
            (*slot).bound -= 1;
            if ptr::eq((*slot).occupant, stack) {
                (*slot).occupant = ptr::null_mut();
            }
        }
        memory::free(stack.saved);
    }
    stack.saved = ptr::null_mut();
}

/// How many bytes a parked coroutine's frames take.
#[inline(always)]
fn live_bytes(stack: &Stack, sp: *const u8) -> usize {
    stack.top() as usize - sp as usize
}

/// Whether the buffer of a parked stack is too small for its live bytes, or far too large: a buffer from a deep wait is
/// not kept for a shallow one.
fn needs_buffer(stack: &Stack, live: usize) -> bool {
    let capacity = stack.saved_capacity as usize;
    live > capacity || capacity > 2 * live + 512
}
