// SPDX-License-Identifier: MIT OR Apache-2.0
//! Channels
//!
//! A channel holds one message. Any number of coroutines of a thread may
//! send and receive; each side is served in the order in which it came.

use core::ffi::{c_int, c_void};
use core::ptr;

use super::types::{DYCO_DEFAULT_CHANNELSIZE, dyco_channel};
use super::{bad_argument, destroyed, pointer, transferred};
use crate::sync::channel::{self, Side};
use crate::sys::Errno;

/// Creates a channel.
///
/// @param size bytes of its longest message; 0 for
///             DYCO_DEFAULT_CHANNELSIZE
/// @return the channel, or NULL and errno: ENOMEM
#[unsafe(no_mangle)]
pub extern "C" fn dyco_channel_create(size: usize) -> *mut dyco_channel {
    pointer(channel::create(if size == 0 { DYCO_DEFAULT_CHANNELSIZE } else { size }))
}

/// Sends a message: at once when the channel is free, else when the
/// message before has been taken; then returns without waiting for a
/// receiver. The message is copied.
///
/// Outside a coroutine it sends if it can do so at once.
///
/// @param chan    the channel
/// @param buf     the message
/// @param size    its length: 1 to the channel's size
/// @param timeout milliseconds; negative: for ever; 0: does not wait
/// @return size; 0 the channel was destroyed meanwhile; -2 a bad argument
///         (EINVAL: NULL, or size 0; EMSGSIZE: too long); -1 and errno:
///         ETIMEDOUT; EPERM it would have to wait outside a coroutine,
///         or coroutines of another thread use the channel
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_channel_send(
    chan: *mut dyco_channel,
    buf: *const c_void,
    size: usize,
    timeout: c_int,
) -> isize {
    if chan.is_null() || buf.is_null() {
        return bad_argument(Errno(libc::EINVAL));
    }
    // SAFETY: the program gives a live channel and a message of that size.
    unsafe {
        if size == 0 || size > channel::size(chan.cast()) {
            return bad_argument(Errno(if size == 0 { libc::EINVAL } else { libc::EMSGSIZE }));
        }
        pass(chan, buf.cast_mut(), size, timeout, Side::Send)
    }
}

/// Receives a message, waiting for one if there is none.
///
/// A message longer than maxsize stays in the channel, for a receiver with
/// more room. Outside a coroutine it receives if there is a message.
///
/// @param chan    the channel
/// @param buf     where the message goes
/// @param maxsize how long it may be
/// @param timeout milliseconds; negative: for ever; 0: does not wait
/// @return the message's length; 0 the channel was destroyed meanwhile;
///         -2 a bad argument (EINVAL); -1 and errno: ETIMEDOUT; EMSGSIZE;
///         EPERM it would have to wait outside a coroutine, or coroutines
///         of another thread use the channel
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_channel_recv(
    chan: *mut dyco_channel,
    buf: *mut c_void,
    maxsize: usize,
    timeout: c_int,
) -> isize {
    if chan.is_null() || buf.is_null() || maxsize == 0 {
        return bad_argument(Errno(libc::EINVAL));
    }
    // SAFETY: the program gives a live channel and a buffer of that size.
    unsafe { pass(chan, buf, maxsize, timeout, Side::Receive) }
}

/// Not inlined: see [`channel::pass`].
///
/// # Safety
/// As for it.
#[inline(never)]
unsafe fn pass(chan: *mut dyco_channel, buf: *mut c_void, size: usize, timeout: c_int, side: Side) -> isize {
    // SAFETY: the caller's promise.
    transferred(unsafe { channel::pass(chan.cast(), buf, size, timeout, side) })
}

/// Destroys a channel: every coroutine that waits on it returns 0. A
/// message in it that nobody has received is lost.
///
/// Sets *chan to NULL. NULL, and a pointer to NULL, are ignored. While
/// coroutines of another thread wait on it, nothing happens, and errno is
/// EPERM.
///
/// @param chan where the program keeps the channel
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_channel_destroy(chan: *mut *mut dyco_channel) {
    // SAFETY: the program gives where it keeps a live channel.
    unsafe {
        if !chan.is_null() && !(*chan).is_null() && destroyed(channel::destroy((*chan).cast())) {
            *chan = ptr::null_mut();
        }
    }
}
