// SPDX-License-Identifier: MIT OR Apache-2.0
//! waitpid and its kin. Outside coroutines they are libc's own, unless a coroutine waits for a child that must not be taken
//! from it.

use core::ffi::c_int;
use core::ptr;

use libc::{id_t, idtype_t, pid_t, rusage, siginfo_t};

use crate::io::{c_number, child};
use crate::scheduler::blocked::watched;
use crate::scheduler::hooked as current;
use crate::sys::next;

/// As libc's; inside a coroutine only the coroutine waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wait(status: *mut c_int) -> pid_t {
    watched("wait", move || {
        if current().is_none() && !child::are_claimed() {
            // SAFETY: the caller keeps libc's promises.
            return unsafe { next::wait(status) };
        }
        // SAFETY: the same.
        c_number(unsafe { child::wait4(-1, status, 0, ptr::null_mut()) })
    })
}

/// As libc's; inside a coroutine only the coroutine waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waitpid(pid: pid_t, status: *mut c_int, options: c_int) -> pid_t {
    watched("waitpid", move || {
        if current().is_none() && !child::are_claimed() {
            // SAFETY: the caller keeps libc's promises.
            return unsafe { next::waitpid(pid, status, options) };
        }
        // SAFETY: the same.
        c_number(unsafe { child::wait4(pid, status, options, ptr::null_mut()) })
    })
}

/// As libc's; inside a coroutine only the coroutine waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wait3(status: *mut c_int, options: c_int, usage: *mut rusage) -> pid_t {
    watched("wait3", move || {
        if current().is_none() && !child::are_claimed() {
            // SAFETY: the caller keeps libc's promises.
            return unsafe { next::wait3(status, options, usage) };
        }
        // SAFETY: the same.
        c_number(unsafe { child::wait4(-1, status, options, usage) })
    })
}

/// As libc's; inside a coroutine only the coroutine waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wait4(pid: pid_t, status: *mut c_int, options: c_int, usage: *mut rusage) -> pid_t {
    watched("wait4", move || {
        if current().is_none() && !child::are_claimed() {
            // SAFETY: the caller keeps libc's promises.
            return unsafe { next::wait4(pid, status, options, usage) };
        }
        // SAFETY: the same.
        c_number(unsafe { child::wait4(pid, status, options, usage) })
    })
}

/// As libc's; inside a coroutine only the coroutine waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waitid(kind: idtype_t, id: id_t, info: *mut siginfo_t, options: c_int) -> c_int {
    watched("waitid", move || {
        if current().is_none() && !child::are_claimed() {
            // SAFETY: the caller keeps libc's promises.
            return unsafe { next::waitid(kind, id, info, options) };
        }
        // SAFETY: the same.
        c_number(unsafe { child::waitid(kind, id, info, options) })
    })
}
