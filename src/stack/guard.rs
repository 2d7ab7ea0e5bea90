// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages that fault when touched, below every stack of ours.
//!
//! `MADV_GUARD_INSTALL` (Linux 6.13, madvise(2)) marks page table entries and makes no mapping, so a million guards
//! fit under vm.max_map_count. Elsewhere, and on locked memory (EINVAL), mprotect(2) does it, which splits the mapping:
//! so only while the process is far from that limit. A stack beyond that has no guard.

use core::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};

use crate::{syscall, syscall_raw};

const MADV_GUARD_INSTALL: i32 = 102;

/// vm.max_map_count is 65,530 unless somebody changed it, and a guard by mprotect costs two mappings.
const MPROTECT_LIMIT: u32 = 24_000;

/// Whether the kernel knows guard markers: 0 not tried, 1 yes, 2 no.
static MARKERS: AtomicU8 = AtomicU8::new(0);
static MPROTECTED: AtomicU32 = AtomicU32::new(0);

/// Makes `size` bytes at `page` fault. Returns what [`forget`] has to be told when the mapping goes.
///
/// # Safety
/// The pages are mapped, unused, and ours.
pub unsafe fn install(page: *mut u8, size: usize) -> u32 {
    // SAFETY: the caller's promise, for each call.
    unsafe {
        if MARKERS.load(Relaxed) != 2 && syscall!(SYS_madvise, page, size, MADV_GUARD_INSTALL).is_ok() {
            if MARKERS.load(Relaxed) == 1 || faults(page) {
                MARKERS.store(1, Relaxed);
                return 0;
            }
            // An emulator that takes unknown advice for a hint says yes and does nothing.
            MARKERS.store(2, Relaxed);
        }
        if MPROTECTED.load(Relaxed) < MPROTECT_LIMIT && syscall!(SYS_mprotect, page, size, libc::PROT_NONE).is_ok() {
            MPROTECTED.fetch_add(1, Relaxed);
            return 1;
        }
        0
    }
}

/// Counts guards made by mprotect that went away with their mapping, so that new ones may be made.
pub fn forget(mprotected: u32) {
    MPROTECTED.fetch_sub(mprotected, Relaxed);
}

/// Whether the kernel cannot write to `page`. It answers EFAULT where we would get a signal.
unsafe fn faults(page: *mut u8) -> bool {
    // SAFETY: the page is unused; the kernel writes a timespec or nothing.
    unsafe { syscall_raw!(SYS_clock_gettime, libc::CLOCK_MONOTONIC, page) == -libc::EFAULT as isize }
}
