// SPDX-License-Identifier: MIT OR Apache-2.0
//! The loop, on the thread's own stack.

use core::ops::RangeInclusive;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use super::handlers::is_in_handler;
use super::{Scheduler, blocked, current, deadlock, switch, this};
use crate::coroutine::{Coroutine, State, Wake};
use crate::poller::epoll::{self, Event};
use crate::sys::clock::{self, Instant, MS, NEVER};
use crate::sys::syscall::KERNEL_SIGSET;
use crate::sys::{Errno, Result, memory};
use crate::syscall_raw;

/// How many switches between two looks at the clock: adapted to how long they take, so that looking costs little and
/// coroutines that compute for long do not keep timers and descriptors waiting.
const BUDGETS: RangeInclusive<u32> = 16..=1024;
/// The first budget of a turn.
const BUDGET: u32 = 32;
/// Between two looks this is short, in nanoseconds: the budget grows.
const SHORT: Instant = 20_000;
/// This is long: it shrinks.
const LONG: Instant = 80_000;

/// How long a crowd of ready coroutines may keep the loop from looking at descriptors.
const POLL_INTERVAL: Instant = MS / 2;

/// So many events ahead are fetched what they will touch.
const AHEAD: usize = 4;

/// With so many deadlines at least, those that come within so long are served by one sleep: where each turn of the loop
/// has some anyway, fewer turns cost a quarter less CPU.
const TOGETHER: [(usize, Instant); 2] = [(16 << 10, 4 * MS / 10), (64, MS / 10)];

/// So many coroutines use memory that is worth giving back.
const CROWD: usize = 1024;

/// How [`run`] ended.
pub enum RunEnd {
    /// No coroutine is left.
    Done,
    /// By [`stop`]; another run goes on where it was.
    Stopped,
    /// By [`abort`].
    Aborted,
    /// There was nothing to run: no scheduler, or nothing created since an abort.
    Nothing,
}

/// Runs this thread's coroutines until none is left, or until stopped or aborted. EBUSY: it runs already. EDEADLK: every
/// coroutine left waits for something that nothing can signal.
pub fn run() -> Result<RunEnd> {
    let Some(scheduler) = this() else { return Ok(RunEnd::Nothing) };
    let scheduler = scheduler.as_ptr();
    // SAFETY: this thread's scheduler is valid, and its loop does not run yet.
    unsafe {
        if (*scheduler).is_running || !(*scheduler).running.is_null() {
            return Err(Errno(libc::EBUSY));
        }
        (*scheduler).reclaim_dead();
        if (*scheduler).aborted && (*scheduler).scheduled == 0 {
            return Ok(RunEnd::Nothing);
        }
        (*scheduler).is_running = true;
        (*scheduler).budget = 0;
        (*scheduler).pace = BUDGET;
        let end = turn(scheduler);
        (*scheduler).is_running = false;
        end
    }
}

/// Makes the loop end as soon as possible; the next run goes on where it was, the calling coroutine included. Where no loop
/// runs there is nothing to stop.
pub fn stop() {
    let Some(scheduler) = this() else { return };
    let scheduler = scheduler.as_ptr();
    // SAFETY: this thread's scheduler is valid. The caller goes to the head of the queue: it goes on first.
    unsafe {
        if !(*scheduler).is_running {
            return;
        }
        (*scheduler).stop = true;
        (*scheduler).interrupted = true;
        (*scheduler).budget = 0;
        let Some(current) = current() else { return (*scheduler).keep_awake() };
        if !current.is_aside() {
            let me = current.coroutine();
            (*me).state = State::Ready;
            (*scheduler).ready.push_first(me);
            switch::park(scheduler);
        }
    }
}

/// Ends all coroutines of this thread, the caller too. Does not return inside a coroutine.
pub fn abort() {
    let Some(scheduler) = this() else { return };
    let scheduler = scheduler.as_ptr();
    // SAFETY: this thread's scheduler is valid.
    unsafe {
        (*scheduler).abort = true;
        (*scheduler).interrupted = true;
        (*scheduler).budget = 0;
        if (*scheduler).handler.is_set() && is_in_handler(scheduler) {
            return (*scheduler).keep_awake();
        }
        if !(*scheduler).running.is_null() {
            switch::finish(scheduler);
        }
        if (*scheduler).is_running {
            (*scheduler).keep_awake();
        } else {
            (*scheduler).end_by_abort();
        }
    }
}

/// A number that changes whenever this thread's coroutines are ended from outside: what they promised is void then.
pub fn aborts() -> u32 {
    // SAFETY: this thread's scheduler is valid.
    this().map_or(0, |s| unsafe { (*s.as_ptr()).epoch })
}

static EPOCHS: AtomicU32 = AtomicU32::new(0);

pub(super) fn next_epoch() -> u32 {
    EPOCHS.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
}

/// # Safety
/// `scheduler` is this thread's, and the caller is on the thread's own stack.
unsafe fn turn(scheduler: *mut Scheduler) -> Result<RunEnd> {
    let mut starved = 0;
    loop {
        // SAFETY: the caller's promise. No reference to the scheduler lives across `resume`.
        unsafe {
            if (*scheduler).interrupted {
                if (*scheduler).forked != 0 {
                    (*scheduler).go_on_after_handler();
                    continue;
                }
                if (*scheduler).abort {
                    (*scheduler).end_by_abort();
                    return Ok(RunEnd::Aborted);
                }
                (*scheduler).interrupted = false;
                (*scheduler).stop = false;
                (*scheduler).rest_operations();
                return Ok(RunEnd::Stopped);
            }
            if (*scheduler).budget == 0 {
                (*scheduler).look();
            }
            let next = (*scheduler).next();
            if next.is_null() {
                if (*scheduler).scheduled == 0 {
                    (*scheduler).shrink();
                    return Ok(RunEnd::Done);
                }
                (*scheduler).idle()?;
                continue;
            }
            (*scheduler).budget = (*scheduler).budget.saturating_sub(1);
            let (cid, began) = ((*next).cid, if blocked::is_on() { clock::now() } else { 0 });
            let resumed = Scheduler::resume(scheduler, next);
            if began != 0 {
                (*scheduler).tell_kept(cid, began);
            }
            match resumed {
                Ok(()) => starved = 0,
                Err(_) => {
                    // No memory to put it in place: others go first and may free some.
                    (*scheduler).ready.push(next);
                    starved += 1;
                    if starved > 64 {
                        sleep_until(clock::after(MS));
                        (*scheduler).budget = 0;
                        starved = 0;
                    }
                }
            }
        }
    }
}

impl Scheduler {
    /// To be called in a signal handler that has interrupted the loop: maybe on its way to sleep.
    pub(super) fn keep_awake(&self) {
        if self.poller.wake_fd() >= 0 {
            epoll::wake(self.poller.wake_fd());
        }
    }

    fn next(&mut self) -> *mut Coroutine {
        let picked = self.picked;
        self.picked = ptr::null_mut();
        if picked.is_null() { self.ready.pop() } else { picked }
    }

    /// Looks at the clock, and at descriptors when the last look was long ago, without waiting.
    fn look(&mut self) {
        let before = self.now;
        self.now = clock::now();
        let took = self.now.saturating_sub(before);
        if took < SHORT {
            self.pace = (self.pace * 2).min(*BUDGETS.end());
        } else if took > LONG {
            self.pace = (self.pace / 2).max(*BUDGETS.start());
        }
        self.budget = if blocked::is_on() { 0 } else { self.pace };
        self.resume_signals();
        if self.now.saturating_sub(self.polled) >= POLL_INTERVAL && self.poller.wake_fd() >= 0 {
            if self.operations.any() {
                self.look_at_ring();
            }
            let events = self.poller.wait(0, 0);
            self.dispatch(events);
        }
        self.expire(true);
    }

    /// Nothing is ready: sleeps until something happens.
    fn idle(&mut self) -> Result<()> {
        if self.watches.any_closed() {
            self.forget_closed();
            return Ok(());
        }
        self.shrink();
        let next = self.timers.next();
        if next == NEVER && self.on_descriptors == 0 {
            deadlock::report(self);
            return Err(Errno(libc::EDEADLK));
        }
        if next != NEVER || self.loop_wait != 0 {
            self.now = clock::now();
        }
        let mut deadline = next;
        if next != NEVER
            && let Some((_, together)) = TOGETHER.into_iter().find(|(many, _)| self.timers.length() >= *many)
        {
            deadline = next.max(self.woke.saturating_add(together));
        }
        deadline = deadline.min(self.watches.next_check());
        if self.loop_wait != 0 {
            deadline = deadline.min(self.now.saturating_add(self.loop_wait));
        }
        let mut events = 0;
        if self.operations.any() {
            events = self.wait_for_ring(deadline);
        } else if self.poller.wake_fd() >= 0 {
            events = self.poller.wait(deadline, self.now);
        } else {
            sleep_until(deadline);
        }
        self.now = clock::now();
        self.woke = self.now;
        self.pace = BUDGET;
        self.budget = if blocked::is_on() { 0 } else { BUDGET };
        let busy = self.dispatch(events);
        self.expire(busy);
        Ok(())
    }

    /// Wakes the coroutines whose deadline has come, and looks after what is due at the same occasion.
    fn expire(&mut self, busy: bool) {
        self.settle();
        loop {
            let timer = self.timers.expire(self.now);
            if timer.is_null() {
                break;
            }
            // SAFETY: the heap holds timers of live coroutines: ending one removes its timer.
            unsafe { self.unpark(Coroutine::from_timer(timer), Wake::TimedOut) };
        }
        if self.watches.next_check() <= self.now {
            self.check_watches(busy);
        }
        if self.exceptions.is_null() {
            self.exceptions = self.exceptions_search.look_again(self.now);
        }
    }

    /// Passes on what has happened; whether anything has.
    fn dispatch(&mut self, events: usize) -> bool {
        self.polled = self.now;
        let mut busy = false;
        for index in 0..events {
            self.prefetch_event(index, events);
            match self.poller.event(index) {
                Event::Descriptor(event) => self.descriptor_event(&event),
                Event::Signals => self.read_signals(),
                Event::Inbox => self.read_inbox(),
                Event::Alarm => continue,
            }
            busy = true;
        }
        busy
    }

    /// Fetches what the events behind number `index` of `count` will touch: the watch of one, the first waiter of another.
    #[inline(always)]
    fn prefetch_event(&self, index: usize, count: usize) {
        if index + 2 * AHEAD < count {
            self.watches.prefetch(self.poller.descriptor(index + 2 * AHEAD));
        }
        if index + AHEAD < count {
            self.watches.prefetch_waiter(self.poller.descriptor(index + AHEAD));
        }
    }

    /// Ends all coroutines at the program's wish.
    pub(super) fn end_by_abort(&mut self) {
        self.end_all();
        self.shrink();
        self.epoch = next_epoch();
        self.abort = false;
        self.stop = false;
        self.interrupted = false;
        self.aborted = true;
    }

    /// Gives memory back after a crowd has gone. A server never runs out of coroutines: what the crowd used was freed piece
    /// by piece between pieces still in use, which libc gives back only when asked.
    pub(super) fn shrink(&mut self) {
        let live = self.coroutines.live();
        let is_last = live == 0 && self.coroutines.blocks() >= CROWD;
        if is_last || self.coroutines.crowd >= CROWD && live < self.coroutines.crowd / 8 {
            self.coroutines.crowd = live;
            if is_last {
                self.coroutines.free();
            }
            self.timers.trim(live);
            self.operations.trim();
            memory::give_back();
        }
    }
}

/// Sleeps on no descriptor at all; a signal may end it early.
fn sleep_until(deadline: Instant) {
    let timeout = clock::timespec(deadline.saturating_sub(clock::now()));
    // SAFETY: `timeout` is valid for the call; no descriptors, no mask.
    unsafe { syscall_raw!(SYS_ppoll, 0, 0, &raw const timeout, 0, KERNEL_SIGSET) };
}
