// SPDX-License-Identifier: MIT OR Apache-2.0
//! Publish and subscribe
//!
//! A published message goes to every coroutine that waits for one at that
//! moment.

use core::ffi::{c_int, c_void};
use core::ptr;

use super::types::{DYCO_DEFAULT_CHANNELSIZE, dyco_pubsubchannel};
use super::{bad_argument, destroyed, pointer};
use crate::io::c_size;
use crate::sync::pubsub;
use crate::sys::Errno;

/// Creates a publish-subscribe channel.
///
/// @param size bytes of its longest message; 0 for
///             DYCO_DEFAULT_CHANNELSIZE
/// @return the channel, or NULL and errno: ENOMEM
#[unsafe(no_mangle)]
pub extern "C" fn dyco_pubsub_create(size: usize) -> *mut dyco_pubsubchannel {
    pointer(pubsub::create(if size == 0 { DYCO_DEFAULT_CHANNELSIZE } else { size }))
}

/// Destroys a publish-subscribe channel: every coroutine that waits on it
/// returns -1 with EIDRM.
///
/// Sets *ps to NULL. NULL, and a pointer to NULL, are ignored. While
/// coroutines of another thread wait on it, nothing happens, and errno is
/// EPERM.
///
/// @param ps where the program keeps the channel
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_pubsub_destroy(ps: *mut *mut dyco_pubsubchannel) {
    // SAFETY: the program gives where it keeps a live channel.
    unsafe {
        if !ps.is_null() && !(*ps).is_null() && destroyed(pubsub::destroy((*ps).cast())) {
            *ps = ptr::null_mut();
        }
    }
}

/// Publishes a message to every subscriber that waits.
///
/// Returns after each of them has taken its copy, so a publisher in a
/// loop loses no subscriber that subscribes in a loop. Outside a coroutine
/// it returns at once; the subscribers take their copies when they run.
///
/// @param ps   the channel
/// @param buf  the message
/// @param size its length: 1 to the channel's size
/// @return size; 0 nobody waits; -2 a bad argument (EINVAL: NULL, or
///         size 0; EMSGSIZE: too long); -1 and errno: EIDRM the channel was
///         destroyed meanwhile; EAGAIN outside a coroutine, while an
///         earlier message has not been taken by all; EPERM coroutines of
///         another thread use the channel
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_pubsub_publish(ps: *mut dyco_pubsubchannel, buf: *const c_void, size: usize) -> isize {
    if ps.is_null() || buf.is_null() {
        return bad_argument(Errno(libc::EINVAL));
    }
    let ps: *mut pubsub::PubSub = ps.cast();
    // SAFETY: the program gives a live channel and a message of that size.
    unsafe {
        if size == 0 || size > pubsub::size(ps) {
            return bad_argument(Errno(if size == 0 { libc::EINVAL } else { libc::EMSGSIZE }));
        }
        c_size(pubsub::publish(ps, buf, size))
    }
}

/// Waits for the next message that is published.
///
/// @param ps      the channel
/// @param buf     where the message goes
/// @param maxsize how long it may be
/// @param timeout milliseconds; negative: for ever; 0: ETIMEDOUT at once
/// @return the message's length; -2 a bad argument (EINVAL); -1 and errno:
///         ETIMEDOUT; EMSGSIZE the message is longer than maxsize, and is
///         lost for this subscriber; EIDRM the channel was destroyed;
///         EPERM outside a coroutine, or coroutines of another thread use
///         the channel
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_pubsub_subscribe(
    ps: *mut dyco_pubsubchannel,
    buf: *mut c_void,
    maxsize: usize,
    timeout: c_int,
) -> isize {
    if ps.is_null() || buf.is_null() || maxsize == 0 {
        return bad_argument(Errno(libc::EINVAL));
    }
    // SAFETY: the program gives a live channel and a buffer of that size.
    unsafe { c_size(pubsub::subscribe(ps.cast(), buf, maxsize, timeout)) }
}
