// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a coroutine can wait for: descriptors, a deadline, its turn. Each wait ends by exactly one wake.

use core::marker::PhantomData;

use super::watch::{Armed, READ, WRITE};
use super::{Scheduler, aside, registry, switch, this};
use crate::arch::slot;
use crate::coroutine::{Coroutine, State, Waiter, Wake as Woken};
use crate::list::List;
use crate::poller::descriptors;
use crate::sys::clock::{Instant, NEVER};
use crate::sys::{Errno, Result, memory};

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
    let inside = unsafe { !(*scheduler).running.is_null() && (*scheduler).is_running };
    if inside { Some(Current { scheduler, thread: PhantomData }) } else { None }
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
        if self.is_aside() {
            return aside::wait_fd(fd, events, deadline);
        }
        let me = self.coroutine();
        // SAFETY: the scheduler and its running coroutine are valid; its waiter is in no list while it runs.
        unsafe {
            let s = &mut *self.scheduler;
            let (armed, watch) = s.arm(fd, events)?;
            if armed == Armed::AlwaysReady {
                return Ok(Wake::Ready);
            }
            s.hang(watch, &raw mut (*me).waiter, events);
        }
        self.park_for_descriptors(deadline)
    }

    /// What has ended the last [`Current::wait_fd`], in poll(2)'s bits; 0: nothing has, it was a hint to look again.
    pub fn happened(self) -> u32 {
        // SAFETY: the running coroutine is valid.
        unsafe { (*self.coroutine()).waiter.events }
    }

    /// As [`Current::wait_fd`] for any of `count` descriptors; `each` names them and their events, a negative one is
    /// skipped. `Ready` at once when one of them is none, or is always ready.
    pub fn wait_fds(self, count: usize, each: &mut dyn FnMut(usize) -> (i32, u32), deadline: Instant) -> Result<Wake> {
        let me = self.coroutine();
        if count == 0 {
            self.sleep_until(deadline);
            return Ok(Wake::TimedOut);
        }
        if self.is_aside() {
            return Ok(aside::pause(deadline));
        }
        let waiters = memory::array_zeroed::<Waiter>(count)?.as_ptr();
        // SAFETY: as in `wait_fd`; `waiters` has room for `count`, and stays until the wait has ended.
        unsafe {
            (*me).waiters = waiters;
            (*me).waiter_count = count as u32;
            // From now on it can be woken: a descriptor may prove closed while the next ones are looked at.
            (*me).state = State::Waiting;
            let mut watched = false;
            for index in 0..count {
                let (fd, events) = each(index);
                (*waiters.add(index)).coroutine = me;
                if fd < 0 {
                    continue;
                }
                watched = true;
                let s = &mut *self.scheduler;
                match s.arm(fd, events) {
                    Ok((Armed::Yes, watch)) => s.hang(watch, waiters.add(index), events),
                    // It can always be read and written, and nothing else ever comes of it.
                    Ok((Armed::AlwaysReady, _)) if events & (libc::POLLIN | libc::POLLOUT) as u32 == 0 => {}
                    Ok((Armed::AlwaysReady, _)) | Err(Errno(libc::EBADF)) => {
                        self.drop_waiters();
                        return Ok(Wake::Ready);
                    }
                    Err(errno) => {
                        self.drop_waiters();
                        return Err(errno);
                    }
                }
            }
            let woken = (*me).state != State::Waiting;
            if woken || !watched {
                self.drop_waiters();
            }
            if woken {
                return Ok(Wake::Ready);
            }
            if !watched {
                self.sleep_until(deadline);
                return Ok(Wake::TimedOut);
            }
        }
        let woken = self.park_for_descriptors(deadline);
        self.drop_waiters();
        // A descriptor of several that is gone is for poll(2) to report.
        if woken == Err(Errno(libc::EBADF)) { Ok(Wake::Ready) } else { woken }
    }

    fn drop_waiters(self) {
        let me = self.coroutine();
        // SAFETY: the running coroutine's waiters are its own; off their lists, they can go. Woken before it parked, it is
        // on a ready queue.
        unsafe {
            (*self.scheduler).detach(me);
            (*me).state = State::Running;
            memory::free((*me).waiters);
            (*me).waiters = core::ptr::null_mut();
            (*me).waiter_count = 0;
        }
    }

    fn park_for_descriptors(self, deadline: Instant) -> Result<Wake> {
        self.expect_outside();
        match self.park_until(deadline) {
            Woken::Ready => Ok(Wake::Ready),
            Woken::TimedOut => Ok(Wake::TimedOut),
            Woken::Closed => Err(Errno(libc::EBADF)),
        }
    }

    /// The coroutine is about to wait for something from outside: that is no deadlock.
    fn expect_outside(self) {
        // SAFETY: the scheduler and its running coroutine are valid.
        unsafe {
            (*self.coroutine()).on_descriptors = true;
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

    /// Parks until somebody wakes the coroutine, or the deadline.
    fn park_until(self, deadline: Instant) -> Woken {
        let me = self.coroutine();
        // SAFETY: the scheduler and its running coroutine are valid; room for the timer was reserved at creation.
        unsafe {
            if deadline != NEVER {
                (*self.scheduler).timers.set(&raw mut (*me).timer, deadline);
            }
            (*me).state = State::Waiting;
            (*self.scheduler).settle();
            switch::park(self.scheduler);
            (*me).wake
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
    pub fn yield_now(self) {
        if self.is_aside() {
            return;
        }
        let me = self.coroutine();
        // SAFETY: the scheduler and its running coroutine are valid; its waiter is in no list while it runs.
        unsafe {
            (*self.scheduler).settle();
            (*me).state = State::Ready;
            (*self.scheduler).ready.push(me);
            switch::park(self.scheduler);
        }
    }

    /// Makes `call`, in which calls that would wait for one of `fds` answer EAGAIN. It must not park.
    #[cfg(feature = "ssl")]
    pub fn impatiently(self, fds: [i32; 2], call: &mut dyn FnMut() -> i32) -> i32 {
        // SAFETY: the scheduler is valid while its coroutine runs.
        unsafe {
            let before = (*self.scheduler).impatient;
            (*self.scheduler).impatient = fds;
            let result = call();
            (*self.scheduler).impatient = before;
            result
        }
    }

    /// Whether the caller is inside [`Current::impatiently`] for `fd`.
    #[inline]
    pub fn is_impatient(self, fd: i32) -> bool {
        // SAFETY: as above.
        unsafe {
            let impatient = (*self.scheduler).impatient.contains(&fd);
            (*self.scheduler).been_impatient |= impatient;
            impatient
        }
    }

    /// Whether [`Current::is_impatient`] was ever true in this thread: somebody asks.
    #[cfg(feature = "ssl")]
    pub fn has_been_impatient(self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.scheduler).been_impatient }
    }

    /// Whether `fd` was found empty (full) and nothing has come since: trying would fail. Never true of a descriptor that
    /// a hook has not seen being made.
    #[inline]
    pub fn is_drained(self, fd: i32, direction: Direction) -> bool {
        // SAFETY: the scheduler is valid; its watches live as long as it does.
        unsafe {
            let watch = (*self.scheduler).watches.get(fd);
            if watch.is_null() {
                return false;
            }
            let snapshot = descriptors::get(fd);
            snapshot.known() && (*watch).is_registered(&snapshot) && (*watch).is_drained(direction as u8)
        }
    }

    /// Notes that `fd` has just been found empty (full).
    #[inline]
    pub fn note_drained(self, fd: i32, direction: Direction) {
        // SAFETY: as in `is_drained`.
        unsafe {
            let watch = (*self.scheduler).watches.get(fd);
            if !watch.is_null() && (*watch).is_registered(&descriptors::get(fd)) {
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

/// Wakes the first coroutine on a list of [`Current::wait_in`]; false when there is none.
///
/// # Safety
/// The list is this thread's.
#[inline]
pub unsafe fn wake_first(list: *mut List, wake: Woken) -> bool {
    // SAFETY: the caller's promise: the list holds waiters of this thread's coroutines, so there is a scheduler.
    unsafe {
        let link = (*list).first();
        if link.is_null() {
            return false;
        }
        let scheduler: *mut Scheduler = slot::get().cast();
        (*scheduler).unpark((*link.cast::<Waiter>()).coroutine, wake);
    }
    true
}

/// Wakes those on a list of [`Current::wait_in`] whose tag `wanted` accepts, and may change, in order, and says how many.
///
/// # Safety
/// The list is this thread's.
pub unsafe fn wake_where(list: *mut List, wake: Woken, wanted: &mut dyn FnMut(&mut u32) -> bool) -> usize {
    let mut count = 0;
    // SAFETY: the caller's promise. Waking takes one waiter off; the one after it is read before.
    unsafe {
        let scheduler: *mut Scheduler = slot::get().cast();
        let mut link = (*list).first();
        while !link.is_null() {
            let next = (*list).after(link);
            let waiter: *mut Waiter = link.cast();
            if wanted(&mut (*waiter).events) {
                (*scheduler).unpark((*waiter).coroutine, wake);
                count += 1;
            }
            link = next;
        }
    }
    count
}

/// A descriptor that is being closed or replaced.
#[must_use]
pub struct Closing {
    fd: i32,
    generation: u32,
    /// How many schedulers watch it.
    watchers: u32,
}

/// To be called before a descriptor is closed or replaced: takes our registration away where the file may live on under
/// another number or in another process, and makes what is known of the number old.
pub fn descriptor_closing(fd: i32) -> Closing {
    let snapshot = descriptors::get(fd);
    if let Some(scheduler) = this() {
        // SAFETY: this thread's scheduler is valid; its watches live as long as it does.
        unsafe {
            let s = &mut *scheduler.as_ptr();
            let watch = s.watches.get(fd);
            if !watch.is_null() && (*watch).is_registered(&snapshot) && (snapshot.shared() || !snapshot.known()) {
                s.poller.remove(fd);
            }
        }
    }
    Closing { fd, generation: snapshot.generation, watchers: descriptors::ending(fd) }
}

/// To be called after it: wakes those who wait for the descriptor, in all threads, with EBADF when it is `closed`. When the
/// call failed they only try again.
///
/// A program may close in a signal handler, which may have interrupted the scheduler anywhere. So this only takes a note;
/// the scheduler looks at it before the next coroutine runs.
pub fn descriptor_closed(closing: Closing, closed: bool) {
    let mut others = closing.watchers;
    let wake = if closed { Woken::Closed } else { Woken::Ready };
    if let Some(scheduler) = this() {
        // SAFETY: this thread's scheduler is valid; its watches live as long as it does.
        unsafe {
            let s = &*scheduler.as_ptr();
            let watch = s.watches.get(closing.fd);
            if !watch.is_null() && (*watch).is_registered(&descriptors::Snapshot::of_generation(closing.generation)) {
                others = others.saturating_sub(1);
                s.watches.note_closed(watch, closing.generation, wake);
                if s.is_running && s.running.is_null() {
                    s.keep_awake();
                }
            }
        }
    }
    if others > 0 {
        registry::tell_closed(closing.fd, closing.generation, wake);
    }
    if descriptors::watchers(closing.fd) > 0 {
        // Another thread has begun to wait between the beginning and the end, or already for the number's next file.
        registry::tell_closed(closing.fd, closing.generation.wrapping_add(1), Woken::Ready);
    }
}

impl Scheduler {
    /// Wakes those who waited for what was closed in the meantime, if anything was.
    #[inline(always)]
    pub(super) fn settle(&mut self) {
        if self.watches.any_closed() {
            self.forget_closed();
        }
    }

    /// Forgets the registration of a number's old generation and wakes who waited.
    pub(super) fn forget_watch(&mut self, fd: i32, generation: u32, wake: Woken) {
        let watch = self.watches.get(fd);
        // SAFETY: watches live as long as the scheduler.
        unsafe {
            if !watch.is_null() && (*watch).is_registered(&descriptors::Snapshot::of_generation(generation)) {
                self.unregister(watch, wake);
            }
        }
    }
}
