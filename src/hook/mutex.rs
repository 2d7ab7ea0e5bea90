// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mutexes. Not in the archive, as `names`.

use core::ffi::c_int;

use libc::pthread_mutex_t;

use crate::io::mutex;

/// As libc's; a mutex that another coroutine of the thread holds is waited for in the coroutine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_mutex_lock(mutex: *mut pthread_mutex_t) -> c_int {
    // SAFETY: the C caller's promise.
    unsafe { mutex::lock(mutex) }
}
