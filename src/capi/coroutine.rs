// SPDX-License-Identifier: MIT OR Apache-2.0
//! Coroutines
//!
//! A coroutine is a function with a stack of its own, named by its cid:
//! a positive number, unique among the live coroutines of its thread. It
//! runs in the thread that made it; elsewhere its cid is unknown (ESRCH).

use core::ffi::{c_int, c_void};
use core::ptr;

use super::types::proc_coroutine;
use super::{fail, number, status, store};
use crate::io::{self, time};
use crate::scheduler;
use crate::sys::Errno;
use crate::sys::clock::MS;

/// Creates a coroutine that will run func(arg).
///
/// It starts when the scheduler next reaches it, after those that were
/// created before it; see dyco_schedule_run(). Unless it gets a stack of
/// its own (dyco_coroutine_setStack()), it runs on one that the thread's
/// coroutines share. May be called inside and outside coroutines; does
/// not wait. The thread's scheduler is made if it has none.
///
/// @param func what the coroutine runs; it ends when func returns
/// @param arg  handed to func as it is; may be NULL
/// @return the cid (> 0), or -1 and errno:
///         EINVAL func is NULL; ENOMEM out of memory
#[unsafe(no_mangle)]
pub extern "C" fn dyco_coroutine_create(func: proc_coroutine, arg: *mut c_void) -> c_int {
    create(func, arg, false)
}

/// As dyco_coroutine_create(), and the coroutine is urgent from the start.
///
/// @param func what the coroutine runs
/// @param arg  handed to func as it is; may be NULL
/// @return the cid (> 0), or -1 and errno, as dyco_coroutine_create()
#[unsafe(no_mangle)]
pub extern "C" fn dyco_coroutine_create_urgent(func: proc_coroutine, arg: *mut c_void) -> c_int {
    create(func, arg, true)
}

fn create(func: proc_coroutine, arg: *mut c_void, urgent: bool) -> c_int {
    number(func.ok_or(Errno(libc::EINVAL)).and_then(|entry| scheduler::spawn(entry, arg, urgent)))
}

/// Sleeps for at least msecs milliseconds of the monotonic clock.
///
/// Only the calling coroutine waits. With 0 it gives way: it goes to the
/// tail of the ready queue, and the others that are ready run first.
/// Signals do not cut the sleep short. Outside a coroutine the thread
/// sleeps. errno is left alone.
///
/// @param msecs milliseconds; 0 gives way only
#[unsafe(no_mangle)]
pub extern "C" fn dyco_coroutine_sleep(msecs: u32) {
    time::sleep_anywhere(u64::from(msecs) * MS);
}

/// Ends the calling coroutine at once, as if its function had returned.
///
/// Does not return. Other coroutines are not touched. C++ destructors and
/// cleanup handlers of the coroutine are not run. Outside a coroutine it
/// does nothing and returns.
#[unsafe(no_mangle)]
pub extern "C" fn dyco_coroutine_abort() {
    scheduler::abort_current();
}

/// Waits until fd can be read: data, a connection to accept, end of file,
/// or an error or hang-up, as poll() with POLLIN reports them.
///
/// Only the calling coroutine waits; outside a coroutine the thread does.
/// Any number of coroutines may wait for one fd, in either direction, and
/// each is woken. A regular file is always ready.
///
/// @param fd      any descriptor that poll() knows
/// @param timeout milliseconds; negative waits for ever, 0 only looks
/// @return > 0 ready, 0 timeout, or -1 and errno:
///         EBADF fd is not open, or was closed during the wait;
///         ENOMEM out of memory; EINTR outside a coroutine only
#[unsafe(no_mangle)]
pub extern "C" fn dyco_coroutine_waitRead(fd: c_int, timeout: c_int) -> c_int {
    number(io::wait::read(fd, timeout))
}

/// Waits until fd can be written, or has an error or hang-up, as poll()
/// with POLLOUT reports them. Otherwise as dyco_coroutine_waitRead().
///
/// @param fd      any descriptor that poll() knows
/// @param timeout milliseconds; negative waits for ever, 0 only looks
/// @return > 0 ready, 0 timeout, or -1 and errno
#[unsafe(no_mangle)]
pub extern "C" fn dyco_coroutine_waitWrite(fd: c_int, timeout: c_int) -> c_int {
    number(io::wait::write(fd, timeout))
}

/// Waits until fd can be read or written, whichever comes first, or has an
/// error or hang-up. Otherwise as dyco_coroutine_waitRead().
///
/// @param fd      any descriptor that poll() knows
/// @param timeout milliseconds; negative waits for ever, 0 only looks
/// @return > 0 ready, 0 timeout, or -1 and errno
#[unsafe(no_mangle)]
pub extern "C" fn dyco_coroutine_waitRW(fd: c_int, timeout: c_int) -> c_int {
    number(io::wait::both(fd, timeout))
}

/// The cid of the calling coroutine.
///
/// @return the cid (> 0), or -1 and EPERM outside a coroutine
#[unsafe(no_mangle)]
pub extern "C" fn dyco_coroutine_coroID() -> c_int {
    number(scheduler::current_cid().ok_or(Errno(libc::EPERM)))
}

/// Gives a coroutine that has not run yet a stack of its own.
///
/// The library's own frames need less than 1 KiB of it; the rest is for
/// the program and what it calls: printf("%f") takes some 2 KiB, writing
/// to the unbuffered stderr some 10 KiB. Does not wait.
///
/// @param cid       a coroutine of this thread
/// @param stackptr  NULL: the library allocates the stack, at least
///                  stacksize bytes, 16 KiB or more, with a guard page
///                  below it, and frees it with the coroutine.
///                  Otherwise the lowest address of memory of the
///                  caller, which is used exactly as given, must stay
///                  valid until the coroutine has ended, and is not freed
/// @param stacksize bytes, of the caller's memory at least 2048;
///                  0 goes back to the shared stack
/// @return 1 set, 0 back to the shared stack, or -1 and errno:
///         ESRCH no such coroutine; EBUSY it has run already;
///         EINVAL stacksize too small or absurd; ENOMEM out of memory
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_coroutine_setStack(cid: c_int, stackptr: *mut c_void, stacksize: usize) -> c_int {
    number(scheduler::set_stack(cid, stackptr, stacksize))
}

/// Tells the stack of a coroutine.
///
/// @param cid       a coroutine of this thread
/// @param stackptr  gets the lowest address of its own stack, or NULL if
///                  it is on the shared stack; may be NULL
/// @param stacksize gets the size of its own stack in bytes, or 0;
///                  may be NULL
/// @return 1 own stack, 0 shared stack, or -1 and errno:
///         ESRCH no such coroutine
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_coroutine_getStack(
    cid: c_int,
    stackptr: *mut *mut c_void,
    stacksize: *mut usize,
) -> c_int {
    let stack = match scheduler::get_stack(cid) {
        Ok(stack) => stack,
        Err(error) => return fail(error),
    };
    let (memory, size) = stack.unwrap_or((ptr::null_mut(), 0));
    // SAFETY: each pointer is null, which is checked, or the caller's valid out parameter.
    unsafe {
        if !stackptr.is_null() {
            *stackptr = memory;
        }
        if !stacksize.is_null() {
            *stacksize = size;
        }
    }
    c_int::from(stack.is_some())
}

/// Tells whether the calling coroutine's stack is nearly used up.
///
/// The same check runs whenever a coroutine waits or gives way. One that
/// has already overflowed a stack of the caller is ended.
///
/// @return 0 safe, 1 when over 7/8 of the stack is in use, or -1 and
///         EPERM outside a coroutine
#[unsafe(no_mangle)]
pub extern "C" fn dyco_coroutine_checkStack() -> c_int {
    number(scheduler::check_stack())
}

/// Attaches a pointer of the program to a coroutine.
///
/// @param cid   a coroutine of this thread
/// @param udata any pointer; the library does not look at it
/// @return 0, or -1 and errno: ESRCH no such coroutine
#[unsafe(no_mangle)]
pub extern "C" fn dyco_coroutine_setUdata(cid: c_int, udata: *mut c_void) -> c_int {
    status(scheduler::set_coroutine_udata(cid, udata))
}

/// Fetches the pointer that dyco_coroutine_setUdata() attached.
///
/// @param cid   a coroutine of this thread
/// @param udata gets the pointer, NULL if none was attached
/// @return 0, or -1 and errno:
///         ESRCH no such coroutine; EINVAL udata is NULL
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_coroutine_getUdata(cid: c_int, udata: *mut *mut c_void) -> c_int {
    // SAFETY: `udata` is the caller's out parameter.
    status(unsafe { store(udata, || scheduler::coroutine_udata(cid)) })
}

/// How often a coroutine has waited or given way so far.
///
/// @param cid a coroutine of this thread
/// @return the count, or -1 and errno: ESRCH no such coroutine
#[unsafe(no_mangle)]
pub extern "C" fn dyco_coroutine_getSchedCount(cid: c_int) -> c_int {
    number(scheduler::sched_count(cid))
}

/// Makes a coroutine urgent: when ready it runs before ordinary ones, but
/// after DYCO_URGENT_MAXEXEC urgent turns in a row an ordinary one runs.
///
/// @param cid a coroutine of this thread
/// @return 0, or -1 and errno: ESRCH no such coroutine
#[unsafe(no_mangle)]
pub extern "C" fn dyco_coroutine_setUrgent(cid: c_int) -> c_int {
    status(scheduler::set_urgent(cid, true))
}

/// Makes a coroutine an ordinary one again.
///
/// @param cid a coroutine of this thread
/// @return 0, or -1 and errno: ESRCH no such coroutine
#[unsafe(no_mangle)]
pub extern "C" fn dyco_coroutine_unsetUrgent(cid: c_int) -> c_int {
    status(scheduler::set_urgent(cid, false))
}

/// Tells whether a coroutine is asymmetric: not scheduled, but resumed by
/// another.
///
/// @param cid a coroutine of this thread
/// @return 1 yes, 0 no, or -1 and errno: ESRCH no such coroutine
#[unsafe(no_mangle)]
pub extern "C" fn dyco_coroutine_isasymmetric(cid: c_int) -> c_int {
    number(scheduler::is_asymmetric(cid))
}
