// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a coroutine can wait for: descriptors, a deadline, its turn. Each wait ends by exactly one wake.

use core::marker::PhantomData;

use super::handlers::is_in_handler;
use super::watch::{Armed, READ, WRITE};
use super::{Scheduler, aside, switch, this};
use crate::arch::slot;
use crate::coroutine::{Coroutine, State, Wake as Woken, loose};
use crate::list::List;
use crate::poller::descriptors::{self, Snapshot};
use crate::sys::clock::{Instant, NEVER};
use crate::sys::{Errno, Result};

/// From this many coroutines on, what one that waits for a descriptor touches does not stay in the nearest cache until the
/// next time, since system calls take their room, too.
const FEW: usize = 64;

/// Proof that the caller runs inside a coroutine, which may park.
#[derive(Clone, Copy)]
pub struct Current {
    scheduler: *mut Scheduler,
    /// It is this thread's.
    thread: PhantomData<*mut ()>,
}

/// Why a wait for descriptors ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// What was waited for may have come: try again.
    Ready,
    /// The deadline came first.
    TimedOut,
}

/// A direction of a descriptor.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Direction {
    /// Towards us.
    Read = READ,
    /// From us.
    Write = WRITE,
}

/// The coroutine that runs, or `None` outside coroutines. One thread-local load, and safe in signal handlers.
#[inline(always)]
pub fn current() -> Option<Current> {
    let scheduler = this()?.as_ptr();
    // SAFETY: this thread's scheduler is valid.
    let inside = unsafe {
        !(*scheduler).running.is_null()
            && (*scheduler).is_running
            && !((*scheduler).handler.is_set() && is_in_handler(scheduler))
    };
    if inside { Some(Current { scheduler, thread: PhantomData }) } else { None }
}

/// As [`current`], where that takes a look only; `None` says nothing.
#[inline(always)]
pub fn current_at_once() -> Option<Current> {
    let scheduler = this()?.as_ptr();
    // SAFETY: this thread's scheduler is valid.
    let inside =
        unsafe { !(*scheduler).running.is_null() && (*scheduler).is_running && !(*scheduler).handler.is_set() };
    if inside { Some(Current { scheduler, thread: PhantomData }) } else { None }
}

/// As [`current`], for the hooks: `None` also where the program has switched them off.
#[cfg(feature = "hook")]
#[inline(always)]
pub fn hooked() -> Option<Current> {
    // SAFETY: this thread's scheduler is valid.
    current().filter(|current| unsafe { !(*current.scheduler).hooks_off })
}

impl Current {
    pub(super) fn scheduler(self) -> *mut Scheduler {
        self.scheduler
    }

    pub(super) fn coroutine(self) -> *mut Coroutine {
        // SAFETY: the scheduler is valid while its coroutine runs.
        unsafe { (*self.scheduler).running }
    }

    /// Parks until one of `events` (POLLIN, POLLOUT, POLLPRI, POLLRDHUP; errors and hang-ups always) may be true of `fd`,
    /// or the deadline. `Ready` is a hint: the caller tries again. A descriptor that cannot be polled (a regular file)
    /// is ready at once. EBADF: no descriptor, or closed while waiting. ENOMEM, EMFILE: the wait could not begin.
    pub fn wait_fd(self, fd: i32, events: u32, deadline: Instant) -> Result<Wake> {
        match self.begin_apart(fd, events, deadline)? {
            Some(wake) => Ok(wake),
            None => self.end_wait_fd(),
        }
    }

    /// Apart, so that a parked coroutine has nothing of this on its stack, where thousands of them would.
    #[inline(never)]
    fn begin_apart(self, fd: i32, events: u32, deadline: Instant) -> Result<Option<Wake>> {
        self.begin_wait_fd(fd, descriptors::get(fd), events, deadline)
    }

    /// As [`Current::wait_fd`], of a descriptor of which that was just known, but for parking: unless that is not necessary,
    /// [`Current::end_wait_fd`] follows at once. To be called from a function that a parked coroutine has left.
    #[inline(always)]
    pub fn begin_wait_fd(self, fd: i32, snapshot: Snapshot, events: u32, deadline: Instant) -> Result<Option<Wake>> {
        if self.is_aside() {
            return aside::wait_fd(fd, events, deadline).map(Some);
        }
        let me = self.coroutine();
        // SAFETY: the scheduler and its running coroutine are valid; its waiter is in no list while it runs.
        unsafe {
            let s = &mut *self.scheduler;
            let (armed, watch) = s.arm(fd, snapshot, events)?;
            if armed == Armed::AlwaysReady {
                return Ok(Some(Wake::Ready));
            }
            s.hang(watch, &raw mut (*me).waiter, events);
        }
        self.expect_outside();
        self.prepare_to_park(deadline);
        self.prefetch_next();
        Ok(None)
    }

    /// Fetches what the next switches will touch, where that pays.
    #[inline(always)]
    pub(super) fn prefetch_next(self) {
        // SAFETY: the scheduler is valid.
        unsafe {
            if (FEW..switch::MANY).contains(&(*self.scheduler).coroutines.live()) {
                (*self.scheduler).ready.prefetch_early();
            }
        }
    }

    /// Parks after [`Current::begin_wait_fd`]. Errors as of [`Current::wait_fd`].
    #[inline(always)]
    pub fn end_wait_fd(self) -> Result<Wake> {
        // SAFETY: the scheduler is valid, and its running coroutine hangs on what will wake it.
        unsafe { switch::park(self.scheduler) };
        self.wake()
    }

    /// What has ended the last [`Current::wait_fd`], in poll(2)'s bits; 0: nothing has, it was a hint to look again.
    pub fn happened(self) -> u32 {
        // SAFETY: the running coroutine is valid.
        unsafe { (*self.coroutine()).waiter.events }
    }

    pub(super) fn park_for_descriptors(self, deadline: Instant) -> Result<Wake> {
        self.expect_outside();
        self.prepare_to_park(deadline);
        self.end_wait_fd()
    }

    /// How a wait for descriptors has ended.
    fn wake(self) -> Result<Wake> {
        // SAFETY: the running coroutine is valid.
        match unsafe { (*self.coroutine()).wake } {
            Woken::Ready => Ok(Wake::Ready),
            Woken::TimedOut => Ok(Wake::TimedOut),
            Woken::Closed => Err(Errno(libc::EBADF)),
        }
    }

    /// The coroutine is about to wait for something from outside: that is no deadlock.
    fn expect_outside(self) {
        // SAFETY: the scheduler and its running coroutine are valid.
        unsafe {
            (*self.coroutine()).loose |= loose::ON_DESCRIPTORS;
            (*self.scheduler).on_descriptors += 1;
        }
    }

    /// As [`Current::wait_in`], where who wakes is told to from outside.
    ///
    /// # Safety
    /// As for [`Current::wait_in`].
    pub(super) unsafe fn wait_for_outside(self, list: *mut List, deadline: Instant) -> Woken {
        self.expect_outside();
        // SAFETY: the caller's promise.
        unsafe { self.wait_in(list, 0, deadline) }
    }

    /// Parks until somebody who is told to from outside wakes the coroutine, or the deadline.
    pub(super) fn park_for_outside(self, deadline: Instant) -> Woken {
        self.expect_outside();
        self.park_until(deadline)
    }

    /// Parks until somebody wakes the coroutine, or the deadline.
    fn park_until(self, deadline: Instant) -> Woken {
        self.prepare_to_park(deadline);
        // SAFETY: the scheduler and its running coroutine are valid.
        unsafe {
            switch::park(self.scheduler);
            (*self.coroutine()).wake
        }
    }

    /// What a coroutine does just before it parks, once it hangs on what will wake it.
    #[inline(always)]
    fn prepare_to_park(self, deadline: Instant) {
        let me = self.coroutine();
        // SAFETY: the scheduler and its running coroutine are valid; room for the timer was reserved at creation.
        unsafe {
            if deadline != NEVER {
                (*self.scheduler).timers.set(&raw mut (*me).timer, deadline);
            }
            (*me).state = State::Waiting;
            (*self.scheduler).settle();
        }
    }

    /// Parks until the deadline; [`NEVER`]: for ever.
    pub fn sleep_until(self, deadline: Instant) {
        if self.is_aside() {
            return aside::sleep_until(deadline);
        }
        self.park_until(deadline);
    }

    /// Hangs on `list` until woken from it, at most until the deadline.
    ///
    /// # Safety
    /// `list` is initialised, used by this thread only, and everybody on it is woken before it goes.
    #[inline]
    pub unsafe fn wait_in(self, list: *mut List, tag: u32, deadline: Instant) -> Woken {
        if self.is_aside() {
            return Woken::TimedOut;
        }
        let me = self.coroutine();
        // SAFETY: the caller's promise; the running coroutine's waiter is in no list.
        unsafe {
            (*me).waiter.events = tag;
            List::push_back(list, &raw mut (*me).waiter.link);
        }
        self.park_until(deadline)
    }

    /// The tag of the last [`Current::wait_in`], as [`wake_where`] left it.
    #[inline]
    pub fn tag(self) -> u32 {
        // SAFETY: the running coroutine is valid.
        unsafe { (*self.coroutine()).waiter.events }
    }

    /// Gives way: goes to the tail of the ready queue.
    #[inline(always)]
    pub fn yield_now(self) {
        let me = self.coroutine();
        // SAFETY: the scheduler and its running coroutine are valid; its waiter is in no list while it runs.
        unsafe {
            if self.may_be_aside() || (*self.scheduler).watches.any_closed() {
                return self.yield_slowly();
            }
            (*me).state = State::Ready;
            (*self.scheduler).ready.push(me);
            switch::park(self.scheduler);
        }
    }

    /// As [`Current::yield_now`], in all cases.
    #[cold]
    #[inline(never)]
    fn yield_slowly(self) {
        if self.is_aside() {
            return;
        }
        let me = self.coroutine();
        // SAFETY: as in `yield_now`.
        unsafe {
            (*self.scheduler).settle();
            (*me).state = State::Ready;
            (*self.scheduler).ready.push(me);
            switch::park(self.scheduler);
        }
    }

    /// Whether `fd`, of which that was just known, was found empty (full) and nothing has come since: trying would fail. Never
    /// true of a descriptor that a hook has not seen being made.
    #[inline]
    pub fn is_drained(self, fd: i32, snapshot: Snapshot, direction: Direction) -> bool {
        // SAFETY: the scheduler is valid; its watches live as long as it does.
        unsafe {
            let watch = (*self.scheduler).watches.get(fd);
            !watch.is_null()
                && snapshot.known()
                && (*watch).is_registered(&snapshot)
                && (*watch).is_drained(direction as u8)
        }
    }

    /// Whether an error or a hang-up, its own or of its reading side, has been seen of `fd`; perhaps of another one that
    /// had the number before.
    pub fn has_hung_up(self, fd: i32) -> bool {
        // SAFETY: as in `is_drained`.
        unsafe {
            let watch = (*self.scheduler).watches.get(fd);
            !watch.is_null() && (*watch).has_hung_up()
        }
    }

    /// Fetches what [`Current::is_drained`] and the next wait will look at, while the kernel is asked.
    #[inline(always)]
    pub fn prefetch_watch(self, fd: i32) {
        // SAFETY: the scheduler is valid.
        unsafe { (*self.scheduler).watches.prefetch(fd) };
    }

    /// Notes that `fd`, of which that was just known, has just been found empty (full).
    #[inline]
    pub fn note_drained(self, fd: i32, snapshot: Snapshot, direction: Direction) {
        // SAFETY: as in `is_drained`.
        unsafe {
            let watch = (*self.scheduler).watches.get(fd);
            if !watch.is_null() && (*watch).is_registered(&snapshot) {
                (*watch).note_drained(direction as u8);
            }
        }
    }
}

/// Which thread's scheduler this is, as an identity only; 0 when there is none.
#[inline(always)]
pub fn identity() -> usize {
    slot::get() as usize
}
