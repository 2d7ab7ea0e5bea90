// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control block of a coroutine, and what it waits on.
//!
//! ```text
//!   New ─────────► Running ──► Dead       New (symmetric) and Ready: on a ready queue
//!   Ready ───────► │ │  │ ▲               Waiting: its waiters hang on what will wake it
//!     ▲ Waiting ◄──┘ │  │ │               Suspended: an asymmetric one that has yielded
//!     └────┘         │  └─┴─ Resuming     Resuming: it has resumed an asymmetric one
//!   Suspended ◄──────┘                    Dead: about to be freed; an asymmetric one by the program
//! ```

use core::ffi::{c_int, c_uint, c_void};
use core::ptr;

use crate::list::Link;
use crate::stack;
use crate::timer::Timer;

/// A coroutine's function.
pub type Entry = unsafe extern "C" fn(*mut c_void);

/// C++'s current exceptions: `__cxa_eh_globals` of the Itanium C++ ABI, section 2.2.2.
#[repr(C, packed(4))]
#[derive(Clone, Copy)]
pub struct Exceptions {
    caught: *mut c_void,
    uncaught: c_uint,
}

/// What a switch saves besides the registers; the thread's own stack has one too.
#[repr(C)]
pub struct Context {
    /// C++'s current exceptions.
    pub exceptions: Exceptions,
    /// The coroutine's `errno`.
    pub errno: c_int,
}

/// Where a coroutine is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum State {
    /// Not run yet; on a ready queue.
    New,
    /// On a ready queue.
    Ready,
    /// The one that runs on its thread.
    Running,
    /// Parked until somebody wakes it.
    Waiting,
    /// Asymmetric, and has yielded to its resumer.
    Suspended,
    /// Has resumed an asymmetric one, and goes on when that yields or ends.
    Resuming,
    /// Ended.
    Dead,
}

/// Why a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Wake {
    /// What was waited for may have come.
    Ready,
    /// The deadline came first.
    TimedOut,
    /// What was waited for is gone.
    Closed,
}

/// One place where a coroutine waits. It is in at most one list, and lives in the control block or on the heap,
/// never in a stack frame: the frame of a parked shared-stack coroutine is not where it was.
#[repr(C)]
pub struct Waiter {
    /// The place in the list of waiters, or in a ready queue.
    pub link: Link,
    /// Whom to wake.
    pub coroutine: *mut Coroutine,
    /// For a descriptor: the poll(2) events that wake it.
    pub events: u32,
    /// Of an operation in a ring: its result, or -errno. Of who has resumed an asymmetric coroutine: what resume returns.
    pub result: i32,
}

/// A coroutine's control block: what switches, waits and wakes need. Blocks lie close together; the [`Rest`] of a coroutine on
/// an own stack is in the one page of that which a parked coroutine has anyway.
#[repr(C)]
pub struct Coroutine {
    /// Its place in a ready queue, or in the list of the one thing that it waits on.
    pub waiter: Waiter,
    /// Its parked frame: in its stack or, of a shared one that somebody else uses, in its buffer. Of a new one the
    /// floating-point control state that it starts with, its maker's.
    pub sp: *mut u8,
    /// What else a switch saves.
    pub context: Context,
    /// Where it is in its life.
    pub state: State,
    /// Why its last wait ended.
    pub wake: Wake,
    /// What kind of stack it has.
    pub kind: stack::Kind,
    /// Whether it runs before others.
    pub urgent: bool,
    /// What it has besides: bits of [`loose`].
    pub loose: u8,
    /// Never scheduled: runs when it is resumed.
    pub asymmetric: bool,
    /// The kernel has an operation of its in a ring, and perhaps the address of its buffer: it does not run, and its stack
    /// stays, before the kernel is done with it.
    pub in_ring: bool,
    /// What its last operation left: IORING_CQE_F_SOCK_NONEMPTY.
    pub more: bool,
    /// Everything else.
    pub rest: *mut Rest,
    /// The deadline of the present wait.
    pub timer: Timer,
    /// How often it has yielded.
    pub switches: u32,
    /// Its name among the thread's coroutines.
    pub cid: c_int,
    /// The next one in its bucket of the table of cids, as the table numbers them.
    pub next: u32,
}

/// Bits of [`Coroutine::loose`].
pub mod loose {
    /// Its wait can end by something from outside: a descriptor's event, a signal, a child.
    pub const ON_DESCRIPTORS: u8 = 1;
    /// It waits on several things at once: `Rest::waiters` hang in lists.
    pub const WAITERS: u8 = 2;
    /// For good: it has a pointer of the program's, [`super::Rest::udata`].
    pub const UDATA: u8 = 4;
    /// Across wakes: what its operation brings is a descriptor, to be closed if it does not run again.
    pub const ACCEPTS: u8 = 8;
}

/// What of a coroutine nobody touches while it parks and wakes. One that comes and goes on an own stack touches the first
/// cache line only.
#[repr(C)]
pub struct Rest {
    /// What it runs.
    pub entry: Option<Entry>,
    /// With what.
    pub argument: *mut c_void,
    /// What few coroutines need, of which the scheduler alone knows what it is; null: nothing.
    pub extras: *mut c_void,
    /// What its present wait has on the heap, and leaves to the coroutine, should that be ended: an array, where it waits on
    /// several things at once. Null: nothing.
    pub waiters: *mut Waiter,
    /// The pool that it goes back to; null: none.
    pub pool: *mut c_void,
    /// Where it runs.
    pub stack: stack::Stack,
    /// How many waiters there are; valid with [`loose::WAITERS`].
    pub waiter_count: u32,
    /// Of an asymmetric one that runs or waits, who resumed it; null: the main program.
    pub resumer: *mut Coroutine,
    /// The message that it waits to send, where others may read it; or where it wants what it waits to receive, if the kernel
    /// must not write there.
    pub message: *const u8,
    /// The program's own pointer; valid with [`loose::UDATA`].
    pub udata: *mut c_void,
    /// What a sanitizer keeps for it: ASan's fake stack, or TSan's fibre. Valid where there is one.
    pub sanitizer: *mut c_void,
}

const _: () = assert!(size_of::<Coroutine>() == 96);
const _: () = assert!(size_of::<Rest>() <= stack::own::HEAD);

impl Rest {
    /// The rest that goes with an own stack of `size` bytes that [`stack::own::Stacks::take`] gave; it knows that stack.
    ///
    /// # Safety
    /// The stack is one of this thread's scheduler and nobody's.
    #[inline(always)]
    pub unsafe fn above(stack: stack::own::Warm, size: usize) -> *mut Rest {
        // SAFETY: the caller's promise; there is room for it above the stack.
        unsafe {
            let rest: *mut Rest = stack.base.add(size).cast();
            (*rest).stack.base = stack.base;
            (*rest).stack.size = size;
            (*rest).stack.home.slab = stack.slab;
            rest
        }
    }

    /// Makes it a new coroutine's, but for the stack.
    ///
    /// # Safety
    /// `rest` is writable and nobody's.
    #[inline(always)]
    pub unsafe fn init(rest: *mut Rest, entry: Option<Entry>, argument: *mut c_void) {
        // SAFETY: the caller's promise.
        unsafe {
            (*rest).entry = entry;
            (*rest).argument = argument;
            (*rest).extras = ptr::null_mut();
            (*rest).waiters = ptr::null_mut();
            (*rest).pool = ptr::null_mut();
        }
    }
}

impl Coroutine {
    /// The coroutine whose [`Waiter`] in the control block has this link; ready queues hold no other links.
    ///
    /// # Safety
    /// `link` is the link of a `Coroutine::waiter`.
    #[inline(always)]
    pub unsafe fn from_link(link: *mut Link) -> *mut Coroutine {
        // SAFETY: the caller's promise.
        unsafe { link.byte_sub(memoffset::offset_of!(Coroutine, waiter) + memoffset::offset_of!(Waiter, link)).cast() }
    }

    /// Whether a coroutine whose stack pointer is `sp` has gone beyond its stack. Only a caller's has nothing else to tell.
    ///
    /// # Safety
    /// It is valid and has run.
    #[inline(always)]
    pub unsafe fn has_overflowed(coroutine: *const Coroutine, sp: *const u8) -> bool {
        // SAFETY: the caller's promise: a caller's stack was marked before the first run.
        unsafe { (*coroutine).kind == stack::Kind::Caller && (*(*coroutine).rest).stack.has_overflowed(sp) }
    }

    /// Whether an address lies in the coroutine's stack. Of an own stack, where it mostly does, nothing has to be read: the
    /// rest lies right above it.
    ///
    /// # Safety
    /// It is valid and runs.
    #[inline(always)]
    pub unsafe fn stands_on_its_stack(coroutine: *const Coroutine, sp: *const u8) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            let rest = (*coroutine).rest;
            (*coroutine).kind == stack::Kind::Own && (rest as usize).wrapping_sub(sp as usize) <= stack::own::MIN
                || (*rest).stack.contains(sp)
        }
    }

    /// The coroutine that has this timer.
    ///
    /// # Safety
    /// `timer` is a `Coroutine::timer`.
    #[inline(always)]
    pub unsafe fn from_timer(timer: *mut Timer) -> *mut Coroutine {
        // SAFETY: the caller's promise.
        unsafe { timer.byte_sub(memoffset::offset_of!(Coroutine, timer)).cast() }
    }
}
