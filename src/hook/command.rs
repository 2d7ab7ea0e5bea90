// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands for the shell.

use core::ffi::{c_char, c_int};
use core::ptr;

use libc::FILE;

use crate::io::command as commands;
use crate::scheduler::blocked::watched;
use crate::scheduler::hooked as current;
use crate::sys::{errno, next};

/// As libc's; inside a coroutine only the coroutine waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn system(command: *const c_char) -> c_int {
    watched("system", move || {
        match current() {
            // SAFETY: the C caller's promise, as everywhere in this file.
            Some(current) => unsafe { commands::system(current, command) },
            // SAFETY: see above.
            None => unsafe { commands::system_outside(command) },
        }
    })
}

/// As libc's; inside a coroutine the child is one that nobody else waits for by accident.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn popen(command: *const c_char, mode: *const c_char) -> *mut FILE {
    watched("popen", move || {
        match current() {
            // SAFETY: see `system`.
            Some(_) => unsafe { commands::popen(command, mode) }.unwrap_or_else(|error| {
                errno::set(error);
                ptr::null_mut()
            }),
            // SAFETY: see `system`.
            None => unsafe { next::popen(command, mode) },
        }
    })
}

/// As libc's; inside a coroutine only the coroutine waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pclose(stream: *mut FILE) -> c_int {
    watched("pclose", move || {
        // SAFETY: see `system`.
        unsafe { commands::pclose(stream) }
    })
}
