// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waits of a signal handler that has interrupted a coroutine and runs on an alternate stack. It cannot park: the next
//! handler would use the same stack, and a shared stack's live bytes would not be where they are looked for. So the thread
//! waits, as without the library.

use core::ptr;

use super::wait::{Current, Wake, current};
use crate::arch;
use crate::coroutine::Coroutine;
use crate::stack::Kind;
use crate::sys::clock::{self, Instant, MS, NEVER};
use crate::sys::{Errno, Result};
use crate::syscall;

/// What libc needs of the stack to start a thread, and some more.
const THREAD_ROOM: usize = 6 << 10;

/// Whether there is room on the caller's stack to start a thread.
pub(super) fn has_room_for_thread() -> bool {
    current().is_none_or(|current| current.stack_room() >= THREAD_ROOM)
}

impl Current {
    /// How many bytes of its stack the caller has left; no limit on a further one of the program's making.
    pub fn stack_room(self) -> usize {
        // SAFETY: the running coroutine is valid.
        let stack = unsafe { &(*(*self.coroutine()).rest).stack };
        let height = (arch::stack_pointer() as usize).wrapping_sub(stack.base as usize);
        if height < stack.size { height } else { usize::MAX }
    }

    /// Whether so many bytes lie in the coroutine's stack.
    #[inline(always)]
    pub fn is_on_stack(self, address: *const u8, length: usize) -> bool {
        // SAFETY: as above.
        let stack = unsafe { &(*(*self.coroutine()).rest).stack };
        let height = (address as usize).wrapping_sub(stack.base as usize);
        height < stack.size && length <= stack.size - height
    }

    /// Whether the caller is on another stack than the coroutine's, from which it must not park, or a signal handler that has
    /// interrupted a use of the ring. A program may well give a coroutine further stacks of its own making, unless it is on
    /// a shared one.
    #[inline(always)]
    pub fn is_aside(self) -> bool {
        self.may_be_aside() && self.is_really_aside()
    }

    /// What [`Current::is_aside`] can tell without asking the kernel.
    #[inline(always)]
    pub(super) fn may_be_aside(self) -> bool {
        // SAFETY: the scheduler and its running coroutine are valid.
        unsafe {
            (*self.scheduler()).operations.is_busy()
                || !Coroutine::stands_on_its_stack(self.coroutine(), arch::stack_pointer())
        }
    }

    #[cold]
    #[inline(never)]
    fn is_really_aside(self) -> bool {
        // SAFETY: as above.
        let (kind, busy) = unsafe { ((*self.coroutine()).kind, (*self.scheduler()).operations.is_busy()) };
        busy || kind == Kind::Shared || is_on_signal_stack()
    }
}

#[cold]
pub(super) fn is_on_signal_stack() -> bool {
    // SAFETY: asks only; zero is a valid structure.
    unsafe {
        let mut present: libc::stack_t = core::mem::zeroed();
        libc::sigaltstack(ptr::null(), &mut present) == 0 && present.ss_flags & libc::SS_ONSTACK != 0
    }
}

/// As [`Current::wait_fd`].
#[cold]
pub(super) fn wait_fd(fd: i32, events: u32, deadline: Instant) -> Result<Wake> {
    let mut entry = libc::pollfd { fd, events: events as i16, revents: 0 };
    match poll(&raw mut entry, 1, deadline)? {
        Wake::Ready if entry.revents & libc::POLLNVAL != 0 => Err(Errno(libc::EBADF)),
        wake => Ok(wake),
    }
}

/// For waits of which the caller looks again: a short sleep, at most until the deadline.
#[cold]
pub(super) fn pause(deadline: Instant) -> Wake {
    sleep_until(deadline.min(clock::after(MS)));
    if deadline <= clock::now() { Wake::TimedOut } else { Wake::Ready }
}

/// Sleeps until the deadline.
#[cold]
pub(super) fn sleep_until(deadline: Instant) {
    let _ = poll(ptr::null_mut(), 0, deadline);
}

fn poll(entries: *mut libc::pollfd, count: usize, deadline: Instant) -> Result<Wake> {
    loop {
        let timeout = clock::timespec(deadline.saturating_sub(clock::now()));
        let limit = if deadline == NEVER { ptr::null() } else { &raw const timeout };
        // SAFETY: the entries and the limit are valid for the call; no mask.
        match unsafe { syscall!(SYS_ppoll, entries, count, limit, ptr::null::<u64>(), 8) } {
            Err(Errno(libc::EINTR)) => {}
            answer => return answer.map(|ready| if ready > 0 { Wake::Ready } else { Wake::TimedOut }),
        }
    }
}
