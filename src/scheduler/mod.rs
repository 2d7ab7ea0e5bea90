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
//! | `life` | making, finding, changing and ending coroutines |
//! | `stacks` | which stack a coroutine has |
//! | `ready`, `table` | the ready queues; cids |
//! | `asymmetric`, `pool` | coroutines that run when they are resumed; coroutines that are reused |
//! | `registry`, `inbox`, `fork` | all threads' schedulers, what they tell each other, and what of them a forked child has |
//! | `handlers`, `aside` | the signal handler that runs; waits of those that we do not know of, on alternate stacks |
//! | `exceptions`, `sanitizers` | the C++ runtime; AddressSanitizer and ThreadSanitizer |
//! | `overflow`, `deadlock`, `blocked` | the reports that go to stderr |

use core::ffi::c_void;
use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering::Relaxed;

use crate::arch::{self, slot};
use crate::coroutine::{Context, Coroutine, Exceptions};
use crate::list::{Link, List};
use crate::poller::epoll::Epoll;
use crate::stack::{own, page_size, shared};
use crate::sys::clock::{Instant, MS};
use crate::sys::{Errno, Result, errno, memory};
use crate::timer;

mod aside;
mod asymmetric;
pub mod blocked;
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
mod trying;
mod wait;
mod wait_many;
mod wake;
mod watch;

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
#[cfg(feature = "hook")]
pub use wait::hooked;
pub use wait::{Current, Direction, Wake, current, current_at_once, identity};
pub use wake::{PRIVATE, offer, wake_first, wake_first_if, wake_where};
pub use watch::closing::{descriptor_closed, descriptor_closing};

/// The usable size of a shared stack, in bytes, unless the program says otherwise.
const DEFAULT_STACK: usize = 64 << 10;
const LARGEST_SHARED_STACK: usize = 1 << 30;

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

/// This thread's scheduler.
#[inline(always)]
pub fn this() -> Option<NonNull<Scheduler>> {
    NonNull::new(slot::get().cast())
}

/// Whether this is a vfork child: it runs in its parent's memory, and must not touch a table.
#[inline(always)]
pub fn in_vfork_child() -> bool {
    slot::in_vfork()
}

/// Switches the hooks on or off for this thread, now and for schedulers that it makes later; how they were.
pub fn enable_hooks(on: bool) -> bool {
    let before = !slot::are_hooks_off();
    slot::set_hooks_off(!on);
    if let Some(scheduler) = this() {
        // SAFETY: this thread's scheduler is valid.
        unsafe { (*scheduler.as_ptr()).hooks_off = !on };
    }
    before
}

/// This thread's scheduler, made if need be.
fn this_or_new() -> Result<*mut Scheduler> {
    if let Some(scheduler) = this() {
        return Ok(scheduler.as_ptr());
    }
    create(0, 0)?;
    Ok(slot::get().cast())
}

/// Makes this thread's scheduler: EEXIST when it has one, EINVAL for an absurd size.
///
/// `stack_size`: usable bytes of a shared stack, 0 for the default. `loop_wait_ms`: the longest that an idle loop
/// sleeps, 0 for as long as nothing happens.
pub fn create(stack_size: usize, loop_wait_ms: u64) -> Result<()> {
    if in_vfork_child() {
        return Err(Errno(libc::EPERM));
    }
    if this().is_some() {
        return Err(Errno(libc::EEXIST));
    }
    if stack_size > LARGEST_SHARED_STACK {
        return Err(Errno(libc::EINVAL));
    }
    let size = if stack_size == 0 { DEFAULT_STACK } else { stack_size.max(own::MIN) };
    let scheduler = memory::zeroed::<Scheduler>()?.as_ptr();
    // SAFETY: fresh zeroed memory, which stays where it is until `destroy`.
    unsafe {
        (*scheduler).init(size.next_multiple_of(page_size()), loop_wait_ms.saturating_mul(MS));
        if let Err(errno) = registry::add(scheduler) {
            memory::free(scheduler);
            return Err(errno);
        }
        overflow::prepare_thread(scheduler);
    }
    arch::tell_of_unwound(ending::unwound);
    slot::set(scheduler.cast());
    Ok(())
}

impl Scheduler {
    /// # Safety
    /// `self` is zeroed and does not move any more.
    unsafe fn init(&mut self, shared_stack: usize, loop_wait: Instant) {
        self.errno = errno::location();
        self.handled.init();
        self.hooks_off = slot::are_hooks_off();
        self.loop_wait = loop_wait;
        self.trying = trying::Trying::NOTHING;
        self.serial = run::next_epoch();
        self.epoch = self.serial;
        // SAFETY: the caller's promise.
        unsafe {
            self.ready.init();
            List::init(&raw mut self.doomed);
            self.watches.init();
            self.signals.init();
            self.children.init();
            List::init(&raw mut self.jobs);
        }
        self.poller.init();
        self.operations.init();
        self.wake_fd.store(-1, Relaxed);
        self.slots.init(shared_stack);
        self.sanitizers.look();
        self.exceptions = self.exceptions_search.first_look();
    }
}

/// Frees this thread's scheduler with all that it still holds; no destructor of a coroutine runs.
///
/// NULL or this thread's own: anything else is EINVAL, and is not looked at. EBUSY while it runs.
pub fn free(scheduler: *mut Scheduler) -> Result<()> {
    let own: *mut Scheduler = slot::get().cast();
    if own.is_null() && scheduler.is_null() {
        return Ok(());
    }
    if !scheduler.is_null() && scheduler != own {
        return Err(Errno(libc::EINVAL));
    }
    // SAFETY: `own` is this thread's scheduler, and its loop does not run.
    unsafe {
        if (*own).is_running || !(*own).running.is_null() {
            return Err(Errno(libc::EBUSY));
        }
        destroy(own);
    }
    Ok(())
}

/// # Safety
/// `scheduler` is this thread's, and nothing of it runs: the caller is on the thread's own stack.
unsafe fn destroy(scheduler: *mut Scheduler) {
    slot::set(ptr::null_mut());
    // SAFETY: the caller's promise. Other threads find the scheduler through the registry only.
    unsafe {
        registry::remove(scheduler);
        let s = &mut *scheduler;
        s.running = ptr::null_mut();
        s.end_all();
        s.shrink();
        s.inbox.free();
        s.handled.close();
        s.watches.free();
        s.operations.free();
        s.poller.free();
        s.timers.free();
        s.coroutines.free();
        s.stacks.free();
        s.slots.free();
        #[cfg(feature = "ssl")]
        memory::free(s.glimpse);
        overflow::leave_thread(scheduler);
        memory::free(scheduler);
    }
}

/// The scheduler's number, > 0.
pub fn id() -> Option<i32> {
    // SAFETY: this thread's scheduler is valid.
    this().map(|s| unsafe { (*s.as_ptr()).id })
}

/// The program's pointer of this thread's scheduler; ESRCH when there is none.
pub fn udata() -> Result<*mut c_void> {
    // SAFETY: this thread's scheduler is valid.
    this().map(|s| unsafe { (*s.as_ptr()).udata }).ok_or(Errno(libc::ESRCH))
}

/// Sets the program's pointer of this thread's scheduler; ESRCH when there is none.
pub fn set_udata(udata: *mut c_void) -> Result<()> {
    let scheduler = this().ok_or(Errno(libc::ESRCH))?;
    // SAFETY: this thread's scheduler is valid.
    unsafe { (*scheduler.as_ptr()).udata = udata };
    Ok(())
}

/// Whether file calls are to wait in their coroutine only, in this thread; returns whether they were to.
pub fn set_files(on: bool) -> Result<bool> {
    let scheduler = this_or_new()?;
    // SAFETY: this thread's scheduler is valid.
    Ok(unsafe { core::mem::replace(&mut (*scheduler).files, on) })
}

/// Frees an object when this thread's coroutines are ended from outside, unless it is taken off the list before.
///
/// # Safety
/// `object` is the first field of what [`memory::free`] may free, and in no list.
pub unsafe fn doom(object: *mut Link) {
    if let Some(scheduler) = this() {
        // SAFETY: this thread's scheduler is valid; the caller's promise.
        unsafe { List::push_back(&raw mut (*scheduler.as_ptr()).doomed, object) };
    }
}

/// How many coroutines are alive.
pub fn coroutine_count() -> Option<i32> {
    // SAFETY: this thread's scheduler is valid.
    this().map(|s| unsafe { (*s.as_ptr()).coroutines.live() as i32 })
}
