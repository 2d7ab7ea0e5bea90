// SPDX-License-Identifier: MIT OR Apache-2.0
//! Blocking functions
//!
//! What blocks and cannot be hooked (a library that waits in ways of its
//! own, a long calculation) can be run by a helper thread, while only the
//! coroutine waits. The library keeps few of them: started on demand, at
//! most 16, each ends after 10 s without work. Functions are begun in the
//! order in which they were handed over. Looking names up, calls on files
//! and waiting for locks have threads of their own, under the same limits.
//!
//! The environment variables DYCO_OFFLOAD_THREADS and DYCO_OFFLOAD_IDLE
//! (milliseconds) set other defaults.

use core::ffi::{c_int, c_void};

use super::types::proc_coroutine;
use super::{fail, status};
use crate::io::offload;
use crate::sys::Errno;

/// Runs func(arg) on a helper thread and waits until it has returned. Only
/// the coroutine waits.
///
/// In a helper no coroutine runs: hooked names are libc's own and block,
/// dyco_coroutine_coroID() is -1. Signals are blocked. Its stack has 256
/// KiB. Functions that wait for one another need as many helpers as there
/// are of them.
///
/// After ETIMEDOUT, and when the coroutine is ended from outside while it
/// waits, a function that has begun goes on to its end: what it uses must
/// live until then, so it must not lie on the coroutine's stack. In
/// general arg cannot, unless the coroutine has a stack of its own: on a
/// shared stack others run meanwhile. A function that has not begun by
/// then is never run.
///
/// Outside a coroutine func simply runs here, without regard to timeout;
/// so it does in a signal handler.
///
/// @param func    the function
/// @param arg     handed to it
/// @param timeout milliseconds; negative: for ever; 0: does not wait, so
///                that func cannot run
/// @return 0, with errno as func has left it; or -1 and errno: ETIMEDOUT
///         the time is up, func goes on; EAGAIN the time is up or no
///         thread can be had (none is started on a stack with less than
///         6 KiB left), and func will not run; EINVAL func is NULL;
///         ECANCELED this process was forked while func ran, which is
///         the parent's affair; ENOMEM, EMFILE, ENFILE func will not run
#[unsafe(no_mangle)]
pub extern "C" fn dyco_offload(func: proc_coroutine, arg: *mut c_void, timeout: c_int) -> c_int {
    match func {
        Some(func) => status(offload::run(func, arg, timeout)),
        None => fail(Errno(libc::EINVAL)),
    }
}

/// Sets how many helper threads the process may have for each kind of work
/// (functions, names, files, locks), and when one without work ends.
/// Surplus ones end as soon as they have done what they do.
///
/// @param threads 1 to 1024
/// @param idle    milliseconds; negative: never; 0: at once
/// @return 0, or -1 and errno: EINVAL threads is out of range; EAGAIN the
///         system has no more thread-specific keys
#[unsafe(no_mangle)]
pub extern "C" fn dyco_offload_setPool(threads: c_int, idle: c_int) -> c_int {
    status(offload::set_limits(threads, idle))
}
