// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signals and children
//!
//! A coroutine may receive signals one by one, in its own time, instead of
//! by handlers. The kernel gives a signal to any thread that does not
//! block it: in a program with several threads, all must block it (block
//! it before creating them), or it may go to its handler there instead.

use core::ffi::c_int;

use super::{fail, status};
use crate::io::{child, pointers, signal};
use crate::sys::Errno;

/// Waits until a child process has ended, and reaps it. Only the coroutine
/// waits; any number of them may each wait for a child. What one waits for
/// is not taken by another one's wait() or waitpid(-1).
///
/// Outside a coroutine the thread waits.
///
/// @param child   the child; -1: any; also 0 and less than -1, as waitpid()
/// @param status  gets its status as from waitpid(); may be NULL
/// @param timeout milliseconds; negative: for ever; 0: does not wait
/// @return the child's pid; 0 when the time is up; or -1 and errno: ECHILD
///         it is no child of this process, or was reaped by others
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_signal_waitchild(child: libc::pid_t, status: *mut c_int, timeout: c_int) -> c_int {
    match child::wait_child(child, timeout) {
        Ok(Some((pid, code))) => {
            if !status.is_null() {
                // SAFETY: `status` is the caller's out parameter.
                unsafe { *status = code };
            }
            pid
        }
        Ok(None) => 0,
        Err(error) => fail(error),
    }
}

/// From now on, until dyco_signal_destroy() or the coroutine's end, these
/// signals are blocked for the thread and queued for the calling
/// coroutine. Does not wait.
///
/// Several coroutines may hold overlapping masks, in one thread or many:
/// each gets every signal of its mask that is sent to the process; one
/// sent to a thread (pthread_kill(), raise()) stays in that thread. A
/// signal stays blocked until the last holder in the thread lets go, and
/// what the program itself had blocked before stays blocked.
///
/// Up to 1024 signals wait for a coroutine. Of what comes beyond, one of
/// each number is kept, with only ssi_signo set. The kernel makes one of
/// equal signals that come faster than the scheduler runs, except
/// real-time signals.
///
/// A child made by fork() has the signals unblocked until its scheduler
/// runs or it calls dyco_signal_wait(), so that exec() starts clean.
///
/// @param mask the signals
/// @return 0, or -1 and errno: EBUSY the coroutine holds signals already;
///         EINVAL mask is NULL; EPERM called outside a coroutine; EFAULT,
///         EMFILE, ENFILE, ENOMEM
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_signal_init(mask: *const libc::sigset_t) -> c_int {
    if mask.is_null() {
        return fail(Errno(libc::EINVAL));
    }
    // SAFETY: plain data; the caller's set begins with the kernel's.
    status(unsafe { pointers::read(mask.cast()) }.and_then(signal::init))
}

/// Lets go of the calling coroutine's signals. Those that are queued for
/// it, or have come already, are gone. Without dyco_signal_init() before,
/// nothing happens.
#[unsafe(no_mangle)]
pub extern "C" fn dyco_signal_destroy() {
    signal::destroy();
}

/// Waits for the next of the coroutine's signals. Only the coroutine waits.
///
/// @param sinfo   gets what there is to know of the signal
/// @param timeout milliseconds; negative: for ever; 0: does not wait
/// @return sizeof *sinfo; or -1 and errno: ETIMEDOUT; EINVAL sinfo is NULL,
///         or no dyco_signal_init() before; EPERM called outside a
///         coroutine
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_signal_wait(sinfo: *mut libc::signalfd_siginfo, timeout: c_int) -> c_int {
    if sinfo.is_null() {
        return fail(Errno(libc::EINVAL));
    }
    match signal::wait(timeout) {
        Ok(info) => {
            // SAFETY: `sinfo` is the caller's out parameter.
            unsafe { *sinfo = info };
            size_of_val(&info) as c_int
        }
        Err(error) => fail(error),
    }
}
