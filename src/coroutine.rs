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

use core::ffi::{c_int, c_void};

use crate::list::Link;
use crate::stack;
use crate::timer::Timer;

/// A coroutine's function.
pub type Entry = unsafe extern "C" fn(*mut c_void);

/// What a switch saves besides the registers; the thread's own stack has one too.
#[repr(C)]
pub struct Context {
    /// C++'s current exceptions: `__cxa_eh_globals` of the Itanium C++ ABI, section 2.2.2.
    pub exceptions: [usize; 2],
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

/// A coroutine. Zeroed memory is a valid one that is nobody yet.
#[repr(C)]
pub struct Coroutine {
    /// Where it runs, and its parked frame.
    pub stack: stack::Stack,
    /// What else a switch saves.
    pub context: Context,
    /// Where it is in its life.
    pub state: State,
    /// Why its last wait ended.
    pub wake: Wake,
    /// Whether it runs before others.
    pub urgent: bool,
    /// Whether its wait can end by something from outside: a descriptor's event, a signal, a child.
    pub on_descriptors: bool,
    /// How often it has yielded.
    pub switches: u32,
    /// Its place in a ready queue, or in the list of the one thing that it waits on.
    pub waiter: Waiter,
    /// The message that it waits to send, where others may read it; or where it wants what it waits to receive, if the kernel
    /// must not write there.
    pub message: *const u8,
    /// What its present wait has on the heap, and leaves to the coroutine, should that be ended: an array, where it waits on
    /// several things at once. Null: nothing.
    pub waiters: *mut Waiter,
    /// How many waiters there are.
    pub waiter_count: u32,
    /// The deadline of the present wait.
    pub timer: Timer,
    /// Asymmetric: who resumed it; null: the main program, or nobody.
    pub resumer: *mut Coroutine,
    /// The pool that it goes back to; null: none.
    pub pool: *mut c_void,
    /// Never scheduled: runs when it is resumed.
    pub asymmetric: bool,
    /// The kernel has an operation of its in a ring, and perhaps the address of its buffer: it does not run, and its stack
    /// stays, before the kernel is done with it.
    pub in_ring: bool,
    /// What its last operation left: IORING_CQE_F_SOCK_NONEMPTY.
    pub more: bool,
    /// What a sanitizer keeps for it: ASan's fake stack, or TSan's fibre.
    pub sanitizer: *mut c_void,
    /// Its name among the thread's coroutines.
    pub cid: c_int,
    /// The next one in its bucket of the table of cids.
    pub next_in_bucket: *mut Coroutine,
    /// The floating-point control state that it starts with: its maker's.
    pub float_control: usize,
    /// What it runs.
    pub entry: Option<Entry>,
    /// With what.
    pub argument: *mut c_void,
    /// The program's own pointer.
    pub udata: *mut c_void,
    /// What few coroutines need, of which the scheduler alone knows what it is; null: nothing.
    pub extras: *mut c_void,
}

const _: () = assert!(size_of::<Coroutine>() <= 256);

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
