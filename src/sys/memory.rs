// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory from libc's heap and from the kernel. Every allocation can fail and says so: the library
//! never aborts for want of memory.

use core::ptr::{self, NonNull};

use libc::c_void;

use super::{Errno, Result};

/// Zeroed heap memory for one `T`, or ENOMEM.
///
/// The caller owns it and gives it back with [`free`]; `T` must be valid when all its bytes are zero.
pub fn zeroed<T>() -> Result<NonNull<T>> {
    array_zeroed(1)
}

/// Zeroed heap memory for `count` values of `T` (`count` > 0), or ENOMEM.
pub fn array_zeroed<T>(count: usize) -> Result<NonNull<T>> {
    // No object is larger; memory checkers call it a mistake to ask.
    if count > isize::MAX as usize / const { size_of::<T>() } {
        return Err(Errno(libc::ENOMEM));
    }
    if const { align_of::<T>() > 16 } {
        let bytes = count * size_of::<T>();
        // SAFETY: no preconditions but that the alignment is a power of two, as Rust's are; then there are so many bytes.
        return unsafe {
            let memory = NonNull::new(libc::memalign(align_of::<T>(), bytes)).ok_or(Errno(libc::ENOMEM))?;
            ptr::write_bytes(memory.as_ptr().cast::<u8>(), 0, bytes);
            Ok(memory.cast())
        };
    }
    // SAFETY: calloc checks the product for overflow.
    let memory = unsafe { libc::calloc(count, size_of::<T>()) };
    NonNull::new(memory.cast()).ok_or(Errno(libc::ENOMEM))
}

/// Heap memory for `count` values of `T` (`count` > 0) that are not initialised, or ENOMEM.
pub fn array_uninitialized<T>(count: usize) -> Result<NonNull<T>> {
    // SAFETY: null is a null pointer to resize.
    unsafe { resize(ptr::null_mut(), count) }
}

/// Grows or shrinks an array of this module's (or null) to `count` elements; new ones are not initialised.
///
/// # Safety
/// `memory` is null or came from this module and holds plain data that may be moved.
pub unsafe fn resize<T>(memory: *mut T, count: usize) -> Result<NonNull<T>> {
    let bytes = count.checked_mul(size_of::<T>()).ok_or(Errno(libc::ENOMEM))?;
    // SAFETY: passed on to the caller.
    let grown = unsafe { libc::realloc(memory.cast(), bytes) };
    NonNull::new(grown.cast()).ok_or(Errno(libc::ENOMEM))
}

/// Gives heap memory back; null is ignored.
///
/// # Safety
/// `memory` is null or came from this module and is not used again.
#[inline(always)]
pub unsafe fn free<T>(memory: *mut T) {
    if !memory.is_null() {
        // SAFETY: passed on to the caller.
        unsafe { libc::free(memory.cast()) }
    }
}

/// Private anonymous pages, readable and writable, not charged before they are touched.
pub fn map(bytes: usize, extra_flags: i32) -> Result<NonNull<c_void>> {
    // SAFETY: a fresh anonymous mapping aliases nothing.
    let memory = unsafe {
        libc::mmap(
            ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | extra_flags,
            -1,
            0,
        )
    };
    if memory == libc::MAP_FAILED { Err(super::errno::get()) } else { NonNull::new(memory).ok_or(Errno(libc::ENOMEM)) }
}

/// Gives pages of [`map`] back.
///
/// # Safety
/// The range lies in mappings of [`map`] and is not used again.
pub unsafe fn unmap(memory: *mut c_void, bytes: usize) {
    // SAFETY: passed on to the caller. Unmapping whole mappings cannot fail.
    unsafe { libc::munmap(memory, bytes) };
}

/// Gives unused pages of libc's heap back to the kernel, where libc knows how.
pub fn give_back() {
    let trim = crate::arch::weak_address!("malloc_trim");
    if !trim.is_null() {
        // SAFETY: the symbol is glibc's function: malloc_trim(3).
        unsafe { core::mem::transmute::<*mut c_void, unsafe extern "C" fn(usize) -> i32>(trim)(0) };
    }
}
