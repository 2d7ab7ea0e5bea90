// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waitgroups
//!
//! Members of a waitgroup report that they are done; others wait until
//! enough of them have.

use core::ffi::c_int;
use core::ptr;

use super::types::dyco_waitgroup;
use super::{destroyed, fail, number, pointer};
use crate::sync::waitgroup;
use crate::sys::Errno;

/// Creates a waitgroup without members.
///
/// @param suggest_size how many members are expected: a hint, any value
///                     works
/// @return the waitgroup, or NULL and errno: ENOMEM
#[unsafe(no_mangle)]
pub extern "C" fn dyco_waitgroup_create(suggest_size: c_int) -> *mut dyco_waitgroup {
    pointer(waitgroup::create(usize::try_from(suggest_size).unwrap_or(0)))
}

/// Destroys a waitgroup: every coroutine that waits on it returns -1 with
/// EIDRM.
///
/// Sets *group to NULL. NULL, and a pointer to NULL, are ignored. While
/// coroutines of another thread wait on it, nothing happens, and errno is
/// EPERM.
///
/// @param group where the program keeps the waitgroup
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_waitgroup_destroy(group: *mut *mut dyco_waitgroup) {
    // SAFETY: the program gives where it keeps a live waitgroup.
    unsafe {
        if !group.is_null() && !(*group).is_null() && destroyed(waitgroup::destroy((*group).cast())) {
            *group = ptr::null_mut();
        }
    }
}

/// Makes a coroutine of this thread a member.
///
/// @param group the waitgroup
/// @param cid   a live coroutine
/// @return 1 added; 0 it was a member; -1 and errno: EINVAL group is NULL;
///         ESRCH no such coroutine in this thread; ENOMEM
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_waitgroup_add(group: *mut dyco_waitgroup, cid: c_int) -> c_int {
    if group.is_null() {
        return fail(Errno(libc::EINVAL));
    }
    // SAFETY: the program gives a live waitgroup.
    number(unsafe { waitgroup::add(group.cast(), cid) })
}

/// The calling coroutine is done.
///
/// @param group the waitgroup
/// @return 1; 0 the caller is no member, or was done already; -1 and errno:
///         EINVAL group is NULL; EPERM outside a coroutine, or coroutines of
///         another thread wait
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_waitgroup_done(group: *mut dyco_waitgroup) -> c_int {
    if group.is_null() {
        return fail(Errno(libc::EINVAL));
    }
    // SAFETY: the program gives a live waitgroup.
    number(unsafe { waitgroup::done(group.cast()) })
}

/// Waits until enough members are done.
///
/// @param group   the waitgroup
/// @param target  how many; 0 or less: all there are
/// @param timeout milliseconds; negative: for ever; 0: does not wait and
///                tells how many are done now
/// @return how many are done; -1 and errno: EINVAL group is NULL; ETIMEDOUT;
///         EIDRM the waitgroup was destroyed; EPERM it would have to wait
///         outside a coroutine, or coroutines of another thread wait
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_waitgroup_wait(group: *mut dyco_waitgroup, target: c_int, timeout: c_int) -> c_int {
    if group.is_null() {
        return fail(Errno(libc::EINVAL));
    }
    // SAFETY: the program gives a live waitgroup.
    let done = unsafe { waitgroup::wait(group.cast(), u32::try_from(target).unwrap_or(0), timeout) };
    number(done.map(|done| done as c_int))
}
