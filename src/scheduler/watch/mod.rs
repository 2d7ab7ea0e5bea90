// SPDX-License-Identifier: MIT OR Apache-2.0
//! The descriptors that this thread waits for, and who waits.
//!
//! A descriptor is registered once, edge-triggered, and stays registered, so that waiting again costs no system call.
//! The kernel's key of a registration is (file, number), and a registration vanishes silently when the file is closed:
//! by a hook, which tells us, or behind our back (fclose, a raw system call, another library). So:
//!
//! - a number whose birth a hook has seen is trusted while its generation lasts;
//! - any other is registered again before each wait: EPOLL_CTL_ADD says EEXIST when it still is;
//! - a trusted one that has been waited for in silence is registered again once, to be sure: see `checks`.
//!
//! Per direction a watch remembers whether something may have come since the descriptor was last found empty.

use core::mem::replace;
use core::ptr;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::sync::atomic::{AtomicBool, AtomicPtr, compiler_fence};

use crate::arch;
use crate::coroutine::Wake;
use crate::list::List;
use crate::poller::descriptors::Snapshot;
use crate::sys::{Errno, Result, memory};

mod checks;
pub mod closing;
mod events;
mod registration;

use events::OUT;
pub use registration::Armed;

const CHUNK: usize = 64;

/// Bits of [`Watch::ready`].
pub const READ: u8 = 1;
/// Bits of [`Watch::ready`].
pub const WRITE: u8 = 2;

/// One descriptor number. It does not move. The first cache line has what waits and events touch, the second what operations
/// do.
#[repr(C, align(64))]
pub struct Watch {
    /// Those who wait for anything but EPOLLOUT alone.
    readers: List,
    check: checks::Place,
    /// The number's generation when it was registered.
    generation: u32,
    /// The events asked of the kernel; 0: not registered.
    registered: u32,
    /// Directions in which something may have come since they were last found empty.
    ready: u8,
    sticky: bool,
    /// A reader may wait for EPOLLOUT too.
    mixed: bool,
    fd: i32,
    /// Those who wait for EPOLLOUT alone.
    writers: List,
    /// Those of whom the kernel has an operation in the ring.
    pub(super) operators: List,
    /// [`life_of`] the descriptor that operations were begun on; 0: none.
    pub(super) operated: u64,
    /// The last operation has left nothing to receive; of a pipe, had to wait, as most likely the next one has to.
    pub(super) dry: bool,
    /// It is among those that were closed.
    closed: AtomicBool,
    /// How to wake who waits for what was closed.
    closed_wake: Wake,
    /// Its generation.
    closed_generation: u32,
    next_closed: *mut Watch,
    /// The number's generation when its present file came into the poller's set.
    began: u32,
}

const _: () = assert!(size_of::<Watch>() == 128 && memoffset::offset_of!(Watch, writers) == 64);

/// All watches of a scheduler, found by number. Zeroed memory becomes one by [`Watches::init`].
pub struct Watches {
    chunks: *mut *mut [Watch; CHUNK],
    chunk_count: usize,
    checks: checks::Checks,
    /// Those that were closed, for [`Scheduler::forget_closed`]: a stack.
    closed: AtomicPtr<Watch>,
}

impl Watches {
    /// # Safety
    /// `self` does not move any more.
    pub unsafe fn init(&mut self) {
        self.chunks = ptr::null_mut();
    }

    /// The watch of a number that has been waited for; null otherwise.
    #[inline(always)]
    pub fn get(&self, fd: i32) -> *mut Watch {
        let index = fd as u32 as usize;
        if index / CHUNK >= self.chunk_count {
            return ptr::null_mut();
        }
        // SAFETY: `index / CHUNK` is within the chunks.
        unsafe {
            let chunk = *self.chunks.add(index / CHUNK);
            if chunk.is_null() { chunk.cast() } else { &raw mut (*chunk)[index % CHUNK] }
        }
    }

    /// Fetches a number's watch.
    #[inline(always)]
    pub(super) fn prefetch(&self, fd: i32) {
        let watch = self.get(fd);
        if !watch.is_null() {
            arch::prefetch(watch.cast());
        }
    }

    /// Fetches the control block of who is the first to wait for that number.
    #[inline(always)]
    pub(super) fn prefetch_waiter(&self, fd: i32) {
        let watch = self.get(fd);
        if !watch.is_null() {
            // SAFETY: watches live as long as the scheduler.
            let waiter = unsafe { (*watch).readers.first() };
            if !waiter.is_null() {
                arch::prefetch(waiter.cast());
                arch::prefetch(waiter.cast::<u8>().wrapping_add(64));
            }
        }
    }

    /// The watch of a number, made if need be.
    #[inline(always)]
    pub(super) fn entry(&mut self, fd: i32) -> Result<*mut Watch> {
        let found = self.get(fd);
        if found.is_null() { self.make_entry(fd) } else { Ok(found) }
    }

    /// Makes the watch of a number that has none, and those of its neighbours.
    #[cold]
    #[inline(never)]
    fn make_entry(&mut self, fd: i32) -> Result<*mut Watch> {
        let index = usize::try_from(fd).map_err(|_| Errno(libc::EBADF))?;
        if index / CHUNK >= self.chunk_count {
            let count = (index / CHUNK + 1).next_power_of_two().max(16);
            let chunks = memory::array_zeroed(count)?.as_ptr();
            // SAFETY: `chunks` is null or ours and holds plain pointers. A signal handler that closes a descriptor looks
            // here at any moment: what it finds is whole.
            unsafe {
                ptr::copy_nonoverlapping(self.chunks, chunks, self.chunk_count);
                let old = replace(&mut self.chunks, chunks);
                compiler_fence(SeqCst);
                self.chunk_count = count;
                memory::free(old);
            }
        }
        let chunk = memory::zeroed::<[Watch; CHUNK]>()?.as_ptr();
        // SAFETY: `index / CHUNK` is within the chunks; the chunk's memory is fresh and stays where it is.
        unsafe {
            for offset in 0..CHUNK {
                let watch = &raw mut (*chunk)[offset];
                List::init(&raw mut (*watch).readers);
                List::init(&raw mut (*watch).writers);
                List::init(&raw mut (*watch).operators);
                (*watch).fd = (index / CHUNK * CHUNK + offset) as i32;
            }
            *self.chunks.add(index / CHUNK) = chunk;
        }
        Ok(self.get(fd))
    }

    /// Calls `each` for every watch.
    pub fn for_each(&mut self, each: &mut dyn FnMut(*mut Watch)) {
        for index in 0..self.chunk_count {
            // SAFETY: `index` is within the chunks.
            unsafe {
                let chunk = *self.chunks.add(index);
                if !chunk.is_null() {
                    for offset in 0..CHUNK {
                        each(&raw mut (*chunk)[offset]);
                    }
                }
            }
        }
    }

    /// Gives the memory back. Nobody waits.
    pub fn free(&mut self) {
        for index in 0..self.chunk_count {
            // SAFETY: chunks are null or ours.
            unsafe { memory::free(*self.chunks.add(index)) };
        }
        // SAFETY: `chunks` is null or ours.
        unsafe { memory::free(self.chunks) };
        self.chunks = ptr::null_mut();
        self.chunk_count = 0;
        self.checks = checks::Checks::NONE;
        self.closed.store(ptr::null_mut(), Relaxed);
    }
}

/// A number's generation, other than 0.
pub(super) fn life_of(generation: u32) -> u64 {
    1 << 32 | u64::from(generation)
}

impl Watch {
    /// Whether the registration is of the descriptor that the number means now.
    #[inline(always)]
    pub fn is_registered(&self, snapshot: &Snapshot) -> bool {
        self.registered != 0 && self.generation == snapshot.generation
    }

    /// Whether the descriptor has been found empty in a direction and nothing has come since.
    #[inline(always)]
    pub fn is_drained(&self, direction: u8) -> bool {
        self.ready & direction == 0 && !self.sticky && (direction == READ || self.registered & OUT != 0)
    }

    /// Whether an event of the kind that stays has been seen.
    pub fn has_hung_up(&self) -> bool {
        self.sticky
    }

    /// Notes that the descriptor was found empty in a direction.
    #[inline(always)]
    pub fn note_drained(&mut self, direction: u8) {
        self.ready &= !direction;
    }

    /// Whether operations were begun on that life of the number.
    #[inline(always)]
    pub fn is_operated(&self, generation: u32) -> bool {
        self.operated == life_of(generation)
    }

    /// The number and the generations that are registered and operated on.
    pub fn generations(&self) -> (i32, [Option<u32>; 2]) {
        let registered = (self.registered != 0).then_some(self.generation);
        let operated = (self.operated != 0).then_some(self.operated as u32);
        (self.fd, [registered, operated])
    }

    fn has_waiters(&self) -> bool {
        !self.readers.is_empty() || !self.writers.is_empty()
    }
}
