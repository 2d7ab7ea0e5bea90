// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asymmetric coroutines
//!
//! An asymmetric coroutine is never scheduled: it runs when it is resumed,
//! until it yields back to its resumer. It lives until it is freed. A call
//! that waits inside one makes the whole chain of resumers wait, up to the
//! coroutine that began it; resumed by the main program, it blocks as it
//! does there. Each has a stack of its own.

use core::ffi::{c_int, c_void};

use super::coroutine::{
    dyco_coroutine_coroID, dyco_coroutine_getStack, dyco_coroutine_getUdata, dyco_coroutine_setStack,
    dyco_coroutine_setUdata,
};
use super::pool::{dyco_coropool_available, dyco_coropool_destroy, dyco_coropool_resize, obtain};
use super::types::{dyco_coropool, proc_coroutine};
use super::{fail, number, pointer};
use crate::scheduler;
use crate::sys::{Errno, errno};

/// Creates an asymmetric coroutine that will run func(arg).
///
/// @param func what it runs
/// @param arg  handed to func as it is; may be NULL
/// @return the cid (> 0), or -1 and errno: EINVAL func is NULL; ENOMEM
#[unsafe(no_mangle)]
pub extern "C" fn dyco_asymcoro_create(func: proc_coroutine, arg: *mut c_void) -> c_int {
    number(func.ok_or(Errno(libc::EINVAL)).and_then(|entry| scheduler::asymmetric_create(entry, arg)))
}

/// Resumes an asymmetric coroutine, until it yields or ends.
///
/// @param cid the coroutine
/// @return cid when it has yielded; 0 when it has ended, now or before;
///         -1 and errno: ESRCH no such coroutine in this thread; EINVAL it
///         is not asymmetric; EBUSY it runs, waits, or has itself resumed
///         the caller; ENOMEM no stack for it; ECANCELED
///         dyco_schedcall_abort() ended it, called by the main program
#[unsafe(no_mangle)]
pub extern "C" fn dyco_asymcoro_resume(cid: c_int) -> c_int {
    scheduler::resume(cid, fail)
}

/// As dyco_asymcoro_resume(); the older name.
///
/// @param cid the coroutine
/// @return as dyco_asymcoro_resume()
#[unsafe(no_mangle)]
pub extern "C" fn dyco_asymcororesume(cid: c_int) -> c_int {
    dyco_asymcoro_resume(cid)
}

/// Yields from an asymmetric coroutine to its resumer; returns when it is
/// resumed again. Elsewhere it does nothing and errno is EPERM.
#[unsafe(no_mangle)]
pub extern "C" fn dyco_asymcoro_yield() {
    if let Err(error) = scheduler::suspend() {
        errno::set(error);
    }
}

/// As dyco_asymcoro_yield(); the older name.
#[unsafe(no_mangle)]
pub extern "C" fn dyco_asymcoroyield() {
    dyco_asymcoro_yield();
}

/// Frees an asymmetric coroutine, also one that has not ended: no C++
/// destructors and no cleanup handlers run.
///
/// On failure nothing happens and errno is ESRCH: no such coroutine in
/// this thread; EINVAL: not asymmetric; EBUSY: it runs, waits, or has
/// resumed another.
///
/// @param cid the coroutine
#[unsafe(no_mangle)]
pub extern "C" fn dyco_asymcoro_free(cid: c_int) {
    if let Err(error) = scheduler::asymmetric_free(cid) {
        errno::set(error);
    }
}

/// As dyco_coroutine_coroID().
///
/// @return the calling coroutine's cid; -1 outside coroutines
#[unsafe(no_mangle)]
pub extern "C" fn dyco_asymcoro_coroID() -> c_int {
    dyco_coroutine_coroID()
}

/// As dyco_coroutine_setStack().
///
/// @param cid       the coroutine, before its first run
/// @param stackptr  the stack's lowest byte; NULL: the library allocates it
/// @param stacksize bytes
/// @return as dyco_coroutine_setStack()
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_asymcoro_setStack(cid: c_int, stackptr: *mut c_void, stacksize: usize) -> c_int {
    // SAFETY: passed on from the program.
    unsafe { dyco_coroutine_setStack(cid, stackptr, stacksize) }
}

/// As dyco_coroutine_getStack().
///
/// @param cid       the coroutine
/// @param stackptr  gets the stack's lowest byte; may be NULL
/// @param stacksize gets its size in bytes; may be NULL
/// @return as dyco_coroutine_getStack()
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_asymcoro_getStack(
    cid: c_int,
    stackptr: *mut *mut c_void,
    stacksize: *mut usize,
) -> c_int {
    // SAFETY: passed on from the program.
    unsafe { dyco_coroutine_getStack(cid, stackptr, stacksize) }
}

/// As dyco_coroutine_setUdata().
///
/// @param cid   the coroutine
/// @param udata any pointer
/// @return 0, or -1 and errno: ESRCH
#[unsafe(no_mangle)]
pub extern "C" fn dyco_asymcoro_setUdata(cid: c_int, udata: *mut c_void) -> c_int {
    dyco_coroutine_setUdata(cid, udata)
}

/// As dyco_coroutine_getUdata().
///
/// @param cid   the coroutine
/// @param udata gets the pointer
/// @return 0, or -1 and errno: ESRCH; EINVAL udata is NULL
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_asymcoro_getUdata(cid: c_int, udata: *mut *mut c_void) -> c_int {
    // SAFETY: passed on from the program.
    unsafe { dyco_coroutine_getUdata(cid, udata) }
}

/// Creates a pool of asymmetric coroutines; see dyco_coropool_create().
///
/// @param totalsize how many: at least 1
/// @param stacksize bytes of the stack of each; 0: the scheduler's size
/// @return the pool, or NULL and errno: EINVAL; ENOMEM
#[unsafe(no_mangle)]
pub extern "C" fn dyco_asymcpool_create(totalsize: c_int, stacksize: usize) -> *mut dyco_coropool {
    pointer(scheduler::pool_create(totalsize, stacksize, true))
}

/// As dyco_coropool_resize().
///
/// @param cp      the pool
/// @param newsize how many: at least 1
/// @return as dyco_coropool_resize()
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_asymcpool_resize(cp: *mut dyco_coropool, newsize: c_int) -> *mut dyco_coropool {
    // SAFETY: passed on from the program.
    unsafe { dyco_coropool_resize(cp, newsize) }
}

/// As dyco_coropool_destroy().
///
/// @param cp where the program keeps the pool
/// @return as dyco_coropool_destroy()
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_asymcpool_destroy(cp: *mut *mut dyco_coropool) -> c_int {
    // SAFETY: passed on from the program.
    unsafe { dyco_coropool_destroy(cp) }
}

/// As dyco_coropool_available().
///
/// @param cp the pool
/// @return as dyco_coropool_available()
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_asymcpool_available(cp: *mut dyco_coropool) -> c_int {
    // SAFETY: passed on from the program.
    unsafe { dyco_coropool_available(cp) }
}

/// Obtains an asymmetric coroutine of the pool that will run func(arg),
/// waiting for a free one if need be. It does not come back by itself: see
/// dyco_asymcpool_return().
///
/// @param cp      the pool
/// @param func    what the coroutine runs
/// @param arg     handed to func as it is; may be NULL
/// @param timeout milliseconds; negative: for ever; 0: does not wait
/// @return as dyco_coropool_obtain()
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_asymcpool_obtain(
    cp: *mut dyco_coropool,
    func: proc_coroutine,
    arg: *mut c_void,
    timeout: c_int,
) -> c_int {
    // SAFETY: the program gives a live pool or NULL.
    unsafe { obtain(cp, func, arg, false, timeout) }
}

/// Gives an asymmetric coroutine back to its pool, finished or not.
///
/// On failure nothing happens and errno is ESRCH: no such coroutine in
/// this thread; EINVAL: of no pool; EBUSY: it runs, waits, or has resumed
/// another.
///
/// @param cid the coroutine
#[unsafe(no_mangle)]
pub extern "C" fn dyco_asymcpool_return(cid: c_int) {
    if let Err(error) = scheduler::give_back_asymmetric(cid) {
        errno::set(error);
    }
}
