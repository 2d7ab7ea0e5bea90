// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the program points to, where we read or write it and libc has the kernel do so: a wild pointer is EFAULT.
//!
//! Most of it is on the stack of the coroutine that calls, which is there. For other memory the kernel is asked, by the
//! cheapest calls that touch it and do nothing else: one that would change the signal mask, but does not say how, reads
//! eight bytes; one that asks for the processor's number writes four. Other threads may still unmap it in between.

use core::ptr;

use crate::scheduler::{self, Current};
use crate::stack::{page_size, tools};
use crate::sys::syscall::KERNEL_SIGSET;
use crate::sys::{Errno, Result};
use crate::syscall_raw;

const FAULT: isize = -libc::EFAULT as isize;

/// No way to change a signal mask.
const NO_WAY: isize = -1;

/// What is there; EFAULT.
///
/// # Safety
/// Plain data.
#[inline(always)]
pub unsafe fn read<T: Copy>(from: *const T) -> Result<T> {
    check_readable(from.cast(), size_of::<T>())?;
    // SAFETY: there is memory; the caller's promise.
    Ok(unsafe { from.read_unaligned() })
}

/// As [`read`]; `None` for null.
///
/// # Safety
/// Plain data.
#[inline(always)]
pub unsafe fn read_any<T: Copy>(from: *const T) -> Result<Option<T>> {
    // SAFETY: the caller's promise.
    if from.is_null() { Ok(None) } else { unsafe { read(from) }.map(Some) }
}

/// Puts a value there, unless it is null; EFAULT.
///
/// # Safety
/// What is there is the caller's, and the value has four bytes at least.
pub unsafe fn write<T>(to: *mut T, value: &T) -> Result<()> {
    // SAFETY: the caller's promise; there is memory that can be written.
    unsafe {
        if !to.is_null() {
            check_writable(to.cast(), size_of::<T>())?;
            ptr::copy_nonoverlapping(ptr::from_ref(value).cast::<u8>(), to.cast(), size_of::<T>());
        }
    }
    Ok(())
}

/// EFAULT when not all of so many bytes can be read.
#[inline(always)]
pub fn check_readable(from: *const u8, length: usize) -> Result<()> {
    if is_on_stack(from, length) || are_readable(from, length) { Ok(()) } else { Err(Errno(libc::EFAULT)) }
}

unsafe fn check_writable(to: *mut u8, length: usize) -> Result<()> {
    // SAFETY: the caller's promise.
    if is_on_stack(to, length) || unsafe { are_writable(to, length) } { Ok(()) } else { Err(Errno(libc::EFAULT)) }
}

#[inline(always)]
fn is_on_stack(address: *const u8, length: usize) -> bool {
    scheduler::current().is_some_and(|current: Current| current.is_on_stack(address, length))
}

#[cold]
#[inline(never)]
fn are_readable(from: *const u8, length: usize) -> bool {
    // Valgrind looks at what the kernel reads itself, and would report the rest of the page.
    if length == 0 || tools::on_valgrind() {
        return true;
    }
    let Some(last) = (from as usize).checked_add(length - 1) else { return false };
    let pages = from as usize / page_size()..=last / page_size();
    pages.into_iter().all(|page| {
        // Not at the beginning of the first page, which would be null.
        let place = page * page_size() + KERNEL_SIGSET;
        // SAFETY: the kernel reads there, or says that it cannot.
        unsafe { syscall_raw!(SYS_rt_sigprocmask, NO_WAY, place, 0, KERNEL_SIGSET) != FAULT }
    })
}

/// # Safety
/// What is there is to be overwritten.
#[cold]
#[inline(never)]
unsafe fn are_writable(to: *mut u8, length: usize) -> bool {
    // Less than a page: it is on two of them at most.
    [0, length - size_of::<u32>()].into_iter().all(|offset| {
        // SAFETY: the caller's promise; the kernel writes four bytes of it, or says that it cannot.
        unsafe { syscall_raw!(SYS_getcpu, to.wrapping_add(offset), 0, 0) != FAULT }
    })
}
