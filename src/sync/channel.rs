// SPDX-License-Identifier: MIT OR Apache-2.0
//! A half-duplex channel that holds one message.
//!
//! A message always goes through the channel's own buffer: a parked receiver's may lie in a shared stack and not be in
//! place. The place and the message are handed over explicitly: when the message has been put, the first receiver is woken
//! and it alone may take it; when the message has been taken, the first sender is woken and it alone may put one. So both
//! sides are served in order, and a newcomer never overtakes.
//!
//! Who takes a message while senders wait puts the first one's message into the place at once, if it can be read where it
//! is; that sender has then sent and looks at the channel no more. So a stream takes one switch per message and not two.
//!
//! Who has been promised something and has not run yet keeps a destroyed channel's memory.

use core::ffi::c_void;
use core::ptr;

use super::queue::Queue;
use crate::list::Link;
use crate::scheduler::{self, PRIVATE};
use crate::sys::{Errno, Result, memory};

/// The tag of a sender whose message has been put for it; no message has that size.
const FETCHED: u32 = 0;

/// Who may touch the place next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Empty: any sender.
    Empty,
    /// Empty, promised to a sender that has been woken for it.
    Promised,
    /// A message: any receiver.
    Full,
    /// A message, promised to a receiver that has been woken for it.
    Delivered,
}

/// A channel; its buffer follows in the same allocation.
#[repr(C)]
pub struct Channel {
    /// Of a destroyed one: its place among the doomed.
    doomed: Link,
    destroyed: bool,
    size: usize,
    length: usize,
    place: Place,
    /// Promises of coroutines that were ended by an abort of their scheduler are void.
    promise: u32,
    senders: Queue,
    receivers: Queue,
}

/// Makes a channel for messages of at most `size` bytes.
pub fn create(size: usize) -> Result<*mut Channel> {
    let bytes = size_of::<Channel>().checked_add(size).ok_or(Errno(libc::ENOMEM))?;
    let channel: *mut Channel = memory::array_zeroed::<u8>(bytes)?.as_ptr().cast();
    // SAFETY: fresh memory, which stays where it is.
    unsafe {
        (*channel).size = size;
        (*channel).place = Place::Empty;
        Queue::init(&raw mut (*channel).senders);
        Queue::init(&raw mut (*channel).receivers);
    }
    Ok(channel)
}

/// What a coroutine does with a channel.
#[derive(Clone, Copy)]
pub enum Side {
    /// Puts a message: at once when the place is free, else when the message before has been taken.
    Send,
    /// Takes a message.
    Receive,
}

/// Sends `size` bytes, or receives at most `size`, and says how many. EMSGSIZE when the message is longer: it stays, for the
/// next receiver.
///
/// Both sides wait at one place in the code: where they take turns the processor foresees the way back from there.
///
/// # Safety
/// `channel` came from [`create`] and is alive; `message` has `size` bytes, which are written only to receive. To send,
/// 0 < `size` ≤ the channel's.
pub unsafe fn pass(
    channel: *mut Channel,
    message: *mut c_void,
    size: usize,
    timeout: i32,
    side: Side,
) -> Result<usize> {
    // SAFETY: the caller's promise; after a wait that ended well the channel's memory is there.
    unsafe {
        (*channel).void_broken_promise();
        let (mine, queue, other) = match side {
            Side::Send => (Place::Empty, &raw mut (*channel).senders, &raw mut (*channel).receivers),
            Side::Receive => (Place::Full, &raw mut (*channel).receivers, &raw mut (*channel).senders),
        };
        (*other).check_thread()?;
        if (*channel).place != mine {
            let tag = match side {
                Side::Send => scheduler::offer(message.cast(), size),
                Side::Receive => PRIVATE,
            };
            if Queue::wait(queue, tag, timeout)? == FETCHED {
                return Ok(size);
            }
        }
        match side {
            Side::Send => put(channel, message, size),
            Side::Receive => take(channel, message, size),
        }
    }
}

/// # Safety
/// As for [`pass`]; the place is the caller's.
unsafe fn put(channel: *mut Channel, message: *const c_void, size: usize) -> Result<usize> {
    // SAFETY: the caller's promise.
    unsafe {
        if (*channel).destroyed {
            leave_destroyed(channel);
            return Err(Errno(libc::EIDRM));
        }
        ptr::copy_nonoverlapping(message.cast::<u8>(), buffer(channel), size);
        (*channel).length = size;
        (*channel).offer();
    }
    Ok(size)
}

/// # Safety
/// As for [`pass`]; the message is the caller's.
unsafe fn take(channel: *mut Channel, message: *mut c_void, room: usize) -> Result<usize> {
    // SAFETY: the caller's promise.
    unsafe {
        let length = (*channel).length;
        let fits = length <= room;
        if fits {
            ptr::copy_nonoverlapping(buffer(channel), message.cast::<u8>(), length);
        }
        if (*channel).destroyed {
            leave_destroyed(channel);
            return if fits { Ok(length) } else { Err(Errno(libc::EIDRM)) };
        }
        if !fits {
            (*channel).offer();
            return Err(Errno(libc::EMSGSIZE));
        }
        (*channel).place = Place::Empty;
        if (*channel).fetch() {
            (*channel).offer();
        } else if Queue::wake_first(&raw mut (*channel).senders) {
            (*channel).promise(Place::Promised);
        }
        Ok(length)
    }
}

/// The largest message, in bytes.
///
/// # Safety
/// `channel` came from [`create`] and is alive.
pub unsafe fn size(channel: *mut Channel) -> usize {
    // SAFETY: the caller's promise.
    unsafe { (*channel).size }
}

/// Ends the channel; who waits gets EIDRM. A receiver that has been woken for a message still gets it.
///
/// # Safety
/// `channel` came from [`create`] and is not used again.
pub unsafe fn destroy(channel: *mut Channel) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        (*channel).void_broken_promise();
        (*channel).senders.check_thread()?;
        (*channel).receivers.check_thread()?;
        Queue::close(&raw mut (*channel).senders);
        Queue::close(&raw mut (*channel).receivers);
        if matches!((*channel).place, Place::Promised | Place::Delivered) {
            (*channel).destroyed = true;
            scheduler::doom(&raw mut (*channel).doomed);
        } else {
            memory::free(channel);
        }
    }
    Ok(())
}

/// The one to whom the place was promised has looked: now the memory goes.
///
/// # Safety
/// `channel` is destroyed, and the caller the last who knows it.
unsafe fn leave_destroyed(channel: *mut Channel) {
    // SAFETY: the caller's promise.
    unsafe {
        Link::unlink(&raw mut (*channel).doomed);
        memory::free(channel);
    }
}

impl Channel {
    /// The place holds a message: who waits first shall have it.
    ///
    /// # Safety
    /// `self` is in place and its queues belong to this thread.
    unsafe fn offer(&mut self) {
        self.place = Place::Full;
        // SAFETY: the caller's promise.
        if unsafe { Queue::wake_first(&raw mut self.receivers) } {
            self.promise(Place::Delivered);
        }
    }

    /// Puts the first sender's message into the free place, if there is one who waits and its message can be read.
    ///
    /// # Safety
    /// As for [`Channel::offer`].
    #[inline(always)]
    unsafe fn fetch(&mut self) -> bool {
        let channel: *mut Channel = self;
        // SAFETY: the caller's promise; a sender's message stays while it waits and is no longer than the buffer.
        unsafe {
            Queue::wake_first_if(&raw mut (*channel).senders, |message, size| {
                if *size == PRIVATE {
                    return false;
                }
                ptr::copy_nonoverlapping(message, buffer(channel), *size as usize);
                (*channel).length = *size as usize;
                *size = FETCHED;
                true
            })
        }
    }

    fn promise(&mut self, place: Place) {
        self.place = place;
        self.promise = scheduler::aborts();
    }

    fn void_broken_promise(&mut self) {
        if self.promise != scheduler::aborts() {
            match self.place {
                Place::Promised => self.place = Place::Empty,
                Place::Delivered => self.place = Place::Full,
                Place::Empty | Place::Full => {}
            }
        }
    }
}

/// # Safety
/// `channel` came from [`create`].
unsafe fn buffer(channel: *mut Channel) -> *mut u8 {
    // SAFETY: the buffer follows the channel.
    unsafe { channel.add(1).cast() }
}
