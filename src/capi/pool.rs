// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pools
//!
//! A pool limits how many coroutines work at a time, and reuses them and
//! their stacks.

use core::ffi::{c_int, c_void};
use core::ptr;

use super::types::{dyco_coropool, proc_coroutine};
use super::{fail, pointer, status};
use crate::scheduler::{Pool, pool_create};
use crate::sys::{Errno, Result, errno};

/// Creates a pool of coroutines.
///
/// @param totalsize how many: at least 1
/// @param stacksize bytes of the stack of each; 0: they run on the shared
///                  stack
/// @return the pool, or NULL and errno: EINVAL totalsize is less than 1, or
///         stacksize absurd; ENOMEM
#[unsafe(no_mangle)]
pub extern "C" fn dyco_coropool_create(totalsize: c_int, stacksize: usize) -> *mut dyco_coropool {
    pointer(pool_create(totalsize, stacksize, false))
}

/// Changes how many coroutines a pool has.
///
/// Growing wakes those that wait for one. Shrinking below the number of
/// active ones takes effect as they come back.
///
/// @param cp      the pool
/// @param newsize how many: at least 1
/// @return cp, or NULL and errno: EINVAL; ENOMEM; EPERM coroutines of
///         another thread are active
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_coropool_resize(cp: *mut dyco_coropool, newsize: c_int) -> *mut dyco_coropool {
    // SAFETY: the program gives a live pool or NULL.
    let result = match unsafe { cp.cast::<Pool>().as_mut() } {
        Some(pool) => pool.resize(newsize),
        None => Err(Errno(libc::EINVAL)),
    };
    pointer(result.map(|()| cp))
}

/// Destroys a pool. Sets *cp to NULL.
///
/// @param cp where the program keeps the pool
/// @return 0, or -1 and errno: EINVAL NULL; EBUSY a coroutine of it is
///         active: the pool is unharmed; EPERM it belongs to another thread
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_coropool_destroy(cp: *mut *mut dyco_coropool) -> c_int {
    // SAFETY: the program gives where it keeps a live pool, or NULL.
    unsafe {
        if cp.is_null() || (*cp).is_null() {
            return fail(Errno(libc::EINVAL));
        }
        let result: Result<()> = Pool::destroy((*cp).cast());
        if result.is_ok() {
            *cp = ptr::null_mut();
        }
        status(result)
    }
}

/// Tells how many coroutines of a pool are free.
///
/// @param cp the pool
/// @return their number, or -1 and errno: EINVAL cp is NULL
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_coropool_available(cp: *mut dyco_coropool) -> c_int {
    // SAFETY: the program gives a live pool or NULL.
    match unsafe { cp.cast::<Pool>().as_mut() } {
        Some(pool) => pool.available() as c_int,
        None => fail(Errno(libc::EINVAL)),
    }
}

/// Obtains a coroutine of the pool and lets it run func(arg), waiting for a
/// free one if need be. First come, first served. It goes back to the pool
/// when it ends, however it ends.
///
/// Outside a coroutine it obtains one if one is free.
///
/// @param cp      the pool
/// @param func    what the coroutine runs
/// @param arg     handed to func as it is; may be NULL
/// @param timeout milliseconds; negative: for ever; 0: does not wait
/// @return the cid; 0 none came free in time; -1 and errno: EINVAL NULL;
///         ENOMEM; EPERM it would have to wait outside a coroutine, or
///         coroutines of another thread are active
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_coropool_obtain(
    cp: *mut dyco_coropool,
    func: proc_coroutine,
    arg: *mut c_void,
    timeout: c_int,
) -> c_int {
    // SAFETY: the program gives a live pool or NULL.
    unsafe { obtain(cp, func, arg, false, timeout) }
}

/// As dyco_coropool_obtain(), and the coroutine is urgent.
///
/// @param cp      the pool
/// @param func    what the coroutine runs
/// @param arg     handed to func as it is; may be NULL
/// @param timeout milliseconds; negative: for ever; 0: does not wait
/// @return as dyco_coropool_obtain()
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_coropool_obtain_urgent(
    cp: *mut dyco_coropool,
    func: proc_coroutine,
    arg: *mut c_void,
    timeout: c_int,
) -> c_int {
    // SAFETY: the program gives a live pool or NULL.
    unsafe { obtain(cp, func, arg, true, timeout) }
}

pub(super) unsafe fn obtain(
    cp: *mut dyco_coropool,
    func: proc_coroutine,
    arg: *mut c_void,
    urgent: bool,
    timeout: c_int,
) -> c_int {
    let Some(entry) = func.filter(|_| !cp.is_null()) else { return fail(Errno(libc::EINVAL)) };
    // SAFETY: the caller's promise: a live pool.
    match unsafe { Pool::obtain(cp.cast(), entry, arg, urgent, timeout) } {
        Ok(Some(cid)) => cid,
        Ok(None) => {
            errno::set(Errno(libc::ETIMEDOUT));
            0
        }
        Err(error) => fail(error),
    }
}
