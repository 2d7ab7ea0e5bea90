// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading and writing files.

use core::ffi::{c_int, c_long};
use core::ptr;

use libc::{c_void, iovec, off_t};

use super::{Call, kind, on_helper, peek};
use crate::scheduler::Current;
use crate::sys::syscall::{FORBIDDEN, MISSING, check, raw};
use crate::sys::{Errno, Result, memory};
use crate::syscall;

/// Longer arrays are refused by the kernel.
const MOST: usize = libc::UIO_MAXIOV as usize;

/// A read or a write.
#[derive(Clone, Copy)]
pub struct Transfer {
    pub fd: c_int,
    pub writes: bool,
    /// `None`: the file's own.
    pub offset: Option<off_t>,
    /// RWF_HIPRI and its kin.
    pub flags: c_int,
    /// The list is one of the library's own.
    pub own_list: bool,
}

/// Reads or writes; `None` when the file is none on disk, and nothing was done.
///
/// # Safety
/// As preadv2(2) and pwritev2(2).
pub unsafe fn transfer(current: Current, what: Transfer, list: *const iovec, count: usize) -> Option<Result<usize>> {
    let on_disk = matches!(kind(what.fd), Ok(libc::S_IFREG | libc::S_IFBLK));
    if !on_disk || what.flags & libc::RWF_NOWAIT != 0 || what.offset.is_some_and(|offset| offset < 0) {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(unsafe { what.on_disk(current, list, count) })
}

impl Transfer {
    /// For a file on disk.
    ///
    /// # Safety
    /// As preadv2(2) and pwritev2(2).
    pub unsafe fn on_disk(self, current: Current, list: *const iovec, count: usize) -> Result<usize> {
        // SAFETY: the caller's promise.
        unsafe {
            let total = match total(list, count, self.own_list) {
                Some(total) if total > 0 => total,
                // Nothing to wait for, or nothing good: the kernel's answer.
                _ => return check(raw(self.number(), self.arguments(list, count, 0))),
            };
            let mut done = 0;
            while !self.writes && done < total {
                match self.read_cached(list, count, done) {
                    Ok(0) => return Ok(done),
                    Ok(more) => done += more,
                    Err(Errno(libc::EAGAIN | libc::EOPNOTSUPP) | FORBIDDEN | MISSING) => break,
                    Err(_) if done > 0 => return Ok(done),
                    Err(error) => return Err(error),
                }
            }
            if done == total {
                return Ok(done);
            }
            match self.go_to_disk(current, list, count, done) {
                Ok(more) => Ok(done + more),
                Err(_) if done > 0 => Ok(done),
                Err(error) => Err(error),
            }
        }
    }

    /// Reads what the page cache has, after the first `done` bytes; EAGAIN: nothing.
    unsafe fn read_cached(self, list: *const iovec, count: usize, done: usize) -> Result<usize> {
        let mut first = iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        let (mut list, mut count) = (list, count);
        if done > 0 {
            // Of what is left the first piece alone: the kernel stops within one where the cache does.
            // SAFETY: the kernel has read the list.
            unsafe { (list, count) = (rest(list, count, done, &mut first), 1) };
        }
        let position = self.position(done);
        // SAFETY: the caller's promise.
        unsafe { syscall!(SYS_preadv2, self.fd, list, count, position, 0, self.flags | libc::RWF_NOWAIT) }
    }

    /// Has a helper do what is left after the first `done` bytes.
    unsafe fn go_to_disk(self, current: Current, list: *const iovec, count: usize, done: usize) -> Result<usize> {
        // SAFETY: the caller's promise; who prepares and who takes have the same lists.
        unsafe {
            let prepare = || {
                let memory = prepare(current, list, count, done, self.writes)?;
                let mut call = Call::new(self.number(), self.arguments(memory.cast(), count, done));
                call.memory = memory;
                Ok(call)
            };
            let result = on_helper(current, !self.writes, prepare, |call| {
                let result = check(call.word);
                if let (Ok(moved), false) = (result, self.writes) {
                    bring(current, call.memory.cast(), list, count, done, moved);
                }
                result
            });
            match result {
                // No helper; or beyond RLIMIT_FSIZE, where nothing is written and the signal is this thread's.
                Err(Errno(libc::EAGAIN)) | Ok(Err(Errno(libc::EFBIG))) if done == 0 => {
                    check(raw(self.number(), self.arguments(list, count, 0)))
                }
                result => result?,
            }
        }
    }

    /// By which system call: the plain ones where they do, which all kernels have.
    fn number(self) -> c_long {
        match (self.writes, self.flags, self.offset) {
            (false, 0, None) => libc::SYS_readv,
            (false, 0, Some(_)) => libc::SYS_preadv,
            (false, ..) => libc::SYS_preadv2,
            (true, 0, None) => libc::SYS_writev,
            (true, 0, Some(_)) => libc::SYS_pwritev,
            (true, ..) => libc::SYS_pwritev2,
        }
    }

    fn arguments(self, list: *const iovec, count: usize, done: usize) -> [usize; 6] {
        [self.fd as usize, list as usize, count, self.position(done) as usize, 0, self.flags as usize]
    }

    fn position(self, done: usize) -> off_t {
        // The file's own moves by itself.
        self.offset.map_or(-1, |offset| offset.wrapping_add(done as off_t))
    }
}

/// How many bytes a list describes. `None`: the kernel would refuse it.
unsafe fn total(list: *const iovec, count: usize, own: bool) -> Option<usize> {
    if count > MOST {
        return None;
    }
    let mut total = 0usize;
    for index in 0..count {
        // SAFETY: our own list is good; of another one `peek` looks whether it is there.
        let piece = unsafe { if own { *list.add(index) } else { peek(list.wrapping_add(index), |piece| *piece)? } };
        total = total.checked_add(piece.iov_len).filter(|&total| total <= isize::MAX as usize)?;
    }
    Some(total)
}

/// The first piece that is left after the first `done` bytes, of which there are more.
unsafe fn rest(mut list: *const iovec, count: usize, mut done: usize, first: &mut iovec) -> *const iovec {
    // SAFETY: the caller's promise: the list is good.
    unsafe {
        for _ in 0..count {
            if done < (*list).iov_len {
                break;
            }
            done -= (*list).iov_len;
            list = list.add(1);
        }
        first.iov_base = (*list).iov_base.wrapping_byte_add(done);
        first.iov_len = (*list).iov_len - done;
    }
    first
}

/// A list of what is left after `done` bytes, in heap memory, with room behind it for what lies in a shared slot.
unsafe fn prepare(current: Current, list: *const iovec, count: usize, done: usize, writes: bool) -> Result<*mut u8> {
    let (mut room, mut good) = (0, true);
    // SAFETY: the caller's promise: the list is good, and its pieces are where they say. The memory has room for the list
    // and the pieces that lie in slots.
    unsafe {
        each(list, count, done, &mut |_, piece| {
            if let Some(length) = current.room_in_slot(piece.iov_base.cast()) {
                good &= piece.iov_len <= length;
                room += piece.iov_len;
            }
        });
        if !good {
            return Err(Errno(libc::EFAULT));
        }
        let copy = memory::array_zeroed::<u8>(count * size_of::<iovec>() + room)?.as_ptr();
        let mut free: *mut c_void = copy.add(count * size_of::<iovec>()).cast();
        each(list, count, done, &mut |index, piece| {
            let mut piece = piece;
            if current.room_in_slot(piece.iov_base.cast()).is_some() {
                if writes {
                    free.copy_from_nonoverlapping(piece.iov_base, piece.iov_len);
                }
                piece.iov_base = free;
                free = free.add(piece.iov_len);
            }
            copy.cast::<iovec>().add(index).write(piece);
        });
        Ok(copy)
    }
}

/// Brings `moved` bytes that were read for pieces in slots to where they belong.
unsafe fn bring(current: Current, from: *const iovec, list: *const iovec, count: usize, done: usize, mut moved: usize) {
    // SAFETY: as in `prepare`, which has made `from`.
    unsafe {
        each(list, count, done, &mut |index, piece| {
            let length = piece.iov_len.min(moved);
            if current.room_in_slot(piece.iov_base.cast()).is_some() {
                piece.iov_base.copy_from_nonoverlapping((*from.add(index)).iov_base, length);
            }
            moved -= length;
        });
    }
}

/// Calls `each` for every piece, without its part of the first `done` bytes.
unsafe fn each(list: *const iovec, count: usize, mut done: usize, each: &mut dyn FnMut(usize, iovec)) {
    for index in 0..count {
        // SAFETY: the caller's promise: the list is good.
        let piece = unsafe { *list.add(index) };
        let skip = done.min(piece.iov_len);
        done -= skip;
        each(index, iovec { iov_base: piece.iov_base.wrapping_byte_add(skip), iov_len: piece.iov_len - skip });
    }
}
