// SPDX-License-Identifier: MIT OR Apache-2.0
//! statx(2) on kernels without it, before Linux 4.11: as libc makes do.

use core::ffi::{c_int, c_uint};
use core::mem;

use super::{Errno, Result};

/// `statx` by `stat`, which gets the flags for fstatat(2) and room for its answer.
///
/// # Safety
/// There is room for a structure at `out`.
#[cold]
#[inline(never)]
pub unsafe fn by_stat(
    flags: c_int,
    mask: c_uint,
    out: *mut libc::statx,
    stat: impl FnOnce(c_int, *mut libc::stat) -> Result<usize>,
) -> Result<usize> {
    // SAFETY: a stat of zeros is valid.
    let mut answer: libc::stat = unsafe { mem::zeroed() };
    stat(flags_for_stat(flags, mask)?, &mut answer)?;
    // SAFETY: the caller's promise.
    unsafe { *out = of_stat(&answer) };
    Ok(0)
}

/// EINVAL: some that statx does not know.
fn flags_for_stat(flags: c_int, mask: c_uint) -> Result<c_int> {
    let known = libc::AT_EMPTY_PATH | libc::AT_NO_AUTOMOUNT | libc::AT_SYMLINK_NOFOLLOW | libc::AT_STATX_SYNC_TYPE;
    if flags & !known != 0 || mask & libc::STATX__RESERVED as c_uint != 0 {
        return Err(Errno(libc::EINVAL));
    }
    Ok(flags & !libc::AT_STATX_SYNC_TYPE)
}

fn of_stat(from: &libc::stat) -> libc::statx {
    // SAFETY: both structures are valid when zero.
    let mut to: libc::statx = unsafe { mem::zeroed() };
    let time = |seconds, nanoseconds| {
        // SAFETY: as above.
        let mut time: libc::statx_timestamp = unsafe { mem::zeroed() };
        (time.tv_sec, time.tv_nsec) = (seconds, nanoseconds as u32);
        time
    };
    to.stx_mask = libc::STATX_BASIC_STATS;
    to.stx_blksize = from.st_blksize as u32;
    to.stx_nlink = from.st_nlink as u32;
    (to.stx_uid, to.stx_gid) = (from.st_uid, from.st_gid);
    to.stx_mode = from.st_mode as u16;
    to.stx_ino = from.st_ino;
    to.stx_size = from.st_size as u64;
    to.stx_blocks = from.st_blocks as u64;
    to.stx_atime = time(from.st_atime, from.st_atime_nsec);
    to.stx_ctime = time(from.st_ctime, from.st_ctime_nsec);
    to.stx_mtime = time(from.st_mtime, from.st_mtime_nsec);
    (to.stx_rdev_major, to.stx_rdev_minor) = (libc::major(from.st_rdev), libc::minor(from.st_rdev));
    (to.stx_dev_major, to.stx_dev_minor) = (libc::major(from.st_dev), libc::minor(from.st_dev));
    to
}
