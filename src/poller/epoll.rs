// SPDX-License-Identifier: MIT OR Apache-2.0
//! The epoll(7) backend: an epoll set, with an eventfd in it through which other threads wake this one, and an alarm.

use core::ptr;

use super::alarm::Alarm;
use super::descriptors::{self, flag};
use crate::sys::clock::{self, Instant, MS, NEVER};
use crate::sys::syscall::{FORBIDDEN, KERNEL_SIGSET, MISSING, check};
use crate::sys::{Errno, Result, memory};
use crate::{syscall, syscall_raw};

/// How many events one call fetches.
pub const BATCH: usize = 1024;

/// The event data of the eventfd.
const WAKE: u64 = u64::MAX;
/// The event data of the signalfd.
const SIGNALS: u64 = u64::MAX - 1;
/// The event data of the alarm.
const ALARM: u64 = u64::MAX - 2;

/// Always asked for: the directions that cost nothing while nothing happens. EPOLLOUT is added where somebody waits.
pub const BASE: u32 = (libc::EPOLLIN | libc::EPOLLPRI | libc::EPOLLRDHUP | libc::EPOLLET) as u32;

/// An epoll set. Without descriptors until it is first needed; zeroed memory becomes one by [`Epoll::init`].
pub struct Epoll {
    set: i32,
    wake: i32,
    alarm: Alarm,
    events: *mut libc::epoll_event,
    /// epoll_pwait2 (Linux 5.11) is missing or forbidden: deadlines are rounded up to milliseconds.
    coarse: bool,
}

/// What has happened.
pub enum Event {
    /// To a descriptor.
    Descriptor(DescriptorEvent),
    /// Signals have come.
    Signals,
    /// Another thread has something to say.
    Inbox,
    /// Nothing: a deadline has come, or would have.
    Alarm,
}

/// A descriptor, the generation it was registered under, and what epoll says.
pub struct DescriptorEvent {
    /// The descriptor's number.
    pub fd: i32,
    /// The generation of the number at registration.
    pub generation: u32,
    /// EPOLLIN and its kin.
    pub events: u32,
}

/// What came of registering a descriptor.
#[derive(PartialEq, Eq)]
pub enum Added {
    /// It was not in the set; now it is.
    New,
    /// The set has it already: the same descriptor of the same file.
    Present,
    /// It cannot be polled (EPERM): a regular file, always ready.
    AlwaysReady,
}

impl Epoll {
    /// Makes it closed.
    pub fn init(&mut self) {
        (self.set, self.wake, self.alarm, self.coarse) = (-1, -1, Alarm::NONE, false);
        self.events = ptr::null_mut();
    }

    /// Opens the set and its eventfd, unless they are open.
    pub fn open(&mut self) -> Result<()> {
        if self.set >= 0 {
            return Ok(());
        }
        if self.events.is_null() {
            self.events = memory::array_zeroed(BATCH)?.as_ptr();
        }
        // SAFETY: no pointers.
        let set = unsafe { syscall!(SYS_epoll_create1, libc::EPOLL_CLOEXEC) }? as i32;
        // SAFETY: no pointers.
        let wake = match unsafe { syscall!(SYS_eventfd2, 0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) } {
            Ok(fd) => fd as i32,
            Err(errno) => {
                close(set);
                return Err(errno);
            }
        };
        (self.set, self.wake) = (set, wake);
        let added = self.control(libc::EPOLL_CTL_ADD, wake, (libc::EPOLLIN | libc::EPOLLET) as u32, WAKE);
        // Tried once: where a filter of system calls forbids it, who waited would do so for ever.
        if let Err(errno) = added.and_then(|()| check(self.fetch(0)).map(|_| ())) {
            self.close();
            return Err(errno);
        }
        descriptors::born(set, flag::INTERNAL);
        descriptors::born(wake, flag::INTERNAL);
        self.open_alarm();
        Ok(())
    }

    /// Without an alarm waits have timeouts.
    fn open_alarm(&mut self) {
        let alarm = Alarm::open();
        if alarm.fd() < 0 {
            return;
        }
        if self.control(libc::EPOLL_CTL_ADD, alarm.fd(), (libc::EPOLLIN | libc::EPOLLET) as u32, ALARM).is_err() {
            return close(alarm.fd());
        }
        descriptors::born(alarm.fd(), flag::INTERNAL);
        self.alarm = alarm;
    }

    /// Closes the descriptors. After fork this leaves the parent's set alone: nothing is removed from it.
    pub fn close(&mut self) {
        if self.set >= 0 {
            for fd in [self.set, self.wake, self.alarm.fd()] {
                if fd >= 0 {
                    descriptors::forget(fd);
                    close(fd);
                }
            }
        }
        (self.set, self.wake, self.alarm) = (-1, -1, Alarm::NONE);
    }

    /// Closes the descriptors and gives the memory back.
    pub fn free(&mut self) {
        self.close();
        // SAFETY: `events` is null or ours; it is not used again.
        unsafe { memory::free(self.events) };
        self.events = ptr::null_mut();
    }

    /// The set's own descriptor, which polls as readable when there are events; -1 while the poller is closed.
    pub fn set(&self) -> i32 {
        self.set
    }

    /// The eventfd to write to from other threads; -1 while the poller is closed.
    pub fn wake_fd(&self) -> i32 {
        self.wake
    }

    /// Adds a descriptor, edge-triggered. An event follows at once when it is ready already.
    pub fn add(&self, fd: i32, generation: u32, events: u32) -> Result<Added> {
        match self.control(libc::EPOLL_CTL_ADD, fd, events, data(fd, generation)) {
            Ok(()) => Ok(Added::New),
            Err(Errno(libc::EEXIST)) => Ok(Added::Present),
            Err(Errno(libc::EPERM)) => Ok(Added::AlwaysReady),
            Err(errno) => Err(errno),
        }
    }

    /// Changes what is asked of a descriptor in the set. An event follows at once when it is ready already.
    pub fn modify(&self, fd: i32, generation: u32, events: u32) -> Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, events, data(fd, generation))
    }

    /// Adds the signalfd: an event at each wait as long as it has signals.
    pub fn add_signals(&self, fd: i32) -> Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN as u32, SIGNALS)
    }

    /// Takes a descriptor out; one that is not in the set is ignored.
    pub fn remove(&self, fd: i32) {
        let _ = self.control(libc::EPOLL_CTL_DEL, fd, 0, 0);
    }

    fn control(&self, operation: i32, fd: i32, events: u32, data: u64) -> Result<()> {
        let mut event = libc::epoll_event { events, u64: data };
        // SAFETY: `event` is valid for the call.
        unsafe { syscall!(SYS_epoll_ctl, self.set, operation, fd, &raw mut event) }.map(|_| ())
    }

    /// Waits until something happens or `deadline` comes (0: does not wait) and returns how many events there are;
    /// [`Epoll::event`] gives each. A signal ends the wait with none.
    pub fn wait(&mut self, deadline: Instant, now: Instant) -> usize {
        let left = deadline.saturating_sub(now);
        let is_endless = left > 0 && self.is_endless(deadline, now);
        // SAFETY: `events` has room for BATCH; `timeout` is valid for the call.
        let count = unsafe {
            if left == 0 || is_endless {
                self.fetch(if is_endless { -1 } else { 0 })
            } else if self.coarse {
                self.fetch(left.div_ceil(MS).min(i32::MAX as u64) as i32)
            } else {
                let timeout = clock::timespec(left);
                syscall_raw!(SYS_epoll_pwait2, self.set, self.events, BATCH, &raw const timeout, 0, KERNEL_SIGSET)
            }
        };
        if !self.coarse && matches!(check(count), Err(MISSING | FORBIDDEN)) {
            self.coarse = true;
            return self.wait(deadline, now);
        }
        count.max(0) as usize
    }

    /// Events; waits for the first one for so many milliseconds, -1: for ever.
    #[inline(always)]
    fn fetch(&self, timeout: i32) -> isize {
        // SAFETY: `events` has room for BATCH.
        unsafe { syscall_raw!(SYS_epoll_pwait, self.set, self.events, BATCH, timeout as isize, 0, KERNEL_SIGSET) }
    }

    /// Whether a wait that begins now needs no timeout: it has no deadline, or the alarm ends it.
    #[inline]
    pub fn is_endless(&mut self, deadline: Instant, now: Instant) -> bool {
        deadline == NEVER || self.alarm.ends(deadline, now)
    }

    /// The descriptor of event number `index` of the last wait; another's number where it is not a descriptor's.
    #[inline(always)]
    pub fn descriptor(&self, index: usize) -> i32 {
        // SAFETY: as in `event`.
        unsafe { self.events.add(index).read_unaligned().u64 as i32 }
    }

    /// Event number `index` of the last wait. The wake-up of another thread is consumed.
    pub fn event(&mut self, index: usize) -> Event {
        // SAFETY: the caller stays below the number that `wait` returned.
        let event = unsafe { self.events.add(index).read_unaligned() };
        match event.u64 {
            WAKE => {
                let mut count = 0u64;
                // SAFETY: `count` is valid for the call; the eventfd does not block.
                unsafe { syscall_raw!(SYS_read, self.wake, &raw mut count, 8) };
                Event::Inbox
            }
            SIGNALS => Event::Signals,
            ALARM => {
                self.alarm.has_rung();
                Event::Alarm
            }
            data => Event::Descriptor(DescriptorEvent {
                fd: data as u32 as i32,
                generation: (data >> 32) as u32,
                events: event.events,
            }),
        }
    }
}

/// Wakes the poller that has this eventfd, from any thread or signal handler.
pub fn wake(fd: i32) {
    let one = 1u64;
    // SAFETY: `one` is valid for the call.
    unsafe { syscall_raw!(SYS_write, fd, &raw const one, 8) };
}

fn data(fd: i32, generation: u32) -> u64 {
    u64::from(generation) << 32 | u64::from(fd as u32)
}

fn close(fd: i32) {
    // SAFETY: closes a descriptor that is ours alone.
    unsafe { syscall_raw!(SYS_close, fd) };
}
