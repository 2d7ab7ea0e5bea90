// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mutexes that another coroutine of the same thread holds while it waits: libc would have the thread wait for itself.
//! All others are left to libc: what another thread holds, what this thread may lock again (recursive mutexes) and what
//! tells it that it must not (error-checking ones).

use core::ffi::c_int;
use core::sync::atomic::AtomicI32;
use core::sync::atomic::Ordering::Relaxed;

use libc::pthread_mutex_t;

use crate::scheduler::{self, Current};
use crate::sys::clock::{self, Instant, MS};
use crate::sys::next;
use crate::syscall_raw;

/// The first pause between two looks, and the longest.
const PAUSES: (Instant, Instant) = (MS / 20, 2 * MS);

/// `pthread_mutex_lock`.
///
/// # Safety
/// As pthread_mutex_lock(3).
pub unsafe fn lock(mutex: *mut pthread_mutex_t) -> c_int {
    if let Some(current) = scheduler::current() {
        // SAFETY: the caller's promise.
        unsafe { await_own_thread(current, mutex) };
    }
    // SAFETY: the caller's promise.
    unsafe { next::pthread_mutex_lock(mutex) }
}

/// Waits as long as the mutex is this thread's.
///
/// # Safety
/// As pthread_mutex_lock(3).
#[inline]
unsafe fn await_own_thread(current: Current, mutex: *mut pthread_mutex_t) {
    // SAFETY: an initialised mutex is one of these; its words are only read, and atomically.
    let words = unsafe { &*mutex.cast::<Words>() };
    if cfg!(target_env = "gnu") && words.lock.load(Relaxed) != 0 && words.is_simple() {
        await_holder(current, words);
    }
}

#[cold]
fn await_holder(current: Current, words: &Words) {
    // SAFETY: no preconditions.
    let thread = unsafe { syscall_raw!(SYS_gettid) } as i32;
    let mut pause = PAUSES.0;
    while words.lock.load(Relaxed) != 0 && words.owner.load(Relaxed) == thread && !current.is_aside() {
        current.sleep_until(clock::after(pause));
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// How glibc's mutex begins. Programs hold such words in their own static initialisers: they do not change.
#[repr(C)]
struct Words {
    lock: AtomicI32,
    count: AtomicI32,
    owner: AtomicI32,
    users: AtomicI32,
    kind: AtomicI32,
}

impl Words {
    /// Whether a thread that locks it twice waits for itself: the default kind and the adaptive one.
    fn is_simple(&self) -> bool {
        matches!(self.kind.load(Relaxed) & 3, libc::PTHREAD_MUTEX_NORMAL | 3)
    }
}
