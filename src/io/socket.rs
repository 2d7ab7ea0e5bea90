// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making sockets: nothing here waits, but every socket's birth is noted.

use core::ffi::c_int;

use crate::poller::descriptors::{self, flag};
use crate::scheduler::in_vfork_child;
use crate::sys::next;
use crate::syscall;

/// `socket`. `reuse`: a stream socket gets SO_REUSEADDR, on which programs for the `dyco_*` functions rely.
pub fn socket(domain: c_int, kind: c_int, protocol: c_int, reuse: bool) -> c_int {
    // SAFETY: takes numbers only.
    let fd = unsafe { next::socket(domain, kind, protocol) };
    if fd < 0 || in_vfork_child() {
        return fd;
    }
    let facts = facts(domain, kind, protocol);
    born(fd, facts | flag::TIMEOUTS);
    if reuse && facts & flag::STREAM != 0 {
        let yes: c_int = 1;
        // A socket without this option works too.
        // SAFETY: `yes` is valid for the call.
        let _ = unsafe {
            syscall!(SYS_setsockopt, fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, &raw const yes, size_of::<c_int>())
        };
    }
    fd
}

/// `socketpair`.
///
/// # Safety
/// As socketpair(2).
pub unsafe fn socketpair(domain: c_int, kind: c_int, protocol: c_int, pair: *mut c_int) -> c_int {
    // SAFETY: the caller's promise.
    let result = unsafe { next::socketpair(domain, kind, protocol, pair) };
    if result == 0 && !in_vfork_child() {
        for index in 0..2 {
            // SAFETY: libc has just filled in two numbers.
            born(unsafe { *pair.add(index) }, facts(domain, kind, protocol) | flag::TIMEOUTS);
        }
    }
    result
}

/// Notes a socket's birth. Without the hooks nobody would see its end.
pub fn born(fd: c_int, facts: u32) {
    if cfg!(feature = "hook") {
        descriptors::born(fd, facts);
    }
}

/// What is known of a socket by how it was made.
pub fn facts(domain: c_int, kind: c_int, protocol: c_int) -> u32 {
    let inet = domain == libc::AF_INET || domain == libc::AF_INET6;
    let stream = kind & !(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) == libc::SOCK_STREAM;
    let mut facts = flag::SOCKET;
    if inet {
        facts |= flag::INET;
    }
    if stream {
        facts |= flag::STREAM;
    }
    if inet && stream && (protocol == 0 || protocol == libc::IPPROTO_TCP) {
        facts |= flag::TCP;
    }
    if kind & libc::SOCK_NONBLOCK != 0 {
        facts |= flag::NONBLOCK;
    }
    facts
}
