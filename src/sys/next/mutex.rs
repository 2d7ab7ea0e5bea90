// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mutexes, as `stdio`.

use core::ffi::c_int;

use libc::pthread_mutex_t;

use super::found;

next_definitions! {
    fn pthread_mutex_lock(mutex: *mut pthread_mutex_t) -> c_int {
        if !found(c"pthread_mutex_lock", &slot::pthread_mutex_lock) { return libc::ENOSYS }
        super::pthread_mutex_lock(mutex)
    }
}
