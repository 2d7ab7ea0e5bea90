// SPDX-License-Identifier: MIT OR Apache-2.0
//! The calls that change what `poller::descriptors` knows: O_NONBLOCK, socket timeouts, further numbers for one
//! description. None of them waits. Each makes the call as the program would have without us, inside a coroutine and
//! outside, and notes what came of it; a vfork child notes nothing.

use core::ffi::{c_int, c_long, c_ulong, c_void};

use libc::{F_DUPFD, F_DUPFD_CLOEXEC, F_GETFL, F_SETFL, FIONBIO, SOL_SOCKET, socklen_t, timeval};

use super::flags::FlagLock;
use crate::poller::descriptors::{self, flag};
use crate::scheduler;
use crate::sys::{clock, next};

/// The 64-bit forms of SO_RCVTIMEO and SO_SNDTIMEO (Linux 5.1), which are those of our machines all along.
const SO_RCVTIMEO_NEW: c_int = 66;
const SO_SNDTIMEO_NEW: c_int = 67;

/// `fcntl` or `fcntl64`, whichever `call` is.
///
/// # Safety
/// As libc's.
pub unsafe fn fcntl(call: unsafe fn(c_int, c_int, c_long) -> c_int, fd: c_int, command: c_int, arg: c_long) -> c_int {
    if scheduler::in_vfork_child() {
        // SAFETY: the caller's promise, here and below.
        return unsafe { call(fd, command, arg) };
    }
    match command {
        F_DUPFD | F_DUPFD_CLOEXEC => {
            // SAFETY: as above.
            let new = unsafe { call(fd, command, arg) };
            duplicated(fd, new);
            new
        }
        // Under the lock: what a connect() has set for a moment must not be seen, nor outlast what the program sets.
        F_GETFL => {
            let _lock = FlagLock::take(fd);
            // SAFETY: as above.
            unsafe { call(fd, command, arg) }
        }
        F_SETFL => {
            let _lock = FlagLock::take(fd);
            // SAFETY: as above.
            let result = unsafe { call(fd, command, arg) };
            if result >= 0 {
                set_nonblocking(fd, arg as c_int & libc::O_NONBLOCK != 0);
            }
            result
        }
        // SAFETY: as above.
        _ => unsafe { call(fd, command, arg) },
    }
}

/// `ioctl`: FIONBIO is another name of F_SETFL with O_NONBLOCK.
///
/// # Safety
/// As libc's.
pub unsafe fn ioctl(fd: c_int, request: c_ulong, arg: c_long) -> c_int {
    if request != FIONBIO as c_ulong || scheduler::in_vfork_child() {
        // SAFETY: the caller's promise.
        return unsafe { next::ioctl(fd, request, arg) };
    }
    let _lock = FlagLock::take(fd);
    // SAFETY: as above.
    let result = unsafe { next::ioctl(fd, request, arg) };
    if result >= 0 {
        // SAFETY: the kernel has just read the int there.
        set_nonblocking(fd, unsafe { *(arg as *const c_int) } != 0);
    }
    result
}

fn set_nonblocking(fd: c_int, on: bool) {
    if on {
        descriptors::add_flags(fd, flag::NONBLOCK);
    } else {
        descriptors::clear_flags(fd, flag::NONBLOCK);
    }
}

/// `setsockopt`: the timeouts of a socket bound our waits.
///
/// # Safety
/// As libc's.
pub unsafe fn setsockopt(fd: c_int, level: c_int, name: c_int, value: *const c_void, length: socklen_t) -> c_int {
    // SAFETY: the caller's promise.
    let result = unsafe { next::setsockopt(fd, level, name, value, length) };
    if result < 0 || scheduler::in_vfork_child() {
        return result;
    }
    if level == libc::SOL_TCP && name == libc::TCP_ULP {
        // A protocol of records (TLS in the kernel) may return less than was asked for and yet hold more.
        descriptors::clear_flags(fd, flag::TCP);
    }
    if level != SOL_SOCKET {
        return result;
    }
    let set = match name {
        libc::SO_LINGER => {
            // SAFETY: the kernel has just read a `linger` there.
            let linger = unsafe { value.cast::<libc::linger>().read_unaligned() };
            let waits = linger.l_onoff != 0 && linger.l_linger != 0;
            let change = if waits { descriptors::add_flags } else { descriptors::clear_flags };
            change(fd, flag::LINGERS);
            return result;
        }
        libc::SO_PEEK_OFF => {
            // MSG_PEEK is the program's then: nobody looks ahead.
            descriptors::clear_flags(fd, flag::TCP);
            return result;
        }
        libc::SO_RCVTIMEO | SO_RCVTIMEO_NEW => descriptors::set_receive_timeout,
        libc::SO_SNDTIMEO | SO_SNDTIMEO_NEW => descriptors::set_send_timeout,
        _ => return result,
    };
    // SAFETY: the kernel has just read a `timeval` there.
    set(fd, nanoseconds(unsafe { value.cast::<timeval>().read_unaligned() }));
    result
}

/// A socket's timeout as the kernel takes it: zero is none, a negative one is over at once.
fn nanoseconds(timeout: timeval) -> u64 {
    if timeout.tv_sec < 0 {
        return 1;
    }
    clock::of_timeval(&timeout)
}

/// `dup`.
///
/// # Safety
/// As libc's.
pub unsafe fn dup(fd: c_int) -> c_int {
    // SAFETY: the caller's promise.
    let new = unsafe { next::dup(fd) };
    if !scheduler::in_vfork_child() {
        duplicated(fd, new);
    }
    new
}

/// `dup2`. Equal numbers only ask whether it is open.
///
/// # Safety
/// As libc's.
pub unsafe fn dup2(fd: c_int, to: c_int) -> c_int {
    // SAFETY: the caller's promise.
    replace(fd, to, || unsafe { next::dup2(fd, to) })
}

/// `dup3`. Equal numbers are an error.
///
/// # Safety
/// As libc's.
pub unsafe fn dup3(fd: c_int, to: c_int, flags: c_int) -> c_int {
    // SAFETY: the caller's promise.
    replace(fd, to, || unsafe { next::dup3(fd, to, flags) })
}

/// `to` is about to be closed and to become another number of `fd`, if the call succeeds.
fn replace(fd: c_int, to: c_int, call: impl FnOnce() -> c_int) -> c_int {
    if fd == to || scheduler::in_vfork_child() {
        return call();
    }
    let closing = scheduler::descriptor_closing(to);
    let new = call();
    scheduler::descriptor_closed(closing, new >= 0);
    duplicated(fd, new);
    new
}

/// `new`, unless negative, is now another number of `fd`: whatever is set of one is set of both.
fn duplicated(fd: c_int, new: c_int) {
    if new < 0 {
        return;
    }
    descriptors::add_flags(fd, flag::SHARED);
    let of = descriptors::get(fd);
    if !of.known() {
        descriptors::forget(new);
        return;
    }
    let (receive, send) = descriptors::timeouts(fd);
    descriptors::born(new, of.flags);
    descriptors::set_receive_timeout(new, receive);
    descriptors::set_send_timeout(new, send);
}
