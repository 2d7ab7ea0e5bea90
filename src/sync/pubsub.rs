// SPDX-License-Identifier: MIT OR Apache-2.0
//! Publish and subscribe: a message goes to everybody who waits at that moment.
//!
//! The message goes through the object's own buffer, because a parked subscriber's may not be in place. Each subscriber
//! copies it when it runs; the last one lets the publisher go on, and the next publisher begin. Those who have been woken
//! and have not run yet keep a destroyed object's memory.

use core::ffi::c_void;
use core::ptr;

use super::queue::Queue;
use crate::list::Link;
use crate::scheduler;
use crate::sys::{Errno, Result, memory};

/// A publish-subscribe channel; its buffer follows in the same allocation.
#[repr(C)]
pub struct PubSub {
    /// Of a destroyed one: its place among the doomed.
    doomed: Link,
    destroyed: bool,
    size: usize,
    length: usize,
    /// Who has been woken and has still to look: subscribers that copy the message, or the publisher whose turn it is.
    pending: usize,
    /// Those who were ended by an abort of their scheduler will not look any more.
    round: u32,
    subscribers: Queue,
    /// The publisher whose message is being copied.
    publishing: Queue,
    /// Publishers that wait for their turn.
    publishers: Queue,
}

/// Makes one for messages of at most `size` bytes.
pub fn create(size: usize) -> Result<*mut PubSub> {
    let bytes = size_of::<PubSub>().checked_add(size).ok_or(Errno(libc::ENOMEM))?;
    let pubsub: *mut PubSub = memory::array_zeroed::<u8>(bytes)?.as_ptr().cast();
    // SAFETY: fresh memory, which stays where it is.
    unsafe {
        (*pubsub).size = size;
        Queue::init(&raw mut (*pubsub).subscribers);
        Queue::init(&raw mut (*pubsub).publishing);
        Queue::init(&raw mut (*pubsub).publishers);
    }
    Ok(pubsub)
}

/// Gives a message to everybody who waits, and returns when all have copied it: `size`, or 0 when nobody waits. Outside
/// coroutines it returns at once, and EAGAIN while an earlier message is still being copied.
///
/// # Safety
/// `pubsub` came from [`create`] and is alive; `message` has `size` readable bytes, and 0 < `size` ≤ the object's.
pub unsafe fn publish(pubsub: *mut PubSub, message: *const c_void, size: usize) -> Result<usize> {
    // SAFETY: the caller's promise; after waiting for its turn the object's memory is there.
    unsafe {
        (*pubsub).forget_aborted();
        (*pubsub).subscribers.check_thread()?;
        if (*pubsub).pending > 0 {
            if scheduler::current().is_none() {
                return Err(Errno(libc::EAGAIN));
            }
            Queue::wait(&raw mut (*pubsub).publishers, 0, -1)?;
            if (*pubsub).destroyed {
                leave(pubsub);
                return Err(Errno(libc::EIDRM));
            }
            (*pubsub).pending = 0;
        }
        if (*pubsub).subscribers.is_empty() {
            (*pubsub).next_publisher();
            return Ok(0);
        }
        ptr::copy_nonoverlapping(message.cast::<u8>(), buffer(pubsub), size);
        (*pubsub).length = size;
        (*pubsub).round = scheduler::aborts();
        (*pubsub).pending = Queue::wake_where(&raw mut (*pubsub).subscribers, &mut |_| true);
        if scheduler::current().is_some() {
            Queue::wait(&raw mut (*pubsub).publishing, 0, -1)?;
        }
    }
    Ok(size)
}

/// Waits for the next message. EMSGSIZE when it is longer than `room`: for this subscriber alone.
///
/// # Safety
/// `pubsub` came from [`create`] and is alive; `message` has `room` writable bytes.
pub unsafe fn subscribe(pubsub: *mut PubSub, message: *mut c_void, room: usize, timeout: i32) -> Result<usize> {
    // SAFETY: the caller's promise; after a wait that ended well its memory is there: the last copy frees it.
    unsafe {
        Queue::wait(&raw mut (*pubsub).subscribers, 0, timeout)?;
        let length = (*pubsub).length;
        let fits = length <= room;
        if fits {
            ptr::copy_nonoverlapping(buffer(pubsub), message.cast::<u8>(), length);
        }
        leave(pubsub);
        if fits { Ok(length) } else { Err(Errno(libc::EMSGSIZE)) }
    }
}

/// The largest message, in bytes.
///
/// # Safety
/// `pubsub` came from [`create`] and is alive.
pub unsafe fn size(pubsub: *mut PubSub) -> usize {
    // SAFETY: the caller's promise.
    unsafe { (*pubsub).size }
}

/// Ends the object; who waits gets EIDRM. Those who have been woken for a message still get it.
///
/// # Safety
/// `pubsub` came from [`create`] and is not used again.
pub unsafe fn destroy(pubsub: *mut PubSub) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        (*pubsub).forget_aborted();
        (*pubsub).subscribers.check_thread()?;
        (*pubsub).publishing.check_thread()?;
        (*pubsub).publishers.check_thread()?;
        Queue::close(&raw mut (*pubsub).subscribers);
        Queue::close(&raw mut (*pubsub).publishing);
        Queue::close(&raw mut (*pubsub).publishers);
        if (*pubsub).pending > 0 {
            (*pubsub).destroyed = true;
            scheduler::doom(&raw mut (*pubsub).doomed);
        } else {
            memory::free(pubsub);
        }
    }
    Ok(())
}

/// One of those who have been woken has looked.
///
/// # Safety
/// It was counted in `pending`.
unsafe fn leave(pubsub: *mut PubSub) {
    // SAFETY: the caller's promise: the memory is there as long as somebody is pending.
    unsafe {
        (*pubsub).pending -= 1;
        if (*pubsub).pending > 0 {
            return;
        }
        if (*pubsub).destroyed {
            Link::unlink(&raw mut (*pubsub).doomed);
            memory::free(pubsub);
        } else {
            Queue::wake_first(&raw mut (*pubsub).publishing);
            (*pubsub).next_publisher();
        }
    }
}

impl PubSub {
    /// Nobody is pending: the turn goes to the publisher that came first.
    ///
    /// # Safety
    /// `self` is in place and its queues belong to this thread.
    unsafe fn next_publisher(&mut self) {
        // SAFETY: the caller's promise.
        if unsafe { Queue::wake_first(&raw mut self.publishers) } {
            self.pending = 1;
            self.round = scheduler::aborts();
        }
    }

    fn forget_aborted(&mut self) {
        if self.round != scheduler::aborts() {
            self.pending = 0;
        }
    }
}

/// # Safety
/// `pubsub` came from [`create`].
unsafe fn buffer(pubsub: *mut PubSub) -> *mut u8 {
    // SAFETY: the buffer follows the object.
    unsafe { pubsub.add(1).cast() }
}
