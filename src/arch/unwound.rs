// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happens when a coroutine's frames are unwound to the first one.
//!
//! A thread that ends (pthread_exit, cancellation) is unwound by force. That runs up the coroutine's frames; beyond the
//! first one there is nothing, so glibc goes on at the bottom of the thread's own stack, with the destructors of
//! thread-local objects. Those must not find that a coroutine runs. So the first frame has a personality routine (Itanium
//! C++ ABI: Exception Handling, section 1.6), which is told. It names nothing of the unwinder: programs need not have one.

use core::ffi::{c_int, c_void};
use core::mem::transmute;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

const CLEANUP_PHASE: c_int = 2;
const FORCED_UNWIND: c_int = 8;
const CONTINUE_UNWIND: c_int = 8;

/// A `fn()`, or null.
static TOLD: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// Lets `told` be called, on the coroutine's stack, when all frames of the one that runs have been unwound by force.
pub fn tell_of_unwound(told: fn()) {
    TOLD.store(told as *mut c_void, Relaxed);
}

/// The personality routine of first frames.
pub(super) unsafe extern "C" fn personality(_: c_int, actions: c_int, _: u64, _: *mut c_void, _: *mut c_void) -> c_int {
    let told = TOLD.load(Relaxed);
    if actions & (CLEANUP_PHASE | FORCED_UNWIND) == CLEANUP_PHASE | FORCED_UNWIND && !told.is_null() {
        // SAFETY: set by `tell_of_unwound`.
        unsafe { transmute::<*mut c_void, fn()>(told)() };
    }
    CONTINUE_UNWIND
}
