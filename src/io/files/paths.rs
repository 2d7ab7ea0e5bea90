// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opening files and asking for what they are.

use core::ffi::{c_char, c_int, c_long, c_uint};
use core::mem;
use core::ptr;

use libc::{S_IFIFO, S_IFMT};

use super::{Call, on_helper, peek};
use crate::poller::descriptors;
use crate::scheduler::Current;
use crate::scheduler::offload::{Kind, Work};
use crate::sys::clock::NEVER;
use crate::sys::syscall::{MISSING, check, raw};
use crate::sys::{Errno, Result, memory, statx};
use crate::{syscall, syscall_raw};

/// `fstatat`, and so `stat` and `lstat`.
///
/// # Safety
/// As newfstatat(2).
pub unsafe fn stat(
    current: Current,
    dir: c_int,
    path: *const c_char,
    out: *mut libc::stat,
    flags: c_int,
) -> Result<usize> {
    // SAFETY: the caller's promise.
    unsafe {
        ask(current, libc::SYS_newfstatat, path, (out.cast(), size_of::<libc::stat>()), &|path, out| {
            [dir as usize, path as usize, out as usize, flags as usize, 0, 0]
        })
    }
}

/// `fstat`. A socket knows what it is without a disk.
///
/// # Safety
/// As fstat(2).
pub unsafe fn fstat(current: Current, fd: c_int, out: *mut libc::stat) -> Result<usize> {
    if descriptors::get(fd).socket() {
        // SAFETY: the caller's promise.
        return unsafe { syscall!(SYS_fstat, fd, out) };
    }
    // SAFETY: the caller's promise.
    unsafe {
        ask(current, libc::SYS_fstat, ptr::null(), (out.cast(), size_of::<libc::stat>()), &|_, out| {
            [fd as usize, out as usize, 0, 0, 0, 0]
        })
    }
}

/// `statx`.
///
/// # Safety
/// As statx(2).
pub unsafe fn statx(
    current: Current,
    dir: c_int,
    path: *const c_char,
    flags: c_int,
    mask: c_uint,
    out: *mut libc::statx,
) -> Result<usize> {
    // SAFETY: the caller's promise.
    unsafe {
        let asked = ask(current, libc::SYS_statx, path, (out.cast(), size_of::<libc::statx>()), &|path, out| {
            [dir as usize, path as usize, flags as usize, mask as usize, out as usize, 0]
        });
        if asked != Err(MISSING) {
            return asked;
        }
        statx::by_stat(flags, mask, out, |flags, out| stat(current, dir, path, out, flags))
    }
}

/// A call with a path (null: none) and room for the answer, either of which may lie in a shared slot.
unsafe fn ask(
    current: Current,
    number: c_long,
    path: *const c_char,
    (out, size): (*mut u8, usize),
    arguments: &dyn Fn(*const c_char, *mut u8) -> [usize; 6],
) -> Result<usize> {
    // SAFETY: the caller's promise; a path in a slot is a C string there.
    unsafe {
        if !path.is_null() && is_of_thread(path) {
            return check(raw(number, arguments(path, out)));
        }
        let path_moves = current.room_in_slot(path.cast()).is_some();
        let out_moves = current.room_in_slot(out).is_some();
        let prepare = || {
            let length = if path_moves { libc::strlen(path) + 1 } else { 0 };
            let memory = memory::array_zeroed::<u8>(size + length)?.as_ptr();
            let copy = memory.add(size);
            copy.copy_from_nonoverlapping(path.cast(), length);
            let path = if path_moves { copy.cast() } else { path };
            let mut call = Call::new(number, arguments(path, if out_moves { memory } else { out }));
            call.memory = memory;
            Ok(call)
        };
        let asked = on_helper(current, true, prepare, |call| {
            if call.word >= 0 && out_moves {
                out.copy_from_nonoverlapping(call.memory, size);
            }
            check(call.word)
        });
        match asked {
            Err(Errno(libc::EAGAIN)) => check(raw(number, arguments(path, out))),
            result => result?,
        }
    }
}

/// /proc has names that mean something else to each thread, and no disk.
unsafe fn is_of_thread(path: *const c_char) -> bool {
    // SAFETY: the caller's promise: a C string, or the kernel finds that it is none.
    let start = unsafe {
        peek(path.cast::<[u8; 6]>(), |path| {
            let mut start = [0; 6];
            libc::strncpy(start.as_mut_ptr().cast(), path.cast(), start.len());
            start
        })
    };
    start.is_some_and(|start| start == *b"/proc/")
}

/// Opens a file. A descriptor that nobody takes is closed.
struct Open {
    dir: c_int,
    path: *const c_char,
    /// The path's copy, if need be.
    memory: *mut c_char,
    flags: c_int,
    mode: c_uint,
    /// The descriptor; -errno; or that it is a FIFO, and was not opened.
    word: isize,
}

const FIFO: isize = isize::MIN;

impl Work for Open {
    const KIND: Kind = Kind::Files;
    const BORROWS: bool = true;

    fn run(&mut self) {
        let Open { dir, path, flags, mode, .. } = *self;
        let follow = if flags & libc::O_NOFOLLOW != 0 { libc::AT_SYMLINK_NOFOLLOW } else { 0 };
        // SAFETY: the caller's path stays until this has ended; a stat of zeros is valid, and has the room.
        self.word = unsafe {
            let mut stat: libc::stat = mem::zeroed();
            let asked = syscall_raw!(SYS_newfstatat, dir, path, &raw mut stat, follow);
            if asked >= 0 && stat.st_mode & S_IFMT == S_IFIFO {
                FIFO
            } else {
                syscall_raw!(SYS_openat, dir, path, flags, mode)
            }
        };
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.word >= 0 {
            // SAFETY: nobody knows the descriptor.
            unsafe { syscall_raw!(SYS_close, self.word) };
        }
        // SAFETY: null or ours, and not used again.
        unsafe { memory::free(self.memory) };
    }
}

/// `openat`; `None` for what waits for a peer, which was not opened.
///
/// # Safety
/// As openat(2).
pub unsafe fn open(
    current: Current,
    dir: c_int,
    path: *const c_char,
    flags: c_int,
    mode: c_uint,
) -> Option<Result<usize>> {
    // SAFETY: the caller's promise; a path in a slot is a C string there.
    unsafe {
        if is_of_thread(path) {
            return None;
        }
        let make = || {
            let mut open = Open { dir, path, memory: ptr::null_mut(), flags, mode, word: -1 };
            if current.room_in_slot(path.cast()).is_some() {
                let length = libc::strlen(path) + 1;
                open.memory = memory::array_zeroed::<c_char>(length)?.as_ptr();
                open.memory.copy_from_nonoverlapping(path, length);
                open.path = open.memory;
            }
            Ok(open)
        };
        loop {
            match make().and_then(|open| current.offload(open, NEVER)) {
                Ok(mut done) => {
                    return match mem::replace(&mut done.word, -1) {
                        FIFO => None,
                        word => Some(check(word)),
                    };
                }
                Err(Errno(libc::ECANCELED)) => {}
                Err(_) => return None,
            }
        }
    }
}
