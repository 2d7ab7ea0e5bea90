// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the process knows of each descriptor number, so that a call on the fast path need not ask the kernel.
//!
//! Facts hold for a number whose birth a hook has seen (KNOWN), from then until a hook sees it closed or replaced. A number
//! closed behind our back keeps its record until it is born again; whoever relies on a record treats it as a hint.
//! The generation changes with every birth and every end, and tells a number's descriptors apart.
//!
//! One table for the process, without locks: a program that closes a descriptor in one thread while another thread uses
//! it gets an answer for the old descriptor or for the new one.

use core::ptr;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64};

use crate::sys::memory;
use crate::syscall_raw;

/// Facts about a descriptor.
pub mod flag {
    /// A hook saw its birth: the other facts hold.
    pub const KNOWN: u32 = 1;
    /// The program has set O_NONBLOCK.
    pub const NONBLOCK: u32 = 2;
    /// A socket.
    pub const SOCKET: u32 = 4;
    /// A socket that is a stream of bytes.
    pub const STREAM: u32 = 8;
    /// A TCP socket.
    pub const TCP: u32 = 16;
    /// Other descriptors, here or in other processes, refer to the same description: its O_NONBLOCK and its timeouts can
    /// change behind our back.
    pub const SHARED: u32 = 32;
    /// The two timeouts are right.
    pub const TIMEOUTS: u32 = 64;
    /// A socket of AF_INET or AF_INET6.
    pub const INET: u32 = 128;
    /// A poller's or the like, of the library's own: the program has not opened it.
    pub const INTERNAL: u32 = 256;
    /// A socket whose close may wait for its peer (SO_LINGER).
    pub const LINGERS: u32 = 512;
    /// An end of a pipe. This and the next two are what it was born as: see `io::remembered` for how they are doubted.
    pub const PIPE: u32 = 1 << 10;
    /// A file without a name that can be read: an eventfd, a timerfd and the like.
    pub const NAMELESS: u32 = 1 << 11;
    /// An eventfd.
    pub const EVENT: u32 = 1 << 12;
    /// A read cannot be asked not to wait.
    pub const READ_WAITS: u32 = 1 << 13;
    /// A write cannot be asked not to wait.
    pub const WRITE_WAITS: u32 = 1 << 14;
    /// A socket that has been found to listen, as it does from then on.
    pub const LISTENS: u32 = 1 << 16;
    /// The last TLS record read from it was a long one.
    #[cfg(feature = "ssl")]
    pub const LONG_RECORDS: u32 = 1 << 15;
}

/// Numbers from here on are never known.
const CAPACITY: usize = 1 << 20;

/// One number. All zero: nothing known.
struct Record {
    /// generation << 32 | flags
    state: AtomicU64,
    receive_timeout: AtomicU64,
    send_timeout: AtomicU64,
    /// [`FORKS`] at its birth.
    forks: AtomicU32,
    watchers: AtomicU32,
}

const _: () = assert!(size_of::<Record>() == 32);

/// Null until the library's constructors have run, and for ever when there is no room for the table.
static TABLE: AtomicPtr<Record> = AtomicPtr::new(ptr::null_mut());

/// No number above has a record that says anything.
static HIGHEST: AtomicI32 = AtomicI32::new(0);

/// How often this process has forked, or been forked.
static FORKS: AtomicU32 = AtomicU32::new(0);

#[used]
#[unsafe(link_section = ".init_array")]
static MAP_TABLE: extern "C" fn() = map_table;

extern "C" fn map_table() {
    let bytes = CAPACITY * size_of::<Record>();
    if let Ok(table) = memory::map(bytes, 0) {
        // SAFETY: advice about a mapping of our own; a few records must not cost a huge page.
        unsafe { syscall_raw!(SYS_madvise, table.as_ptr(), bytes, libc::MADV_NOHUGEPAGE) };
        TABLE.store(table.as_ptr().cast(), Release);
    }
}

#[inline(always)]
fn record(fd: i32) -> Option<&'static Record> {
    let index = fd as u32 as usize;
    let table = TABLE.load(Acquire);
    if table.is_null() || index >= CAPACITY {
        return None;
    }
    // SAFETY: the table has CAPACITY records, zeroed by the kernel, and is never unmapped.
    Some(unsafe { &*table.add(index) })
}

/// A descriptor's generation and flags, read at one moment.
#[derive(Clone, Copy)]
pub struct Snapshot {
    /// Changes with every birth and end of the number that a hook sees.
    pub generation: u32,
    /// See [`flag`].
    pub flags: u32,
}

impl Snapshot {
    /// One of which only the generation is of interest.
    pub fn of_generation(generation: u32) -> Snapshot {
        Snapshot { generation, flags: 0 }
    }

    /// Whether a hook saw its birth. If not, nothing else here means anything.
    #[inline(always)]
    pub fn known(self) -> bool {
        self.flags & flag::KNOWN != 0
    }

    /// Whether the program has set O_NONBLOCK.
    #[inline(always)]
    pub fn nonblocking(self) -> bool {
        self.flags & flag::NONBLOCK != 0
    }

    /// Whether it is a socket.
    #[inline(always)]
    pub fn socket(self) -> bool {
        self.flags & flag::SOCKET != 0
    }

    /// Whether it is a stream socket.
    #[inline(always)]
    pub fn stream(self) -> bool {
        self.flags & flag::STREAM != 0
    }

    /// Whether it is a socket of AF_INET or AF_INET6.
    #[inline]
    pub fn inet(self) -> bool {
        self.flags & flag::INET != 0
    }

    /// Whether it is a TCP socket.
    #[inline(always)]
    pub fn tcp(self) -> bool {
        self.flags & flag::TCP != 0
    }

    /// Whether somebody else may change its O_NONBLOCK and its timeouts.
    #[inline(always)]
    pub fn shared(self) -> bool {
        self.flags & flag::SHARED != 0
    }

    /// Whether it is a socket known to listen.
    #[inline(always)]
    pub fn listens(self) -> bool {
        self.flags & (flag::KNOWN | flag::LISTENS) == flag::KNOWN | flag::LISTENS
    }

    /// Whether its close may wait.
    #[inline(always)]
    pub fn lingers(self) -> bool {
        self.flags & flag::LINGERS != 0
    }

    /// Whether it was born as a pipe or a file without a name.
    #[inline(always)]
    pub fn kind_known(self) -> bool {
        self.known() && self.flags & (flag::PIPE | flag::NAMELESS) != 0
    }

    /// Whether it is a poller's.
    #[inline(always)]
    pub fn internal(self) -> bool {
        self.flags & flag::INTERNAL != 0
    }

    /// Whether [`timeouts`] is right.
    #[inline(always)]
    pub fn timeouts_known(self) -> bool {
        self.flags & flag::TIMEOUTS != 0
    }
}

/// What is known of a number.
#[inline]
pub fn get(fd: i32) -> Snapshot {
    let Some(record) = record(fd) else { return Snapshot { generation: 0, flags: 0 } };
    let state = record.state.load(SeqCst);
    let mut flags = state as u32;
    if record.forks.load(Relaxed) != FORKS.load(Relaxed) {
        flags |= flag::SHARED;
    }
    Snapshot { generation: (state >> 32) as u32, flags }
}

/// A hook saw this number being made.
pub fn born(fd: i32, flags: u32) {
    renew(fd, flag::KNOWN | flags);
}

/// What is known of this number is wrong.
pub fn forget(fd: i32) {
    renew(fd, 0);
}

/// This number is about to be closed or replaced. Returns how many schedulers, at most, watched it: one that begins to
/// just now sees the new generation, or is counted.
pub fn ending(fd: i32) -> u32 {
    renew(fd, 0);
    record(fd).map_or(0, |record| record.watchers.swap(0, SeqCst))
}

fn renew(fd: i32, flags: u32) {
    let Some(record) = record(fd) else { return };
    record.receive_timeout.store(0, Relaxed);
    record.send_timeout.store(0, Relaxed);
    record.forks.store(FORKS.load(Relaxed), Relaxed);
    // Two threads that end the same number at once may get one generation: there was only one descriptor to end.
    let generation = (record.state.load(Relaxed) >> 32) as u32;
    record.state.store(u64::from(generation.wrapping_add(1)) << 32 | u64::from(flags), SeqCst);
    reach(fd);
}

/// There is something to know of this number.
fn reach(fd: i32) {
    if fd > HIGHEST.load(Relaxed) {
        HIGHEST.fetch_max(fd, SeqCst);
    }
}

/// The highest number of which anything may be known.
pub fn highest() -> i32 {
    HIGHEST.load(SeqCst)
}

/// Learns facts; they count only if the number is known.
pub fn add_flags(fd: i32, flags: u32) {
    if let Some(record) = record(fd) {
        record.state.fetch_or(u64::from(flags), Release);
    }
}

/// Unlearns facts.
pub fn clear_flags(fd: i32, flags: u32) {
    if let Some(record) = record(fd) {
        record.state.fetch_and(!u64::from(flags), Release);
    }
}

/// SO_RCVTIMEO and SO_SNDTIMEO in nanoseconds, 0 for none; right only when [`Snapshot::timeouts_known`].
#[inline]
pub fn timeouts(fd: i32) -> (u64, u64) {
    match record(fd) {
        Some(record) => (record.receive_timeout.load(Relaxed), record.send_timeout.load(Relaxed)),
        None => (0, 0),
    }
}

/// The program has set SO_RCVTIMEO to this many nanoseconds.
pub fn set_receive_timeout(fd: i32, ns: u64) {
    if let Some(record) = record(fd) {
        record.receive_timeout.store(ns, Relaxed);
    }
}

/// The program has set SO_SNDTIMEO to this many nanoseconds.
pub fn set_send_timeout(fd: i32, ns: u64) {
    if let Some(record) = record(fd) {
        record.send_timeout.store(ns, Relaxed);
    }
}

/// How many schedulers, at most, have registered this descriptor with their pollers since a descriptor of this number last ended.
pub fn watchers(fd: i32) -> u32 {
    record(fd).map_or(0, |record| record.watchers.load(SeqCst))
}

/// A scheduler has registered this descriptor, and now looks whether its generation is still the same.
pub fn watched(fd: i32) {
    if let Some(record) = record(fd) {
        record.watchers.fetch_add(1, SeqCst);
        reach(fd);
    }
}

/// From now on child and parent share every descriptor that exists; to be called in both.
pub fn forked() {
    FORKS.fetch_add(1, Relaxed);
}
