// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looking names up. libc's resolver waits inside libc, where no hook is reached, so its functions run whole on a helper:
//! the answers are libc's own, with nsswitch, /etc/hosts and search domains. What the caller passes is copied, and answers
//! are copied to where the caller wants them after the wake.
//!
//! Nothing is looked up for addresses in figures and for port numbers: these are answered on the spot, if the coroutine's
//! stack has room for libc's function.

mod address_info;
mod host;

use core::ffi::{c_char, c_int};
use core::mem;

use crate::scheduler::Current;
use crate::scheduler::offload::Work;
use crate::sys::clock::NEVER;
use crate::sys::{Errno, Result, memory, next};

pub use address_info::{getaddrinfo, getnameinfo};
pub use host::{Query, get_host, get_host_r};

/// What libc's functions want of the stack when they look nothing up: 10,040 bytes were measured, with AI_ADDRCONFIG.
const ROOM: usize = 12 << 10;

/// Does the work on a helper, or on the spot when nothing is looked up or there is no helper, and gives it to `take`.
fn resolve<W: Work, T>(
    current: Current,
    looks_up: bool,
    make: impl Fn() -> Result<W>,
    take: impl FnOnce(&mut W) -> T,
) -> Result<T> {
    let on_the_spot = !looks_up && current.stack_room() >= ROOM;
    while !on_the_spot && current.can_offload() {
        match current.offload(make()?, NEVER) {
            Ok(mut done) => return Ok(take(&mut done)),
            // This is a forked child: what its parent's helper was asked is asked again.
            Err(Errno(libc::ECANCELED)) => {}
            Err(_) => break,
        }
    }
    let mut work = make()?;
    work.run();
    Ok(take(&mut work))
}

/// A C string on the heap; null stays null.
struct Text(*mut c_char);

impl Text {
    /// # Safety
    /// Null or a C string.
    unsafe fn copy(text: *const c_char) -> Result<Text> {
        if text.is_null() {
            return Ok(Text(core::ptr::null_mut()));
        }
        // SAFETY: the caller's promise; the copy has room for it and the NUL at its end.
        unsafe {
            let size = libc::strlen(text) + 1;
            let copy = memory::array_zeroed::<c_char>(size)?.as_ptr();
            copy.copy_from_nonoverlapping(text, size);
            Ok(Text(copy))
        }
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        // SAFETY: null or ours, and not used again.
        unsafe { memory::free(self.0) };
    }
}

/// Whether getaddrinfo takes it for an address in figures.
///
/// # Safety
/// A C string.
unsafe fn is_numeric(host: *const c_char) -> bool {
    // SAFETY: the caller's promise; the addresses are valid out parameters, and plain data.
    unsafe {
        let mut address: [u8; 16] = mem::zeroed();
        let mut text = [0 as c_char; 64];
        // An interface may follow the address.
        let length = libc::strcspn(host, c"%".as_ptr());
        if length >= text.len() {
            return false;
        }
        text[..length].copy_from_slice(core::slice::from_raw_parts(host, length));
        // Behind a space inet_aton does not look, getaddrinfo does.
        let exact = libc::strpbrk(host, c" \t\n\x0b\x0c\r".as_ptr()).is_null();
        exact && inet_aton(host, address.as_mut_ptr()) != 0
            || inet_pton(libc::AF_INET6, text.as_ptr(), address.as_mut_ptr()) == 1
    }
}

unsafe extern "C" {
    fn inet_aton(text: *const c_char, address: *mut u8) -> c_int;
    fn inet_pton(family: c_int, text: *const c_char, address: *mut u8) -> c_int;
}

/// `h_errno` of the thread that does the work: the caller's before, and the caller's afterwards.
struct HostError(c_int);

impl HostError {
    /// The caller's.
    fn of(current: Current) -> HostError {
        // SAFETY: the place is the calling coroutine's.
        HostError(unsafe { *location(current) })
    }

    /// Does something in the thread that does the work.
    fn during(&mut self, work: impl FnOnce()) {
        // SAFETY: libc's place for this thread.
        unsafe {
            let place = next::__h_errno_location();
            *place = self.0;
            work();
            self.0 = *place;
        }
    }

    /// Sets the caller's. herror(3) looks at the thread's.
    fn hand_over(&self, current: Current) {
        // SAFETY: the place is the calling coroutine's, and libc's is this thread's.
        unsafe {
            *location(current) = self.0;
            *next::__h_errno_location() = self.0;
        }
    }
}

/// Where the calling coroutine's `h_errno` is; the thread's, for want of memory.
pub fn location(current: Current) -> *mut c_int {
    // SAFETY: no preconditions.
    current.h_errno().unwrap_or_else(|_| unsafe { next::__h_errno_location() })
}
