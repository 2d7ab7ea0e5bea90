// SPDX-License-Identifier: MIT OR Apache-2.0
//! SIGINT and SIGQUIT, which a process ignores while it waits for a command of system(3).
//!
//! libc counts the waits of its own system(3), in plain threads, and we count those in coroutines. Each puts back what it
//! has found when its last wait ends; where they overlap that would be what the other had set. So we know of both.

// Without the hooks nobody waits.
#![cfg_attr(not(feature = "hook"), allow(dead_code))]

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::{mem, ptr};

use libc::{c_int, sigaction};

use crate::scheduler::registry;

const SIGNALS: [c_int; 2] = [libc::SIGINT, libc::SIGQUIT];

struct Ignored {
    /// Waits in coroutines.
    ours: u32,
    /// Waits in libc.
    libcs: u32,
    /// There have been both at a time: libc may not know what to put back.
    mixed: bool,
    /// What the signals did before the first of all.
    before: [sigaction; 2],
}

struct Shared(UnsafeCell<Ignored>);

// SAFETY: touched under the registry's lock only.
unsafe impl Sync for Shared {}

// SAFETY: plain data, valid when zero.
static IGNORED: Shared = Shared(UnsafeCell::new(unsafe { mem::zeroed() }));

/// The key, plus one, of what tells that a thread waits in libc; 0 before the first one does.
static KEY: AtomicU32 = AtomicU32::new(0);

impl Ignored {
    fn remember(&mut self) {
        for (signal, before) in SIGNALS.into_iter().zip(&mut self.before) {
            // SAFETY: a valid out parameter.
            unsafe { libc::sigaction(signal, ptr::null(), before) };
        }
        self.mixed = false;
    }

    fn put_back(&self) {
        for (signal, before) in SIGNALS.into_iter().zip(&self.before) {
            // SAFETY: an action that was in force.
            unsafe { libc::sigaction(signal, before, ptr::null_mut()) };
        }
    }

    fn ignore(&self) {
        for signal in SIGNALS {
            // SAFETY: plain data, valid when zero; an action of libc's.
            unsafe {
                let mut ignoring: sigaction = mem::zeroed();
                ignoring.sa_sigaction = libc::SIG_IGN;
                libc::sigaction(signal, &ignoring, ptr::null_mut());
            }
        }
    }
}

/// Calls `action` under the lock.
fn with<T>(action: impl FnOnce(&mut Ignored) -> T) -> T {
    // SAFETY: under the lock.
    registry::locked(|| action(unsafe { &mut *IGNORED.0.get() }))
}

/// Ignores the signals for one more wait in a coroutine; says which of them were ignored before the first.
pub(super) fn command_begins() -> [bool; 2] {
    with(|ignored| {
        if ignored.ours == 0 {
            match ignored.libcs {
                0 => ignored.remember(),
                _ => ignored.mixed = true,
            }
            ignored.ignore();
        }
        ignored.ours += 1;
        ignored.before.map(|action| action.sa_sigaction == libc::SIG_IGN)
    })
}

pub(super) fn command_ends() {
    with(|ignored| {
        ignored.ours -= 1;
        if ignored.ours == 0 && ignored.libcs == 0 {
            ignored.put_back();
        }
    });
}

/// The calling thread is about to wait in libc. Returns whether [`libc_ends`] is to be called; should the thread be
/// cancelled in between, its end does that.
pub fn libc_begins() -> bool {
    with(|ignored| {
        // SAFETY: the key is made once, under the lock; what is set is not looked into.
        unsafe {
            if KEY.load(Relaxed) == 0 {
                let mut key = 0;
                if libc::pthread_key_create(&mut key, Some(thread_ends)) != 0 {
                    return false;
                }
                KEY.store(key + 1, Relaxed);
                libc::pthread_atfork(None, None, Some(forked));
            }
            let key = KEY.load(Relaxed) - 1;
            if !libc::pthread_getspecific(key).is_null() {
                // A signal handler has left its last wait by a jump.
                return true;
            }
            if libc::pthread_setspecific(key, IGNORED.0.get().cast()) != 0 {
                return false;
            }
        }
        if ignored.libcs == 0 {
            match ignored.ours {
                0 => ignored.remember(),
                _ => {
                    // libc is to find what was before, for its command's sake, and ignores it itself.
                    ignored.mixed = true;
                    ignored.put_back();
                }
            }
        }
        ignored.libcs += 1;
        true
    })
}

/// The calling thread has waited in libc.
pub fn libc_ends() {
    // SAFETY: the key is there, since libc_begins() has said so.
    let failed = unsafe { libc::pthread_setspecific(KEY.load(Relaxed) - 1, ptr::null()) };
    debug_assert_eq!(failed, 0);
    thread_ends(ptr::null_mut());
}

extern "C" fn thread_ends(_: *mut c_void) {
    with(|ignored| {
        // A handler may have forked meanwhile.
        ignored.libcs = ignored.libcs.saturating_sub(1);
        if ignored.ours > 0 {
            ignored.ignore();
        } else if ignored.libcs == 0 && ignored.mixed {
            ignored.put_back();
        }
    });
}

/// In a forked child: the waits are the parent's.
extern "C" fn forked() {
    // SAFETY: the only thread of the child runs, and was not in here when it forked.
    unsafe { (*IGNORED.0.get()).libcs = 0 };
}
