// SPDX-License-Identifier: MIT OR Apache-2.0
//! The descriptors that this thread waits for, and who waits.
//!
//! A descriptor is registered once, edge-triggered, and stays registered, so that waiting again costs no system call.
//! The kernel's key of a registration is (file, number), and a registration vanishes silently when the file is closed:
//! by a hook, which tells us, or behind our back (fclose, a raw system call, another library). So:
//!
//! - a number whose birth a hook has seen is trusted while its generation lasts;
//! - any other is registered again before each wait: EPOLL_CTL_ADD says EEXIST when it still is;
//! - a trusted one that has been waited for in silence for [`CHECK_AFTER`] while the thread had nothing to do, or for
//!   [`CHECK_BUSY_AFTER`] while it had, is registered again once, to be sure.
//!
//! Per direction a watch remembers whether something may have come since the descriptor was last found empty.

use core::mem::replace;
use core::ptr;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::sync::atomic::{AtomicBool, AtomicPtr, compiler_fence};

use super::Scheduler;
use crate::coroutine::{Waiter, Wake};
use crate::list::{Link, List};
use crate::poller::descriptors::{self, Snapshot};
use crate::poller::epoll::{Added, BASE, DescriptorEvent};
use crate::sys::clock::{Instant, MS, NEVER};
use crate::sys::{Errno, Result, memory};

/// How long a trusted wait stays silent before its registration is checked.
const CHECK_AFTER: Instant = 50 * MS;

/// The same for a thread that is busy with others: a crowd of descriptors in turn is silent for long without being stale.
const CHECK_BUSY_AFTER: Instant = 1000 * MS;

const CHUNK: usize = 64;

/// Bits of [`Watch::ready`].
pub const READ: u8 = 1;
/// Bits of [`Watch::ready`].
pub const WRITE: u8 = 2;

const READABLE: u32 = (libc::EPOLLIN | libc::EPOLLPRI | libc::EPOLLRDHUP | libc::EPOLLERR | libc::EPOLLHUP) as u32;
const WRITABLE: u32 = (libc::EPOLLOUT | libc::EPOLLERR | libc::EPOLLHUP) as u32;
/// Conditions that stay, or that an empty read does not rule out: no short cut after them.
const STICKY: u32 = (libc::EPOLLERR | libc::EPOLLHUP | libc::EPOLLRDHUP | libc::EPOLLPRI) as u32;
/// Wakes every waiter, whatever it asked for, as poll(2) does.
const ALWAYS: u32 = (libc::EPOLLERR | libc::EPOLLHUP) as u32;
const OUT: u32 = libc::EPOLLOUT as u32;

/// The events of the kernel's answers that those of a poll(2) caller mean: the normal and the band forms too.
#[inline(always)]
fn interest(events: u32) -> u32 {
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

/// One descriptor number. It does not move.
pub struct Watch {
    /// Those who wait for anything but EPOLLOUT alone.
    readers: List,
    /// Those who wait for EPOLLOUT alone.
    writers: List,
    fd: i32,
    /// The number's generation when it was registered.
    generation: u32,
    /// The events asked of the kernel; 0: not registered.
    registered: u32,
    /// Directions in which something may have come since they were last found empty.
    ready: u8,
    sticky: bool,
    /// A reader may wait for EPOLLOUT too.
    mixed: bool,
    /// It is in the queue of checks.
    queued: bool,
    next_check: *mut Watch,
    /// When it was put into the queue of checks.
    queued_at: Instant,
    /// When the last trusted wait began.
    since: Instant,
    /// It is among those that were closed.
    closed: AtomicBool,
    next_closed: *mut Watch,
    /// What was closed, and how to wake who waits for it.
    closed_generation: u32,
    closed_wake: Wake,
}

/// All watches of a scheduler, found by number. Zeroed memory becomes one by [`Watches::init`].
pub struct Watches {
    chunks: *mut *mut [Watch; CHUNK],
    chunk_count: usize,
    /// The queue of checks: the oldest, and where the next goes.
    check: *mut Watch,
    check_last: *mut Watch,
    /// Those that were closed, for [`Scheduler::forget_closed`]: a stack.
    closed: AtomicPtr<Watch>,
}

impl Watches {
    /// # Safety
    /// `self` does not move any more.
    pub unsafe fn init(&mut self) {
        self.chunks = ptr::null_mut();
    }

    /// The watch of a number that has been waited for; null otherwise.
    #[inline(always)]
    pub fn get(&self, fd: i32) -> *mut Watch {
        let index = fd as u32 as usize;
        if index / CHUNK >= self.chunk_count {
            return ptr::null_mut();
        }
        // SAFETY: `index / CHUNK` is within the chunks.
        unsafe {
            let chunk = *self.chunks.add(index / CHUNK);
            if chunk.is_null() { chunk.cast() } else { &raw mut (*chunk)[index % CHUNK] }
        }
    }

    /// The watch of a number, made if need be.
    fn entry(&mut self, fd: i32) -> Result<*mut Watch> {
        let found = self.get(fd);
        if !found.is_null() {
            return Ok(found);
        }
        let index = usize::try_from(fd).map_err(|_| Errno(libc::EBADF))?;
        if index / CHUNK >= self.chunk_count {
            let count = (index / CHUNK + 1).next_power_of_two().max(16);
            let chunks = memory::array_zeroed(count)?.as_ptr();
            // SAFETY: `chunks` is null or ours and holds plain pointers. A signal handler that closes a descriptor looks
            // here at any moment: what it finds is whole.
            unsafe {
                ptr::copy_nonoverlapping(self.chunks, chunks, self.chunk_count);
                let old = replace(&mut self.chunks, chunks);
                compiler_fence(SeqCst);
                self.chunk_count = count;
                memory::free(old);
            }
        }
        let chunk = memory::zeroed::<[Watch; CHUNK]>()?.as_ptr();
        // SAFETY: `index / CHUNK` is within the chunks; the chunk's memory is fresh and stays where it is.
        unsafe {
            for offset in 0..CHUNK {
                let watch = &raw mut (*chunk)[offset];
                List::init(&raw mut (*watch).readers);
                List::init(&raw mut (*watch).writers);
                (*watch).fd = (index / CHUNK * CHUNK + offset) as i32;
            }
            *self.chunks.add(index / CHUNK) = chunk;
        }
        Ok(self.get(fd))
    }

    /// When the oldest unchecked wait is due; [`NEVER`] when there is none.
    pub fn next_check(&self) -> Instant {
        // SAFETY: queued watches are valid.
        if self.check.is_null() { NEVER } else { unsafe { (*self.check).queued_at + CHECK_AFTER } }
    }

    #[inline(always)]
    fn queue_check(&mut self, watch: *mut Watch, now: Instant) {
        // SAFETY: `watch` is one of ours, and so are queued ones.
        unsafe {
            (*watch).since = now;
            if !(*watch).queued {
                (*watch).queued = true;
                (*watch).queued_at = now;
                (*watch).next_check = ptr::null_mut();
                if self.check.is_null() {
                    self.check = watch;
                } else {
                    (*self.check_last).next_check = watch;
                }
                self.check_last = watch;
            }
        }
    }

    /// Notes that what `watch` watches was closed, at any moment: also in a signal handler that has interrupted anything here.
    ///
    /// # Safety
    /// `watch` is one of ours.
    pub unsafe fn note_closed(&self, watch: *mut Watch, generation: u32, wake: Wake) {
        // SAFETY: the caller's promise.
        unsafe {
            (*watch).closed_generation = generation;
            (*watch).closed_wake = wake;
            if !(*watch).closed.swap(true, SeqCst) {
                let push = |first| {
                    (*watch).next_closed = first;
                    Some(watch)
                };
                let _ = self.closed.fetch_update(SeqCst, SeqCst, push);
            }
        }
    }

    /// Whether [`Scheduler::forget_closed`] has anything to do.
    #[inline(always)]
    pub fn any_closed(&self) -> bool {
        !self.closed.load(Relaxed).is_null()
    }

    /// Calls `each` for every watch.
    pub fn for_each(&mut self, each: &mut dyn FnMut(*mut Watch)) {
        for index in 0..self.chunk_count {
            // SAFETY: `index` is within the chunks.
            unsafe {
                let chunk = *self.chunks.add(index);
                if !chunk.is_null() {
                    for offset in 0..CHUNK {
                        each(&raw mut (*chunk)[offset]);
                    }
                }
            }
        }
    }

    /// Gives the memory back. Nobody waits.
    pub fn free(&mut self) {
        for index in 0..self.chunk_count {
            // SAFETY: chunks are null or ours.
            unsafe { memory::free(*self.chunks.add(index)) };
        }
        // SAFETY: `chunks` is null or ours.
        unsafe { memory::free(self.chunks) };
        self.chunks = ptr::null_mut();
        self.chunk_count = 0;
        self.check = ptr::null_mut();
        self.closed.store(ptr::null_mut(), Relaxed);
    }
}

impl Watch {
    /// Whether the registration is of the descriptor that the number means now.
    #[inline(always)]
    pub fn is_registered(&self, snapshot: &Snapshot) -> bool {
        self.registered != 0 && self.generation == snapshot.generation
    }

    /// Whether the descriptor has been found empty in a direction and nothing has come since.
    #[inline(always)]
    pub fn is_drained(&self, direction: u8) -> bool {
        self.ready & direction == 0 && !self.sticky && (direction == READ || self.registered & OUT != 0)
    }

    /// Notes that the descriptor was found empty in a direction.
    #[inline(always)]
    pub fn note_drained(&mut self, direction: u8) {
        self.ready &= !direction;
    }

    /// The number and the generation that are registered.
    pub fn registration(&self) -> Option<(i32, u32)> {
        if self.registered == 0 { None } else { Some((self.fd, self.generation)) }
    }

    fn has_waiters(&self) -> bool {
        !self.readers.is_empty() || !self.writers.is_empty()
    }
}

/// What came of preparing a wait.
#[derive(PartialEq, Eq)]
pub enum Armed {
    /// An event will come.
    Yes,
    /// The descriptor cannot be waited for: it is always ready.
    AlwaysReady,
}

impl Scheduler {
    /// Sees to it that the kernel and other threads can tell this one something.
    #[inline(always)]
    pub(super) fn open_poller(&mut self) -> Result<()> {
        if self.poller.wake_fd() < 0 {
            self.poller.open()?;
            self.wake_fd.store(self.poller.wake_fd(), Relaxed);
        }
        Ok(())
    }

    /// Sees to it that an event of `fd` reaches this scheduler. EBADF, ENOMEM, ENOSPC, EMFILE.
    pub(super) fn arm(&mut self, fd: i32, events: u32) -> Result<(Armed, *mut Watch)> {
        let snapshot = descriptors::get(fd);
        self.open_poller()?;
        let watch = self.watches.entry(fd)?;
        // SAFETY: watches do not move and live as long as the scheduler.
        unsafe {
            if (*watch).registered != 0 && (*watch).generation != snapshot.generation {
                self.unregister(watch, Wake::Closed);
            }
            let wanted = BASE | (*watch).registered | (interest(events) & OUT);
            if snapshot.known() && (*watch).registered == wanted {
                self.watches.queue_check(watch, self.now);
                return Ok((Armed::Yes, watch));
            }
            let armed = self.register(watch, snapshot.generation, wanted)?;
            if armed == Armed::Yes && descriptors::get(fd).generation != snapshot.generation {
                // Another thread is closing it, and may have looked for those who wait before it could see this one.
                self.unregister(watch, Wake::Closed);
                return self.arm(fd, events);
            }
            Ok((armed, watch))
        }
    }

    /// # Safety
    /// `watch` is one of this scheduler's.
    unsafe fn register(&mut self, watch: *mut Watch, generation: u32, wanted: u32) -> Result<Armed> {
        // SAFETY: the caller's promise.
        unsafe {
            let fd = (*watch).fd;
            match self.poller.add(fd, generation, wanted)? {
                Added::AlwaysReady => return Ok(Armed::AlwaysReady),
                Added::New => {
                    if (*watch).registered != 0 {
                        // What the others wait for was closed behind our back.
                        self.unregister(watch, Wake::Closed);
                    }
                    descriptors::watched(fd);
                    (*watch).ready = 0;
                    (*watch).sticky = false;
                }
                Added::Present => {
                    // An item of an older generation tells the wrong one; changing it reports what is ready.
                    if (*watch).registered != wanted {
                        self.poller.modify(fd, generation, wanted)?;
                        if (*watch).registered == 0 {
                            descriptors::watched(fd);
                            (*watch).ready = READ | WRITE;
                            (*watch).sticky = false;
                        }
                    }
                }
            }
            (*watch).generation = generation;
            (*watch).registered = wanted;
            Ok(Armed::Yes)
        }
    }

    /// Forgets a registration and wakes who waited for it.
    ///
    /// # Safety
    /// `watch` is one of this scheduler's.
    pub(super) unsafe fn unregister(&mut self, watch: *mut Watch, wake: Wake) {
        // SAFETY: the caller's promise; waiters in the lists belong to live coroutines.
        unsafe {
            (*watch).registered = 0;
            (*watch).mixed = false;
            self.wake_all(&raw mut (*watch).readers, u32::MAX, wake);
            self.wake_all(&raw mut (*watch).writers, u32::MAX, wake);
        }
    }

    /// Wakes those who waited for what was closed in the meantime.
    #[cold]
    pub(super) fn forget_closed(&mut self) {
        loop {
            let mut watch = self.watches.closed.swap(ptr::null_mut(), SeqCst);
            if watch.is_null() {
                return;
            }
            while !watch.is_null() {
                // SAFETY: closed watches are valid. A signal handler that comes before the store changes what is read after
                // it; one that comes later puts the watch on the stack again.
                unsafe {
                    let next = (*watch).next_closed;
                    (*watch).closed.store(false, SeqCst);
                    self.forget_watch((*watch).fd, (*watch).closed_generation, (*watch).closed_wake);
                    watch = next;
                }
            }
        }
    }

    /// Hangs a waiter on a watch.
    ///
    /// # Safety
    /// Both are valid; the waiter is in no list and its coroutine about to park.
    #[inline(always)]
    pub(super) unsafe fn hang(&mut self, watch: *mut Watch, waiter: *mut Waiter, events: u32) {
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
    pub(super) fn descriptor_event(&mut self, event: &DescriptorEvent) {
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
    unsafe fn wake_all(&mut self, list: *mut List, events: u32, wake: Wake) {
        // SAFETY: the caller's promise; waiters in the lists belong to live coroutines of this scheduler.
        unsafe {
            let first = (*list).first();
            if first.is_null() {
                return;
            }
            let told = if events == u32::MAX || (*list).after(first).is_null() { 0 } else { events };
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

    /// Checks the trusted waits that have been silent for long.
    pub(super) fn check_watches(&mut self, busy: bool) {
        let patience = if busy { CHECK_BUSY_AFTER } else { CHECK_AFTER };
        while self.watches.next_check() <= self.now {
            let watch = self.watches.check;
            // SAFETY: queued watches are valid.
            unsafe {
                self.watches.check = (*watch).next_check;
                (*watch).queued = false;
                if (*watch).registered == 0 || !(*watch).has_waiters() {
                    continue;
                }
                let since = (*watch).since;
                if since + patience > self.now {
                    self.watches.queue_check(watch, self.now);
                    (*watch).since = since;
                    continue;
                }
                let registered = (*watch).registered;
                if descriptors::get((*watch).fd).generation != (*watch).generation {
                    self.unregister(watch, Wake::Closed);
                    continue;
                }
                match self.poller.add((*watch).fd, (*watch).generation, registered) {
                    Ok(Added::Present) => {}
                    // It was closed behind our back; who waited, waited for that. The number is a new file's.
                    Ok(Added::New) => {
                        self.unregister(watch, Wake::Ready);
                        (*watch).registered = registered;
                        (*watch).ready = READ | WRITE;
                    }
                    Ok(Added::AlwaysReady) => self.unregister(watch, Wake::Ready),
                    Err(_) => self.unregister(watch, Wake::Closed),
                }
            }
        }
    }

    /// After fork, in the child: registers anew what is waited for, in a set of its own.
    pub(super) fn watch_anew(&mut self) {
        let scheduler: *mut Scheduler = self;
        // SAFETY: the watches are not added to while they are walked.
        unsafe {
            let watches = &raw mut (*scheduler).watches;
            (*watches).for_each(&mut |watch| {
                (*watch).registered = 0;
                if (*watch).has_waiters() {
                    (*scheduler).unregister(watch, Wake::Ready);
                }
            });
        }
    }
}

// `wake_all` takes a link in a watch's list for its waiter.
const _: () = assert!(memoffset::offset_of!(Waiter, link) == 0);
