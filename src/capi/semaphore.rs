// SPDX-License-Identifier: MIT OR Apache-2.0
//! Semaphores

use core::ffi::c_int;
use core::ptr;

use super::types::dyco_semaphore;
use super::{destroyed, fail, pointer, status};
use crate::sync::semaphore;
use crate::sys::Errno;

/// Creates a semaphore.
///
/// @param value its permits: 0 to INT_MAX
/// @return the semaphore, or NULL and errno: EINVAL; ENOMEM
#[unsafe(no_mangle)]
pub extern "C" fn dyco_semaphore_create(value: usize) -> *mut dyco_semaphore {
    pointer(semaphore::create(value))
}

/// Destroys a semaphore: every coroutine that waits on it returns -1 with
/// EIDRM.
///
/// Sets *sem to NULL. NULL, and a pointer to NULL, are ignored. While
/// coroutines of another thread wait on it, nothing happens, and errno is
/// EPERM.
///
/// @param sem where the program keeps the semaphore
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_semaphore_destroy(sem: *mut *mut dyco_semaphore) {
    // SAFETY: the program gives where it keeps a live semaphore.
    unsafe {
        if !sem.is_null() && !(*sem).is_null() && destroyed(semaphore::destroy((*sem).cast())) {
            *sem = ptr::null_mut();
        }
    }
}

/// Takes a permit, waiting for one if there is none. First come, first
/// served. Outside a coroutine it takes one if there is one.
///
/// @param sem     the semaphore
/// @param timeout milliseconds; negative: for ever; 0: does not wait
/// @return 0, or -1 and errno: EINVAL sem is NULL; ETIMEDOUT; EIDRM the
///         semaphore was destroyed; EPERM it would have to wait outside a
///         coroutine, or coroutines of another thread wait
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_semaphore_wait(sem: *mut dyco_semaphore, timeout: c_int) -> c_int {
    if sem.is_null() {
        return fail(Errno(libc::EINVAL));
    }
    // SAFETY: the program gives a live semaphore.
    status(unsafe { semaphore::wait(sem.cast(), timeout) })
}

/// Gives a permit: to the coroutine that waits first, if any. Does not
/// wait; may be called outside coroutines.
///
/// @param sem the semaphore
/// @return 0, or -1 and errno: EINVAL sem is NULL; EOVERFLOW it has INT_MAX
///         permits; EPERM coroutines of another thread wait
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_semaphore_signal(sem: *mut dyco_semaphore) -> c_int {
    if sem.is_null() {
        return fail(Errno(libc::EINVAL));
    }
    // SAFETY: the program gives a live semaphore.
    status(unsafe { semaphore::signal(sem.cast()) })
}
