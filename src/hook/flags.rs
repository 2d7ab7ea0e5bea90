// SPDX-License-Identifier: MIT OR Apache-2.0
//! The calls that change a descriptor's flags, a socket's timeouts, or give a description another number. They do not
//! wait, but for fcntl's locks; we only have to know.
//!
//! `fcntl` and `ioctl` are variadic in C. On our machines a variadic integer or pointer travels where a third argument
//! of the width of a register does.

use core::ffi::{c_int, c_long, c_ulong, c_void};

use libc::socklen_t;

use crate::io::{c_number, description, lock};
use crate::scheduler::blocked::watched;
use crate::scheduler::hooked as current;
use crate::sys::next;

/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fcntl(fd: c_int, command: c_int, arg: c_long) -> c_int {
    watched("fcntl", move || {
        match current() {
            // SAFETY: the caller keeps libc's promises.
            Some(current) if lock::waits(command) => c_number(unsafe { lock::fcntl(current, fd, command, arg) }),
            // SAFETY: the same.
            _ => unsafe { description::fcntl(next::fcntl, fd, command, arg) },
        }
    })
}

/// As [`fcntl`]: what programs with 64-bit file offsets call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fcntl64(fd: c_int, command: c_int, arg: c_long) -> c_int {
    watched("fcntl64", move || {
        match current() {
            // SAFETY: the caller keeps libc's promises.
            Some(current) if lock::waits(command) => c_number(unsafe { lock::fcntl(current, fd, command, arg) }),
            // SAFETY: the same.
            _ => unsafe { description::fcntl(next::fcntl64, fd, command, arg) },
        }
    })
}

/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioctl(fd: c_int, request: c_ulong, arg: c_long) -> c_int {
    // SAFETY: the caller keeps libc's promises.
    unsafe { description::ioctl(fd, request, arg) }
}

/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    length: socklen_t,
) -> c_int {
    // SAFETY: the caller keeps libc's promises.
    unsafe { description::setsockopt(fd, level, name, value, length) }
}

/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dup(fd: c_int) -> c_int {
    // SAFETY: no preconditions.
    unsafe { description::dup(fd) }
}

/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dup2(fd: c_int, to: c_int) -> c_int {
    // SAFETY: no preconditions.
    unsafe { description::dup2(fd, to) }
}

/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dup3(fd: c_int, to: c_int, flags: c_int) -> c_int {
    // SAFETY: no preconditions.
    unsafe { description::dup3(fd, to, flags) }
}
