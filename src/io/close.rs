// SPDX-License-Identifier: MIT OR Apache-2.0
//! Closing descriptors: who waits for one learns of it.

use core::ffi::c_int;

use super::c_number;
use crate::poller::descriptors;
use crate::scheduler::{current, descriptor_closed, descriptor_closing, in_vfork_child};
use crate::sys::{Errno, errno, next};
use crate::syscall;

/// `close`.
pub fn close(fd: c_int) -> c_int {
    if in_vfork_child() {
        // SAFETY: takes a number only. The table is the parent's, whose descriptor stays open.
        return unsafe { next::close(fd) };
    }
    if descriptors::get(fd).internal() && is_anonymous(fd) {
        // A program that closes all numbers there are: this one is none of its own.
        errno::set(Errno(libc::EBADF));
        return -1;
    }
    let before = errno::get();
    let closing = descriptor_closing(fd);
    errno::set(before);
    let result = match current() {
        // SAFETY: takes a number only; what we knew of it is forgotten.
        Some(_) => c_number(unsafe { syscall!(SYS_close, fd) }),
        // SAFETY: as above.
        None => unsafe { next::close(fd) },
    };
    let after = errno::get();
    // Linux lets go of the number whatever else goes wrong.
    descriptor_closed(closing, result == 0 || after != Errno(libc::EBADF));
    errno::set(after);
    result
}

/// Whether the number still belongs to a file without a name, as those of pollers are, and was not closed behind our back
/// and used again.
#[cold]
fn is_anonymous(fd: c_int) -> bool {
    // SAFETY: a stat of zeros is valid, and a valid out parameter.
    let mut stat: libc::stat = unsafe { core::mem::zeroed() };
    // SAFETY: as above.
    unsafe { syscall!(SYS_fstat, fd, &raw mut stat) }.is_ok() && stat.st_mode & libc::S_IFMT == 0
}
