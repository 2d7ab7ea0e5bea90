// SPDX-License-Identifier: MIT OR Apache-2.0
//! Receives, and reads from pipes, that the kernel gets later.
//!
//! To begin one on a socket in which there is nothing yet costs the kernel a watch, a wake-up and a second look, a tenth of an
//! echo. Among many busy connections the bytes mostly come before all others have had their turn. So while the kernel has
//! plenty that is ready, what coroutines begin waits here, first come, first served, and goes to the kernel in the place of
//! what was ready before: mostly it is done then on the spot. The kernel never sleeps while something waits here.

use core::ptr;

use super::Operations;
use crate::sys::memory;
use crate::sys::ring::{self, Entry};

/// How many there is room for at first.
const FEW: u32 = 256;

/// How many receives are to end with one turn of the loop. Fewer than there are buffers of the ring's.
const TURN: u32 = 32;

/// What is kept of an entry.
struct Receive {
    data: u64,
    address: u64,
    length: u32,
    fd: i32,
    generation: u32,
    opcode: u8,
    flags: u8,
}

/// A queue of receives. Zeroed: none.
pub(super) struct Held {
    /// Null: not needed yet.
    receives: *mut Receive,
    /// How many there is room for: 0, or a power of two.
    room: u32,
    head: u32,
    tail: u32,
    /// How many the kernel has got from here with the last turn.
    given: u32,
    /// How many have ended since.
    pub(super) ended: u32,
    /// How many of those that the kernel had already have ended between the last two turns.
    ready: u32,
}

impl Held {
    /// Whether any wait.
    #[inline(always)]
    pub(super) fn any(&self) -> bool {
        self.head != self.tail
    }

    /// Forgets them all.
    pub(super) fn forget(&mut self) {
        self.head = self.tail;
    }

    /// Gives the memory back. None wait.
    pub(super) fn free(&mut self) {
        // SAFETY: null or ours, and not used again.
        unsafe { memory::free(self.receives) };
        (self.receives, self.room) = (ptr::null_mut(), 0);
    }

    /// Makes room for twice as many; false: there is no memory.
    #[cold]
    fn grow(&mut self) -> bool {
        let room = (self.room * 2).max(FEW);
        let Ok(receives) = memory::array_zeroed::<Receive>(room as usize) else { return false };
        let receives = receives.as_ptr();
        let mut at = self.head;
        while at != self.tail {
            // SAFETY: indices within the arrays; what is copied is not used there again.
            unsafe {
                receives
                    .add((at & (room - 1)) as usize)
                    .write(self.receives.add((at & (self.room - 1)) as usize).read())
            };
            at = at.wrapping_add(1);
        }
        self.free();
        (self.receives, self.room) = (receives, room);
        true
    }

    /// Whether the kernel has plenty to do.
    #[inline(always)]
    pub(super) fn is_plenty(&self) -> bool {
        self.any() || self.ready >= TURN / 2
    }
}

impl Operations {
    /// Keeps a receive for later; false: there is no memory.
    pub(super) fn hold(&mut self, entry: &Entry, generation: u32) -> bool {
        let held = &mut self.held;
        // Who went to the kernel at once because the queue is long would be served before all who are in it, again and again.
        if held.tail.wrapping_sub(held.head) >= held.room && !held.grow() {
            return false;
        }
        let &Entry { data, address, length, fd, .. } = entry;
        // Not as one word, see `Entry::copy_to`.
        // SAFETY: both are valid.
        let (opcode, flags) =
            unsafe { ((&raw const entry.opcode).read_volatile(), (&raw const entry.flags).read_volatile()) };
        // SAFETY: an index within the array.
        unsafe {
            held.receives.add((held.tail & (held.room - 1)) as usize).write(Receive {
                data,
                address,
                length,
                fd,
                generation,
                opcode,
                flags,
            });
        }
        held.tail = held.tail.wrapping_add(1);
        true
    }

    /// Begins so many of those that wait, the first ones, as far as the kernel takes them.
    pub(super) fn release(&mut self, many: u32) {
        for _ in 0..many {
            if !self.held.any() {
                return;
            }
            // SAFETY: an index within the array, of one that was put there.
            let &Receive { data, address, length, fd, generation, opcode, flags } =
                unsafe { &*self.held.receives.add((self.held.head & (self.held.room - 1)) as usize) };
            let offset = if opcode == ring::READ { ring::NO_OFFSET } else { 0 };
            let entry = Entry { opcode, flags, fd, offset, address, length, data, ..Entry::default() };
            let Some(place) = self.push(&entry) else { return };
            self.generations[place] = generation;
            self.held.head = self.held.head.wrapping_add(1);
            self.held.given += 1;
        }
    }

    /// To be called before each turn of the loop in the kernel: begins what is its share. How many completions the kernel may
    /// wait for: none while some are left.
    pub(super) fn take_turn(&mut self) -> u32 {
        let (ended, given) = (self.held.ended, self.held.given);
        (self.held.ended, self.held.given) = (0, 0);
        self.held.ready = ended.saturating_sub(given);
        if !self.held.any() {
            return 1;
        }
        let share = TURN.saturating_sub(self.held.ready);
        self.with_ring(|operations| {
            operations.release(share);
            Some(())
        });
        u32::from(!self.held.any())
    }
}
