// SPDX-License-Identifier: MIT OR Apache-2.0
//! A thread's scheduler: made on first use, freed with the thread.

use core::ffi::c_void;
use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering::Relaxed;

use super::{Scheduler, ending, overflow, registry, run, trying};
use crate::arch::{self, slot};
use crate::list::{Link, List};
use crate::stack::{own, page_size};
use crate::sys::clock::{Instant, MS};
use crate::sys::{Errno, Result, errno, memory};

/// The usable size of a shared stack, in bytes, unless the program says otherwise.
const DEFAULT_STACK: usize = 64 << 10;
const LARGEST_SHARED_STACK: usize = 1 << 30;

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
pub(super) fn this_or_new() -> Result<*mut Scheduler> {
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
pub(super) unsafe fn destroy(scheduler: *mut Scheduler) {
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
