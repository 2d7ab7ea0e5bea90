// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program's signal handlers. The kernel gets a function of ours in their place, which tells the scheduler that a handler
//! runs, and calls the program's. The program sees nothing of it: what it asks for is its own handler, flags and mask.

use core::ffi::{c_int, c_void};
use core::mem::{MaybeUninit, transmute};
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use libc::{sighandler_t, siginfo_t};

use crate::scheduler::{in_vfork_child, run_handler};
use crate::sys::next;

/// The program's handler of a signal. One word, because a signal may come while it changes: then the new handler runs
/// under the old flags, a moment early.
struct Entry {
    handler: AtomicUsize,
    /// It was installed with SA_NODEFER.
    is_open: AtomicBool,
}

static ENTRIES: [Entry; 65] = [const { Entry { handler: AtomicUsize::new(0), is_open: AtomicBool::new(false) } }; 65];

type Handler = unsafe extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

/// What the kernel calls. The arguments are passed on whether SA_SIGINFO is set or not, as the kernel does it.
unsafe extern "C" fn deliver(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let entry = &ENTRIES[signal as usize];
    let handler = entry.handler.load(Relaxed);
    run_handler(signal, entry.is_open.load(Relaxed), &mut || {
        // SAFETY: the program has installed it as a handler of this signal, and it is no special value: only those that
        // are none are replaced by this function.
        unsafe { transmute::<usize, Handler>(handler)(signal, info, context) }
    });
}

/// The entry of a signal; `None`: there is no such signal.
fn entry(signal: c_int) -> Option<&'static Entry> {
    usize::try_from(signal).ok().filter(|&number| number > 0).and_then(|number| ENTRIES.get(number))
}

impl Entry {
    fn get(&self) -> (sighandler_t, bool) {
        (self.handler.load(Relaxed), self.is_open.load(Relaxed))
    }

    /// A vfork child, whose memory is its parent's, changes nothing.
    fn set(&self, (handler, is_open): (sighandler_t, bool)) {
        if !in_vfork_child() {
            self.handler.store(handler, Relaxed);
            self.is_open.store(is_open, Relaxed);
        }
    }

    /// Takes a handler of the program and returns what the kernel gets.
    fn replace(&self, handler: sighandler_t, is_open: bool) -> sighandler_t {
        // Ours comes from a program that has asked past us.
        let none = matches!(handler, libc::SIG_DFL | libc::SIG_IGN | libc::SIG_ERR);
        if none || is_ours(handler) || in_vfork_child() {
            return handler;
        }
        self.set((handler, is_open));
        deliver as *const () as sighandler_t
    }
}

fn is_ours(handler: sighandler_t) -> bool {
    handler == deliver as *const () as sighandler_t
}

/// sigaction(2).
///
/// # Safety
/// As the C function.
pub unsafe fn sigaction(signal: c_int, new: *const libc::sigaction, old: *mut libc::sigaction) -> c_int {
    // SAFETY: null, or the caller's valid structures; `before` is written by a call that succeeds.
    unsafe {
        let Some(entry) = entry(signal) else { return next::sigaction(signal, new, old) };
        let kept = entry.get();
        let action = new.as_ref().map(|new| libc::sigaction {
            sa_sigaction: entry.replace(new.sa_sigaction, new.sa_flags & libc::SA_NODEFER != 0),
            ..*new
        });
        let mut before = MaybeUninit::<libc::sigaction>::uninit();
        let result = next::sigaction(signal, action.as_ref().map_or(ptr::null(), ptr::from_ref), before.as_mut_ptr());
        if result != 0 {
            entry.set(kept);
        } else if let Some(old) = old.as_mut() {
            *old = before.assume_init();
            if is_ours(old.sa_sigaction) {
                old.sa_sigaction = kept.0;
            }
        }
        result
    }
}

/// signal(2).
///
/// # Safety
/// As the C function.
pub unsafe fn signal(signal: c_int, handler: sighandler_t) -> sighandler_t {
    // SAFETY: the caller's promise; our function is a handler.
    unsafe {
        let Some(entry) = entry(signal) else { return next::signal(signal, handler) };
        let kept = entry.get();
        let before = next::signal(signal, entry.replace(handler, false));
        if before == libc::SIG_ERR {
            entry.set(kept);
        }
        if is_ours(before) { kept.0 } else { before }
    }
}
