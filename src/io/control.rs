// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptors that travel in a message's control data (SCM_RIGHTS).

use core::ffi::c_int;

use libc::msghdr;

use crate::poller::descriptors::{self, flag};

/// Notes that the receiver of a message may now change the flags of the descriptors that were sent with it.
///
/// # Safety
/// The kernel has just accepted the message, so its control data can be read.
pub unsafe fn sent(message: &msghdr) {
    // SAFETY: the caller's promise.
    unsafe { each_descriptor(message, |fd| descriptors::add_flags(fd, flag::SHARED)) };
}

/// Forgets what was known of the numbers under which descriptors have arrived: a number that was closed behind our back
/// may still have its record.
///
/// # Safety
/// The kernel has just filled the message in.
pub unsafe fn received(message: &msghdr) {
    // SAFETY: the caller's promise.
    unsafe { each_descriptor(message, descriptors::forget) };
}

unsafe fn each_descriptor(message: &msghdr, mut each: impl FnMut(c_int)) {
    if message.msg_controllen == 0 {
        return;
    }
    // SAFETY: the control data is readable, and the CMSG functions stay within it.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while let Some(control) = header.as_ref() {
            if control.cmsg_level == libc::SOL_SOCKET && control.cmsg_type == libc::SCM_RIGHTS {
                let data = libc::CMSG_DATA(control);
                let bytes = control.cmsg_len.saturating_sub(data as usize - header as usize);
                for index in 0..bytes / size_of::<c_int>() {
                    each(data.cast::<c_int>().add(index).read_unaligned());
                }
            }
            header = libc::CMSG_NXTHDR(message, control);
        }
    }
}
