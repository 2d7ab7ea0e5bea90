// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who waits for a descriptor, and what an event means to them.

use super::{READ, WRITE, Watch};
use crate::coroutine::{Waiter, Wake};
use crate::list::{Link, List};
use crate::poller::epoll::DescriptorEvent;
use crate::scheduler::Scheduler;

const READABLE: u32 = (libc::EPOLLIN | libc::EPOLLPRI | libc::EPOLLRDHUP | libc::EPOLLERR | libc::EPOLLHUP) as u32;
const WRITABLE: u32 = (libc::EPOLLOUT | libc::EPOLLERR | libc::EPOLLHUP) as u32;
/// Conditions that stay, or that an empty read does not rule out: no short cut after them.
const STICKY: u32 = (libc::EPOLLERR | libc::EPOLLHUP | libc::EPOLLRDHUP | libc::EPOLLPRI) as u32;
/// Wakes every waiter, whatever it asked for, as poll(2) does.
const ALWAYS: u32 = (libc::EPOLLERR | libc::EPOLLHUP) as u32;
pub(super) const OUT: u32 = libc::EPOLLOUT as u32;

/// The events of the kernel's answers that those of a poll(2) caller mean: the normal and the band forms too.
#[inline(always)]
pub(super) fn interest(events: u32) -> u32 {
    const IN_FORMS: u32 = (libc::POLLRDNORM | libc::POLLRDBAND) as u32;
    const OUT_FORMS: u32 = (libc::POLLWRNORM | libc::POLLWRBAND) as u32;
    let mut interest = events;
    if events & IN_FORMS != 0 {
        interest |= (libc::EPOLLIN | libc::EPOLLPRI) as u32;
    }
    if events & OUT_FORMS != 0 {
        interest |= OUT;
    }
    interest
}

impl Scheduler {
    /// Hangs a waiter on a watch.
    ///
    /// # Safety
    /// Both are valid; the waiter is in no list and its coroutine about to park.
    #[inline(always)]
    pub(in crate::scheduler) unsafe fn hang(&mut self, watch: *mut Watch, waiter: *mut Waiter, events: u32) {
        // SAFETY: the caller's promise.
        unsafe {
            let events = interest(events);
            (*waiter).events = events | ALWAYS;
            if events == OUT {
                List::push_back(&raw mut (*watch).writers, &raw mut (*waiter).link);
            } else {
                (*watch).mixed |= events & OUT != 0;
                List::push_back(&raw mut (*watch).readers, &raw mut (*waiter).link);
            }
        }
    }

    /// An event from the poller. One of another generation is of a descriptor that was closed, but whose file lives on
    /// under another number: it means nothing here.
    pub(in crate::scheduler) fn descriptor_event(&mut self, event: &DescriptorEvent) {
        let watch = self.watches.get(event.fd);
        if watch.is_null() {
            return;
        }
        // SAFETY: watches live as long as the scheduler.
        unsafe {
            if (*watch).registered == 0 || (*watch).generation != event.generation {
                return;
            }
            (*watch).sticky |= event.events & STICKY != 0;
            if event.events & READABLE != 0 {
                (*watch).ready |= READ;
                self.wake_all(&raw mut (*watch).readers, event.events, Wake::Ready);
            }
            if event.events & WRITABLE != 0 {
                (*watch).ready |= WRITE;
                self.wake_all(&raw mut (*watch).writers, event.events, Wake::Ready);
                if (*watch).mixed {
                    self.wake_all(&raw mut (*watch).readers, event.events, Wake::Ready);
                    (*watch).mixed = !(*watch).readers.is_empty();
                }
            }
        }
    }

    /// Wakes every waiter that one of `events` concerns; all ones: wakes all, and nothing has happened. Where there are
    /// several, each is left what has happened, because the first of them may take it; one alone can look for itself.
    ///
    /// Waking takes all waiters of a coroutine off, perhaps several of this list: so those that stay are moved aside, and
    /// back, instead of being walked past.
    ///
    /// # Safety
    /// `list` is a watch's.
    #[inline]
    pub(super) unsafe fn wake_all(&mut self, list: *mut List, events: u32, wake: Wake) {
        // SAFETY: the caller's promise; waiters in the lists belong to live coroutines of this scheduler.
        unsafe {
            let first = (*list).first();
            if first.is_null() {
                return;
            }
            if !(*list).after(first).is_null() {
                return self.wake_several(list, events, wake);
            }
            let waiter: *mut Waiter = first.cast();
            if (*waiter).events & events != 0 {
                (*waiter).events = 0;
                self.unpark((*waiter).coroutine, wake);
            }
        }
    }

    /// # Safety
    /// As of [`Scheduler::wake_all`].
    #[inline(never)]
    unsafe fn wake_several(&mut self, list: *mut List, events: u32, wake: Wake) {
        // SAFETY: as above.
        unsafe {
            let told = if events == u32::MAX { 0 } else { events };
            let mut aside: List = core::mem::zeroed();
            List::init(&raw mut aside);
            loop {
                let link = (*list).first();
                if link.is_null() {
                    break;
                }
                let waiter: *mut Waiter = link.cast();
                if (*waiter).events & events != 0 {
                    (*waiter).events &= told;
                    self.unpark((*waiter).coroutine, wake);
                } else {
                    Link::unlink(link);
                    List::push_back(&raw mut aside, link);
                }
            }
            loop {
                let link = List::pop_front(&raw mut aside);
                if link.is_null() {
                    break;
                }
                List::push_back(list, link);
            }
        }
    }
}

// `wake_all` takes a link in a watch's list for its waiter.
const _: () = assert!(memoffset::offset_of!(Waiter, link) == 0);
