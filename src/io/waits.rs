// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting for a descriptor in one direction, under one deadline however often a call waits.

use core::ffi::c_int;

use libc::{pollfd, timeval};

use super::Caller;
use super::flags::is_nonblocking;
use crate::poller::descriptors::{self, Snapshot, flag};
use crate::scheduler::{Current, Direction, Wake};
use crate::sys::clock::{self, Instant, MS, NEVER};
use crate::sys::{Errno, Result};
use crate::{syscall, syscall_raw};

pub const EAGAIN: Errno = Errno(libc::EAGAIN);

/// The longest pause between two tries where the kernel cannot tell us when to try again.
const LONGEST_PAUSE: u32 = 16 * MS as u32;

/// How long a wait lasts that no event may end.
pub const LOOK_AGAIN: Instant = 100 * MS;

/// What is waited for.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// A socket: SO_RCVTIMEO and SO_SNDTIMEO exist.
    Socket,
    /// Anything else.
    File,
    /// A number that was born as something that is no socket, and has not been asked lately whether it still is.
    Remembered,
}

/// The waits of one call.
pub struct Waits {
    current: Current,
    /// [`NOT_YET`] before the first wait.
    deadline: Instant,
    /// The next one, in nanoseconds.
    pause: u32,
    /// The number's generation when the call began.
    generation: u32,
    pub fd: c_int,
    direction: Direction,
    kind: Kind,
    /// Whether O_NONBLOCK counts.
    heeds_nonblock: bool,
    /// The present wait ends before the deadline.
    looks_again: bool,
}

/// A deadline that is not known yet.
const NOT_YET: Instant = 0;

/// One that is over, and after which the last try has been made.
const PAST: Instant = 1;

// It is on the stack of each coroutine that waits.
const _: () = assert!(size_of::<Waits>() == 32);

impl Waits {
    /// For a socket, whose timeouts count.
    #[inline(always)]
    pub fn of_socket(caller: Caller, fd: c_int, direction: Direction) -> Waits {
        Waits::of_known_socket(caller, fd, descriptors::get(fd), direction)
    }

    /// The same, of which that is known.
    #[inline(always)]
    pub fn of_known_socket(caller: Caller, fd: c_int, snapshot: Snapshot, direction: Direction) -> Waits {
        Waits {
            current: caller.current(),
            deadline: NOT_YET,
            pause: 0,
            generation: snapshot.generation,
            fd,
            direction,
            kind: Kind::Socket,
            heeds_nonblock: caller.heeds_nonblock(),
            looks_again: false,
        }
    }

    /// For anything else.
    pub fn of_file(caller: Caller, fd: c_int, direction: Direction) -> Waits {
        Waits { kind: Kind::File, ..Waits::of_socket(caller, fd, direction) }
    }

    /// For what is no socket if the number still means what it was born as: the first wait ends after a while also
    /// without an event. See [`Waits::is_doubtful`].
    pub fn of_remembered(caller: Caller, fd: c_int, direction: Direction) -> Waits {
        Waits { kind: Kind::Remembered, ..Waits::of_socket(caller, fd, direction) }
    }

    /// Whether to ask now what the number means: it has been waited for in vain. Once, if it is what it was.
    pub fn is_doubtful(&mut self) -> bool {
        let doubtful = self.kind == Kind::Remembered && self.deadline != NOT_YET;
        if doubtful {
            self.kind = Kind::File;
        }
        doubtful
    }

    /// Who waits.
    pub fn current(&self) -> Current {
        self.current
    }

    /// Tries, and waits, until a try does something else than fail with EAGAIN. EAGAIN when the program does not want to
    /// wait, or not that long. Always tries first: a call may end at once although there is nothing, because it moves no
    /// byte or its arguments are bad.
    #[inline(always)]
    pub fn trying(&mut self, mut attempt: impl FnMut() -> Result<usize>) -> Result<usize> {
        loop {
            match attempt() {
                Err(EAGAIN) => self.park()?,
                result => return result,
            }
        }
    }

    /// Whether a try is sure to fail, and the call to wait. A listener has been found empty of connections: who reads from
    /// it gets an error.
    #[inline(always)]
    pub fn is_drained(&self) -> bool {
        self.is_known_drained(descriptors::get(self.fd))
    }

    /// The same, of a descriptor of which that was just known.
    #[inline(always)]
    pub fn is_known_drained(&self, snapshot: Snapshot) -> bool {
        self.lacks(snapshot, false)
    }

    /// As [`Waits::is_drained`], of a socket known to listen, for who accepts.
    #[inline(always)]
    pub fn has_no_connections(&self) -> bool {
        self.lacks(descriptors::get(self.fd), true)
    }

    #[inline(always)]
    fn lacks(&self, snapshot: Snapshot, connections: bool) -> bool {
        self.current.is_drained(self.fd, snapshot, self.direction) && {
            let waits = !self.heeds_nonblock || !snapshot.nonblocking() && !snapshot.shared();
            waits && snapshot.listens() == connections
        }
    }

    /// Whether the socket, of datagrams, is shut down for reading: who may wait gets 0 then, and EAGAIN who may not. To be
    /// asked after EAGAIN; the first time it may be found only by waiting.
    pub fn is_shut_down(&self) -> bool {
        (self.deadline != NOT_YET || self.current.has_hung_up(self.fd))
            && poll_now(self.fd, libc::POLLRDHUP) & c_int::from(libc::POLLRDHUP) != 0
            && (!self.heeds_nonblock || is_nonblocking(self.fd, descriptors::get(self.fd)) == Ok(false))
    }

    /// As [`Waits::is_drained`], and asks the kernel where that may tell: of a TCP stream to read. A peer that has ended
    /// the stream, which this does not tell, is an event that has come or will.
    #[cfg(feature = "ssl")]
    pub fn look_drained(&self) -> bool {
        if self.is_drained() {
            return true;
        }
        let mut bytes: c_int = 0;
        let may_tell = self.direction == Direction::Read && descriptors::get(self.fd).tcp();
        // SAFETY: a valid out parameter.
        if !may_tell || unsafe { syscall!(SYS_ioctl, self.fd, libc::FIONREAD, &raw mut bytes) }.is_err() || bytes != 0 {
            return false;
        }
        self.note_drained(descriptors::get(self.fd));
        self.is_drained()
    }

    /// Parks until another try may succeed. EAGAIN as in [`Waits::trying`]; EBADF: what the call is for was closed.
    #[inline(never)]
    pub fn park(&mut self) -> Result<()> {
        let wake = match self.begin()? {
            Some(wake) => wake,
            None => self.current.end_wait_fd()?,
        };
        self.current.prefetch_watch(self.fd);
        if wake == Wake::TimedOut && !self.looks_again {
            // What has come since the loop has looked at descriptors is there for one more try.
            if self.deadline == PAST || self.poll() == 0 {
                return Err(EAGAIN);
            }
            self.deadline = PAST;
        }
        self.go_on(descriptors::get(self.fd))
    }

    /// The ring, which has kept the file, says that the number still means it.
    pub fn renew(&mut self) {
        self.generation = descriptors::get(self.fd).generation;
    }

    /// Whether there may be another try. EBADF: it would be on another file.
    #[inline(always)]
    fn go_on(&self, snapshot: Snapshot) -> Result<()> {
        if self.current.still_means(self.fd, snapshot, self.generation) { Ok(()) } else { Err(Errno(libc::EBADF)) }
    }

    /// As [`Current::begin_wait_fd`]. Apart, so that a parked coroutine has nothing of this on its stack.
    #[inline(never)]
    fn begin(&mut self) -> Result<Option<Wake>> {
        let snapshot = descriptors::get(self.fd);
        let deadline = self.deadline_of(snapshot)?;
        self.go_on(snapshot)?;
        self.note_drained(snapshot);
        let until = deadline.min(self.next_look(snapshot));
        self.looks_again = until < deadline;
        self.current.begin_wait_fd(self.fd, snapshot, self.events() as u32, until)
    }

    /// When to try again without an event: none tells of a UNIX peer that reads no more (shutdown(2), SHUT_RD), which ends a
    /// wait to send, nor that a number means something else.
    #[inline(always)]
    fn next_look(&self, snapshot: Snapshot) -> Instant {
        let told = match self.kind {
            Kind::Socket => self.direction == Direction::Read || snapshot.inet(),
            Kind::File => true,
            Kind::Remembered => false,
        };
        if told { NEVER } else { clock::after(LOOK_AGAIN) }
    }

    /// Notes that the descriptor, of which that is known, has been found empty (full).
    #[inline(always)]
    pub fn note_drained(&self, snapshot: Snapshot) {
        self.current.note_drained(self.fd, snapshot, self.direction);
    }

    /// Pauses where the kernel calls the descriptor ready and yet refuses: at first not at all (it may just have become
    /// ready), then ever longer. EAGAIN as in [`Waits::trying`].
    pub fn back_off(&mut self) -> Result<()> {
        let deadline = self.deadline()?;
        if self.pause == 0 {
            self.pause = MS as u32;
            return Ok(());
        }
        let now = clock::now();
        if now >= deadline {
            return Err(EAGAIN);
        }
        self.current.sleep_until(deadline.min(now + Instant::from(self.pause)));
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.go_on(descriptors::get(self.fd))
    }

    /// Until when the call may wait; EAGAIN when it may not.
    pub fn deadline(&mut self) -> Result<Instant> {
        self.deadline_of(descriptors::get(self.fd))
    }

    #[inline(always)]
    fn deadline_of(&mut self, snapshot: Snapshot) -> Result<Instant> {
        if self.deadline != NOT_YET {
            return Ok(self.deadline);
        }
        if self.is_impatient() {
            return Err(EAGAIN);
        }
        if self.heeds_nonblock && is_nonblocking(self.fd, snapshot)? {
            return Err(EAGAIN);
        }
        let timeout = if self.kind == Kind::Socket { timeout(self.fd, snapshot, self.direction) } else { 0 };
        self.deadline = if timeout == 0 { NEVER } else { clock::after(timeout) };
        Ok(self.deadline)
    }

    /// Whether the call is part of a try that must not wait.
    #[inline]
    pub fn is_impatient(&self) -> bool {
        self.heeds_nonblock && self.current.is_impatient(self.fd)
    }

    /// What poll(2) says now; 0: not ready.
    pub fn poll(&self) -> c_int {
        poll_now(self.fd, self.events())
    }

    /// Whether an error waits to be reported. Trying again would take it, and a call that has moved something already
    /// must leave it for the next.
    pub fn has_error(&self) -> bool {
        self.poll() & c_int::from(libc::POLLERR) != 0
    }

    fn events(&self) -> i16 {
        if self.direction == Direction::Read { libc::POLLIN } else { libc::POLLOUT }
    }
}

/// What poll(2) says of one descriptor now; 0: not ready.
pub fn poll_now(fd: c_int, events: i16) -> c_int {
    let mut entry = pollfd { fd, events, revents: 0 };
    let limit = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: one entry and a timeout of zero, both valid for the call.
    match unsafe { syscall_raw!(SYS_ppoll, &raw mut entry, 1, &raw const limit, 0, 0) } {
        // The descriptor's own call will say what is wrong.
        word if word < 0 => libc::POLLNVAL.into(),
        _ => entry.revents.into(),
    }
}

/// SO_RCVTIMEO or SO_SNDTIMEO in nanoseconds; 0: none.
#[inline(always)]
fn timeout(fd: c_int, snapshot: Snapshot, direction: Direction) -> u64 {
    let timeouts = if snapshot.known() && !snapshot.shared() && snapshot.timeouts_known() {
        descriptors::timeouts(fd)
    } else {
        ask_timeouts(fd, snapshot)
    };
    if direction == Direction::Read { timeouts.0 } else { timeouts.1 }
}

#[inline(never)]
fn ask_timeouts(fd: c_int, snapshot: Snapshot) -> (u64, u64) {
    let timeouts = (socket_timeout(fd, libc::SO_RCVTIMEO), socket_timeout(fd, libc::SO_SNDTIMEO));
    if snapshot.known() && !snapshot.shared() {
        descriptors::set_receive_timeout(fd, timeouts.0);
        descriptors::set_send_timeout(fd, timeouts.1);
        descriptors::add_flags(fd, flag::TIMEOUTS);
    }
    timeouts
}

fn socket_timeout(fd: c_int, name: c_int) -> u64 {
    let mut value = timeval { tv_sec: 0, tv_usec: 0 };
    let mut size = size_of::<timeval>() as libc::socklen_t;
    // SAFETY: `value` and `size` are valid out parameters.
    let asked = unsafe { syscall!(SYS_getsockopt, fd, libc::SOL_SOCKET, name, &raw mut value, &raw mut size) };
    if asked.is_err() {
        return 0;
    }
    clock::of_timeval(&value)
}

/// An integer option of a socket.
pub fn option(fd: c_int, name: c_int) -> Result<c_int> {
    let mut value: c_int = 0;
    let mut size = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: `value` and `size` are valid out parameters.
    unsafe { syscall!(SYS_getsockopt, fd, libc::SOL_SOCKET, name, &raw mut value, &raw mut size) }?;
    Ok(value)
}
