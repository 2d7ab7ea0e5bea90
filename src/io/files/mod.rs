// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files on disk, in threads that have asked for it (`dyco_hook_files`): calls that may wait for the disk are made by a
//! helper. What is in the page cache already is read on the spot.
//!
//! The helper's system call uses the caller's memory, which therefore has to stay until it has ended: a coroutine that is
//! ended waits for that, as a thread would that sits in such a call. Only what lies in a shared slot, where others run
//! meanwhile, goes by way of the heap.

mod paths;
mod transfer;

use core::ffi::{c_int, c_long};
use core::{mem, ptr};

use super::device;
use crate::scheduler::offload::{Kind, Work};
use crate::scheduler::{self, Current};
use crate::stack::page_size;
use crate::sys::clock::NEVER;
use crate::sys::syscall::{FORBIDDEN, MISSING, check, raw};
use crate::sys::{Errno, Result, memory};
use crate::{syscall, syscall_raw};

#[cfg_attr(not(feature = "hook"), allow(unused_imports))]
pub use paths::{fstat, open, stat, statx};
#[cfg_attr(not(feature = "hook"), allow(unused_imports))]
pub use transfer::{Transfer, transfer};

/// Whether files are to wait in coroutines of this thread from now on; returns whether they were. ENOMEM.
pub fn set(on: bool) -> Result<bool> {
    scheduler::set_files(on)
}

/// The coroutine that runs, if its file calls are to be made by a helper.
#[cfg(feature = "hook")]
pub fn current() -> Option<Current> {
    scheduler::hooked().filter(|&current| is_wanted(current))
}

/// Whether file calls of this coroutine are to be made by a helper.
pub fn is_wanted(current: Current) -> bool {
    current.wants_files() && current.can_offload()
}

/// As [`device::kind`], without asking a file system that is far away: this does not change.
pub fn kind(fd: c_int) -> Result<libc::mode_t> {
    // SAFETY: a statx of zeros is valid, and a valid out parameter; the path is a C string.
    unsafe {
        let mut status: libc::statx = mem::zeroed();
        let flags = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
        match syscall!(SYS_statx, fd, c"".as_ptr(), flags, libc::STATX_TYPE, &raw mut status) {
            Ok(_) => Ok(libc::mode_t::from(status.stx_mode) & libc::S_IFMT),
            Err(FORBIDDEN | MISSING) => device::kind(fd),
            Err(error) => Err(error),
        }
    }
}

/// Reads what the program has pointed to, if it is there: a bad address is EFAULT, not a crash. Where the kernel may not be
/// asked to (by a filter of system calls, an emulator), `plainly` reads it.
///
/// # Safety
/// Plain data.
unsafe fn peek<T: Copy>(from: *const T, plainly: impl FnOnce(*const T) -> T) -> Option<T> {
    // SAFETY: plain data, valid when zero; the kernel checks the program's address, and ours has room.
    unsafe {
        let mut to: T = mem::zeroed();
        let there = libc::iovec { iov_base: from.cast_mut().cast(), iov_len: size_of::<T>() };
        let here = libc::iovec { iov_base: (&raw mut to).cast(), iov_len: size_of::<T>() };
        let me = syscall_raw!(SYS_getpid);
        match syscall!(SYS_process_vm_readv, me, &raw const here, 1, &raw const there, 1, 0) {
            Ok(size) => (size == size_of::<T>()).then_some(to),
            Err(Errno(libc::EFAULT)) => None,
            Err(_) => is_mapped(from.cast()).then(|| plainly(from)),
        }
    }
}

fn is_mapped(address: *const u8) -> bool {
    let page = address.wrapping_sub(address as usize % page_size());
    let mut resident = 0u8;
    // SAFETY: one page, for which one byte is told.
    unsafe { syscall!(SYS_mincore, page, 1, &raw mut resident) }.is_ok()
}

/// A system call, and heap memory that goes with it.
struct Call {
    number: c_long,
    arguments: [usize; 6],
    memory: *mut u8,
    word: isize,
}

impl Call {
    fn new(number: c_long, arguments: [usize; 6]) -> Call {
        Call { number, arguments, memory: ptr::null_mut(), word: 0 }
    }
}

impl Work for Call {
    const KIND: Kind = Kind::Files;
    const BORROWS: bool = true;

    fn run(&mut self) {
        // SAFETY: the caller's promise for the call; its memory stays until this has ended.
        self.word = unsafe { raw(self.number, self.arguments) };
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // SAFETY: null or ours, and not used again.
        unsafe { memory::free(self.memory) };
    }
}

/// Has a helper make the call that `prepare` describes, and gives it to `take`. `again`: in a child forked meanwhile it may
/// be made once more; else it is EINTR. Errors of `prepare`, and those where there is no helper, are EAGAIN: then the caller
/// makes the call itself.
fn on_helper<T>(
    current: Current,
    again: bool,
    prepare: impl Fn() -> Result<Call>,
    take: impl FnOnce(&Call) -> T,
) -> Result<T> {
    loop {
        match prepare().and_then(|call| current.offload(call, NEVER)) {
            Ok(done) => return Ok(take(&done)),
            Err(Errno(libc::ECANCELED)) if again => {}
            Err(Errno(libc::ECANCELED)) => return Err(Errno(libc::EINTR)),
            Err(_) => return Err(Errno(libc::EAGAIN)),
        }
    }
}

/// A call without pointers.
///
/// # Safety
/// As the call.
unsafe fn plain(current: Current, number: c_long, arguments: [usize; 6]) -> Result<usize> {
    match on_helper(current, true, || Ok(Call::new(number, arguments)), |call| check(call.word)) {
        // SAFETY: the caller's promise.
        Err(Errno(libc::EAGAIN)) => check(unsafe { raw(number, arguments) }),
        result => result?,
    }
}

/// `fsync`, and `fdatasync` where only the `data` count.
pub fn sync(current: Current, fd: c_int, data: bool) -> Result<usize> {
    let number = if data { libc::SYS_fdatasync } else { libc::SYS_fsync };
    // SAFETY: takes a number only.
    unsafe { plain(current, number, [fd as usize, 0, 0, 0, 0, 0]) }
}
