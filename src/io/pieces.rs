// SPDX-License-Identifier: MIT OR Apache-2.0
//! Walking through a program's iovec array when one system call did not take all of it.

use core::ffi::c_int;
use core::ptr;

use libc::{c_void, iovec, msghdr, size_t};

use super::waits::option;
use crate::sys::syscall::{FORBIDDEN, MISSING};
use crate::sys::{Errno, Result};
use crate::syscall;

/// How many pieces go into one further system call.
const WINDOW: usize = 8;

/// Linux moves no more bytes than this in one call (MAX_RW_COUNT).
pub const MOST_BYTES: usize = 0x7fff_f000;

/// The kernel refuses a single buffer of this length at once, wherever it is: no address space is so large.
pub const ABSURD: usize = 1 << 56;

/// What is left of an iovec array.
pub struct Pieces {
    next: *const iovec,
    count: usize,
    /// How much of `next` is done.
    skip: size_t,
    /// How many bytes are left.
    left: usize,
}

impl Pieces {
    /// # Safety
    /// The array stays valid for reads; that is so when the kernel has just read it.
    pub unsafe fn new(list: *const iovec, count: usize) -> Pieces {
        // SAFETY: the caller's promise.
        let lengths = (0..count).map(|index| unsafe { (*list.add(index)).iov_len });
        let left = lengths.fold(0, usize::saturating_add).min(MOST_BYTES);
        Pieces { next: list, count, skip: 0, left }
    }

    /// The pieces of a message.
    ///
    /// # Safety
    /// As [`Pieces::new`], of the message's array.
    pub unsafe fn of_message(message: &msghdr) -> Pieces {
        // SAFETY: the caller's promise.
        unsafe { Pieces::new(message.msg_iov, message.msg_iovlen) }
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Leaves `bytes` behind.
    pub fn advance(&mut self, bytes: usize) {
        self.skip += bytes;
        self.left -= bytes.min(self.left);
        // SAFETY: the array is valid, see `new`.
        unsafe {
            while self.count > 0 && self.skip >= (*self.next).iov_len {
                self.skip -= (*self.next).iov_len;
                self.next = self.next.add(1);
                self.count -= 1;
            }
        }
    }

    /// The first pieces that are left, as an array of their own, for one system call.
    pub fn window(&self) -> Window {
        let mut window = Window { list: [iovec { iov_base: ptr::null_mut(), iov_len: 0 }; WINDOW], count: 0 };
        window.count = self.count.min(WINDOW);
        for (index, piece) in window.list[..window.count].iter_mut().enumerate() {
            // SAFETY: the array is valid, see `new`.
            *piece = unsafe { *self.next.add(index) };
        }
        window.list[0].iov_base = window.list[0].iov_base.wrapping_byte_add(self.skip);
        window.list[0].iov_len = window.list[0].iov_len.saturating_sub(self.skip);
        let mut room = self.left;
        for piece in &mut window.list[..window.count] {
            piece.iov_len = piece.iov_len.min(room);
            room -= piece.iov_len;
        }
        window
    }

    /// The first run of bytes that are left, at most `longest`.
    pub fn run(&mut self, longest: usize) -> (*mut c_void, usize) {
        self.advance(0);
        if self.count == 0 {
            return (ptr::null_mut(), 0);
        }
        // SAFETY: the array is valid, see `new`.
        let first = unsafe { *self.next };
        (first.iov_base.wrapping_byte_add(self.skip), (first.iov_len - self.skip).min(longest).min(self.left))
    }
}

/// A short iovec array.
pub struct Window {
    list: [iovec; WINDOW],
    count: usize,
}

impl Window {
    /// A message of these pieces alone: no address, no control data.
    pub fn message(&mut self) -> msghdr {
        message(self.list.as_mut_ptr(), self.count)
    }

    /// The array.
    pub fn list(&self) -> (*const iovec, c_int) {
        (self.list.as_ptr(), self.count as c_int)
    }
}

/// A message of these pieces alone: no address, no control data.
pub fn message(list: *mut iovec, count: usize) -> msghdr {
    // SAFETY: a msghdr of zeros is an empty message.
    let mut message: msghdr = unsafe { core::mem::zeroed() };
    message.msg_iov = list;
    message.msg_iovlen = count;
    message
}

/// preadv2 and pwritev2: the offset of a file that has none, or whose own is meant.
const OWN_OFFSET: i64 = -1;

/// `readv` that does not wait: EAGAIN. EOPNOTSUPP: this kind of file cannot; a socket's list is good and its sum not 0.
///
/// # Safety
/// As readv(2).
pub unsafe fn read_nowait(fd: c_int, list: *const iovec, count: c_int) -> Result<usize> {
    // SAFETY: passed on to the caller.
    match unsafe { syscall!(SYS_preadv2, fd, list, count, OWN_OFFSET, 0, libc::RWF_NOWAIT) } {
        // SAFETY: passed on to the caller.
        Err(FORBIDDEN | MISSING) => unsafe { examine(fd, list, count, libc::O_WRONLY) },
        result => result,
    }
}

/// `writev` that does not wait; as [`read_nowait`].
///
/// # Safety
/// As writev(2).
pub unsafe fn write_nowait(fd: c_int, list: *const iovec, count: c_int) -> Result<usize> {
    // SAFETY: passed on to the caller.
    match unsafe { syscall!(SYS_pwritev2, fd, list, count, OWN_OFFSET, 0, libc::RWF_NOWAIT) } {
        // SAFETY: passed on to the caller.
        Err(FORBIDDEN | MISSING) => unsafe { examine(fd, list, count, libc::O_RDONLY) },
        result => result,
    }
}

/// The answer where preadv2 and pwritev2 do not exist (qemu-user, filters of system calls). `wrong`: how the descriptor must
/// not be open.
unsafe fn examine(fd: c_int, list: *const iovec, count: c_int, wrong: c_int) -> Result<usize> {
    // SAFETY: takes numbers only.
    if unsafe { syscall!(SYS_fcntl, fd, libc::F_GETFL) }? as c_int & libc::O_ACCMODE == wrong {
        return Err(Errno(libc::EBADF));
    }
    if option(fd, libc::SO_TYPE).is_err() {
        return UNSUPPORTED;
    }
    // Of a socket, which it cannot serve, vmsplice first looks at the list.
    // SAFETY: the kernel checks the list, and neither reads nor writes what it describes.
    match unsafe { syscall!(SYS_vmsplice, fd, list, count, 0) } {
        Err(Errno(libc::EBADF) | FORBIDDEN | MISSING) => UNSUPPORTED,
        result => result,
    }
}

const UNSUPPORTED: Result<usize> = Err(Errno(libc::EOPNOTSUPP));
