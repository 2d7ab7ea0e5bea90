// SPDX-License-Identifier: MIT OR Apache-2.0
//! One scheduler per thread: made on first use, freed with the thread. A coroutine never leaves its thread: that is an
//! invariant, not a tuning choice; compilers keep addresses of thread-locals across calls.
//!
//! | file | subject |
//! |---|---|
//! | `run` | the loop on the thread's own stack: what runs next, what happens when nothing is ready |
//! | `switch`, `ending` | from one coroutine to the next, and its first steps; its last ones |
//! | `wait`, `wait_many`, `wake` | what a coroutine can wait for; any of several descriptors; how waits end |
//! | `watch` | the descriptors waited for: the table; registration, events, closing |
//! | `operations` | calls that the kernel makes for a coroutine by io_uring |
//! | `signals`, `children`, `extras` | what coroutines wait for besides descriptors, and what of it ends with them |
//! | `offload`, `helpers` | work that other threads do for coroutines, and these threads |
//! | `thread` | a thread's scheduler: making, asking and freeing it |
//! | `life` | making, finding, changing and ending coroutines |
//! | `stacks` | which stack a coroutine has |
//! | `ready`, `table` | the ready queues; cids |
//! | `asymmetric`, `pool` | coroutines that run when they are resumed; coroutines that are reused |
//! | `registry`, `inbox`, `fork` | all threads' schedulers, what they tell each other, and what of them a forked child has |
//! | `handlers`, `aside` | the signal handler that runs; waits of those that we do not know of, on alternate stacks |
//! | `exceptions`, `sanitizers` | the C++ runtime; AddressSanitizer and ThreadSanitizer |
//! | `overflow`, `deadlock`, `blocked` | the reports that go to stderr |

use core::ffi::c_void;

use crate::coroutine::{Context, Coroutine, Exceptions};
use crate::list::List;
use crate::poller::epoll::Epoll;
use crate::stack::{own, shared};
use crate::sys::clock::Instant;
use crate::timer;

mod aside;
mod asymmetric;
pub mod blocked;
mod change;
pub mod children;
mod deadlock;
mod ending;
mod exceptions;
mod extras;
mod fork;
#[cfg(feature = "ssl")]
mod glimpse;
mod handlers;
mod helpers;
mod inbox;
mod life;
pub mod offload;
mod operations;
mod overflow;
mod pool;
mod ready;
mod registry;
mod run;
mod sanitizers;
mod signals;
mod stacks;
mod switch;
mod table;
mod thread;
mod trying;
mod wait;
mod wait_many;
mod wake;
mod watch;

use thread::{destroy, this_or_new};

pub use crate::coroutine::Entry;
pub use asymmetric::{create as asymmetric_create, free as asymmetric_free, resume, suspend};
pub use extras::Held;
#[cfg(feature = "ssl")]
pub use glimpse::{Glimpse, ROOM};
#[cfg(feature = "hook")]
pub use handlers::run_handler;
#[cfg(feature = "hook")]
pub use helpers::limit as helper_limit;
pub use helpers::{block_signals as block_helper_signals, set_limits as set_helper_limits};
pub use life::*;
pub use pool::{Pool, create as pool_create, give_back_asymmetric};
pub use run::{RunEnd, abort, aborts, run, stop};
pub use signals::{Set as SignalSet, change_mask};
pub use stacks::{check_stack, get_stack, set_stack};
pub use thread::*;
#[cfg(feature = "hook")]
pub use wait::hooked;
pub use wait::{Current, Direction, Wake, current, current_at_once, identity};
pub use wake::{PRIVATE, offer, wake_first, wake_first_if, wake_where};
pub use watch::closing::{descriptor_closed, descriptor_closing};

/// A thread's scheduler. Zeroed memory becomes one by [`Scheduler::init`]; it does not move.
#[repr(C)]
pub struct Scheduler {
    /// The coroutine that runs; null outside coroutines.
    running: *mut Coroutine,
    /// The loop runs. A coroutine that runs while it does not is an asymmetric one that the main program has resumed: a
    /// call that waits is then made outside coroutines, there is nobody to switch to.
    is_running: bool,
    /// The signal handler that runs.
    handler: handlers::Mark,
    /// The program has switched the hooks off for this thread.
    hooks_off: bool,
    /// Where the thread's `errno` is.
    errno: *mut libc::c_int,
    /// Where C++ keeps the thread's current exceptions; null where there is no C++.
    exceptions: *mut Exceptions,
    /// How many more switches before the loop looks at the clock and at descriptors.
    budget: u32,
    /// The budget that the last look found right.
    pace: u32,
    /// Somebody asked the loop to end. The budget is 0 then: coroutines go back to the loop at their next switch.
    interrupted: bool,
    /// A signal handler has forked, and this is the child, which has still to become one: whom it has interrupted; 0: no.
    forked: i32,
    ready: ready::Queues,
    /// Taken off the ready queue by a coroutine that could not switch to it directly.
    picked: *mut Coroutine,
    /// Ended, and still to be freed, by the loop or with the scheduler: a coroutine cannot free the stack it runs on.
    dead: *mut Coroutine,
    /// Objects that were destroyed while a coroutine that had been woken for them has still to look.
    doomed: List,
    /// The loop's own frame.
    main_sp: *mut u8,
    main: Context,
    timers: timer::Heap,
    poller: Epoll,
    operations: operations::Operations,
    watches: watch::Watches,
    signals: signals::Signals,
    children: children::Waiters,
    /// What helpers do for coroutines of this scheduler.
    jobs: List,
    /// How many coroutines wait for something from outside.
    on_descriptors: usize,
    /// The time when the loop last looked.
    now: Instant,
    polled: Instant,
    /// When the last sleep ended.
    woke: Instant,
    stacks: own::Stacks,
    slots: shared::Slots,
    coroutines: table::Table,
    loop_wait: Instant,
    trying: trying::Trying,
    been_impatient: bool,
    /// Null until there is one.
    #[cfg(feature = "ssl")]
    glimpse: *mut Glimpse,
    /// File calls wait in their coroutine only.
    files: bool,
    handled: handlers::Handled,
    /// How long the running coroutine has been held up by calls of which `blocked` has told.
    told_blocked: Instant,
    sanitizers: sanitizers::Sanitizers,
    exceptions_search: exceptions::Search,
    /// How many live coroutines the loop has to run: all but the asymmetric ones.
    scheduled: usize,
    stop: bool,
    abort: bool,
    /// Aborted, and nothing was created since.
    aborted: bool,
    /// Tells this scheduler from any earlier one.
    serial: u32,
    /// Changes with every abort, and is another scheduler's never.
    epoch: u32,
    id: i32,
    udata: *mut c_void,
    inbox: inbox::Inbox,
    /// The eventfd that wakes the loop, for other threads; -1 while there is none.
    wake_fd: core::sync::atomic::AtomicI32,
    registered: registry::Place,
    alternate_stack: *mut c_void,
}
