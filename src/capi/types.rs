// SPDX-License-Identifier: MIT OR Apache-2.0
//! Types and constants

#![allow(dead_code)] // most are for the header alone

use core::ffi::c_void;

/// Bytes of a scheduler's shared stack, unless dyco_schedule_create() is
/// told otherwise.
pub const DYCO_MAX_STACKSIZE: usize = 64 * 1024;

/// Bytes that are a good size for a coroutine's own stack.
pub const DYCO_DEFAULT_STACKSIZE: usize = 16 * 1024;

/// Bytes of the longest message of a channel that is created with size 0.
pub const DYCO_DEFAULT_CHANNELSIZE: usize = 256;

/// Events that a scheduler takes from the kernel at a time.
pub const DYCO_MAX_EVENTS: i32 = 1024;

/// Urgent coroutines that run in a row while ordinary ones are ready.
pub const DYCO_URGENT_MAXEXEC: i32 = 128;

/// Turns that an ordinary coroutine may have to wait for urgent ones.
pub const DYCO_URGENT_MAXWAIT: i32 = 128;

/// A coroutine's function. The coroutine ends when it returns.
pub type proc_coroutine = Option<unsafe extern "C" fn(arg: *mut c_void)>;

/// A thread's scheduler.
pub struct dyco_schedule {
    _opaque: [u8; 0],
}

/// A coroutine. Functions name it by its cid.
pub struct dyco_coroutine {
    _opaque: [u8; 0],
}

/// A pool of coroutines.
pub struct dyco_coropool {
    _opaque: [u8; 0],
}

/// A channel that holds one message.
pub struct dyco_channel {
    _opaque: [u8; 0],
}

/// A channel whose messages go to all that wait.
pub struct dyco_pubsubchannel {
    _opaque: [u8; 0],
}

/// A group of coroutines that others wait for.
pub struct dyco_waitgroup {
    _opaque: [u8; 0],
}

/// A counting semaphore.
pub struct dyco_semaphore {
    _opaque: [u8; 0],
}
