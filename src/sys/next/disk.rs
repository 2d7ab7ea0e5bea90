// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files on disk: places in them, and what they are.

use core::ffi::{c_char, c_int, c_uint, c_void};

use libc::{AT_FDCWD, AT_SYMLINK_NOFOLLOW, iovec, off_t, size_t, ssize_t};

use super::{buffer_overflow, int, size};
use crate::sys::{Errno, errno, statx};
use crate::{syscall, syscall_raw};

/// What programs pass to `__xstat` and its kin: the kernel's structure.
pub const STAT_VERSION: c_int = if cfg!(target_arch = "x86_64") { 1 } else { 0 };

/// The answer, unless the program has asked for another structure.
fn of_version(version: c_int, answer: impl FnOnce() -> isize) -> c_int {
    if version != STAT_VERSION {
        errno::set(Errno(libc::EINVAL));
        return -1;
    }
    int(answer())
}

const MISSING: isize = -libc::ENOSYS as isize;

next_definitions! {
    fn pread(fd: c_int, buffer: *mut c_void, length: size_t, offset: off_t) -> ssize_t {
        size(syscall_raw!(SYS_pread64, fd, buffer, length, offset))
    }
    fn pread64(fd: c_int, buffer: *mut c_void, length: size_t, offset: off_t) -> ssize_t {
        size(syscall_raw!(SYS_pread64, fd, buffer, length, offset))
    }
    fn pwrite(fd: c_int, buffer: *const c_void, length: size_t, offset: off_t) -> ssize_t {
        size(syscall_raw!(SYS_pwrite64, fd, buffer, length, offset))
    }
    fn pwrite64(fd: c_int, buffer: *const c_void, length: size_t, offset: off_t) -> ssize_t {
        size(syscall_raw!(SYS_pwrite64, fd, buffer, length, offset))
    }
    fn preadv(fd: c_int, list: *const iovec, count: c_int, offset: off_t) -> ssize_t {
        size(syscall_raw!(SYS_preadv, fd, list, count, offset, 0))
    }
    fn preadv64(fd: c_int, list: *const iovec, count: c_int, offset: off_t) -> ssize_t {
        size(syscall_raw!(SYS_preadv, fd, list, count, offset, 0))
    }
    fn pwritev(fd: c_int, list: *const iovec, count: c_int, offset: off_t) -> ssize_t {
        size(syscall_raw!(SYS_pwritev, fd, list, count, offset, 0))
    }
    fn pwritev64(fd: c_int, list: *const iovec, count: c_int, offset: off_t) -> ssize_t {
        size(syscall_raw!(SYS_pwritev, fd, list, count, offset, 0))
    }
    fn preadv2(fd: c_int, list: *const iovec, count: c_int, offset: off_t, flags: c_int) -> ssize_t {
        size(syscall_raw!(SYS_preadv2, fd, list, count, offset, 0, flags))
    }
    fn preadv64v2(fd: c_int, list: *const iovec, count: c_int, offset: off_t, flags: c_int) -> ssize_t {
        size(syscall_raw!(SYS_preadv2, fd, list, count, offset, 0, flags))
    }
    fn pwritev2(fd: c_int, list: *const iovec, count: c_int, offset: off_t, flags: c_int) -> ssize_t {
        size(syscall_raw!(SYS_pwritev2, fd, list, count, offset, 0, flags))
    }
    fn pwritev64v2(fd: c_int, list: *const iovec, count: c_int, offset: off_t, flags: c_int) -> ssize_t {
        size(syscall_raw!(SYS_pwritev2, fd, list, count, offset, 0, flags))
    }
    fn fsync(fd: c_int) -> c_int { int(syscall_raw!(SYS_fsync, fd)) }
    fn fdatasync(fd: c_int) -> c_int { int(syscall_raw!(SYS_fdatasync, fd)) }

    fn stat(path: *const c_char, out: *mut libc::stat) -> c_int {
        int(syscall_raw!(SYS_newfstatat, AT_FDCWD, path, out, 0))
    }
    fn stat64(path: *const c_char, out: *mut libc::stat) -> c_int {
        int(syscall_raw!(SYS_newfstatat, AT_FDCWD, path, out, 0))
    }
    fn lstat(path: *const c_char, out: *mut libc::stat) -> c_int {
        int(syscall_raw!(SYS_newfstatat, AT_FDCWD, path, out, AT_SYMLINK_NOFOLLOW))
    }
    fn lstat64(path: *const c_char, out: *mut libc::stat) -> c_int {
        int(syscall_raw!(SYS_newfstatat, AT_FDCWD, path, out, AT_SYMLINK_NOFOLLOW))
    }
    fn fstat(fd: c_int, out: *mut libc::stat) -> c_int { int(syscall_raw!(SYS_fstat, fd, out)) }
    fn fstat64(fd: c_int, out: *mut libc::stat) -> c_int { int(syscall_raw!(SYS_fstat, fd, out)) }
    fn fstatat(dir: c_int, path: *const c_char, out: *mut libc::stat, flags: c_int) -> c_int {
        int(syscall_raw!(SYS_newfstatat, dir, path, out, flags))
    }
    fn fstatat64(dir: c_int, path: *const c_char, out: *mut libc::stat, flags: c_int) -> c_int {
        int(syscall_raw!(SYS_newfstatat, dir, path, out, flags))
    }
    fn statx(dir: c_int, path: *const c_char, flags: c_int, mask: c_uint, out: *mut libc::statx) -> c_int {
        int(match syscall_raw!(SYS_statx, dir, path, flags, mask, out) {
            MISSING => {
                let by_stat = statx::by_stat(flags, mask, out, |flags, out| syscall!(SYS_newfstatat, dir, path, out, flags));
                by_stat.map_or_else(|Errno(errno)| -errno as isize, |_| 0)
            }
            word => word,
        })
    }
    fn __xstat(version: c_int, path: *const c_char, out: *mut libc::stat) -> c_int {
        of_version(version, || syscall_raw!(SYS_newfstatat, AT_FDCWD, path, out, 0))
    }
    fn __xstat64(version: c_int, path: *const c_char, out: *mut libc::stat) -> c_int {
        of_version(version, || syscall_raw!(SYS_newfstatat, AT_FDCWD, path, out, 0))
    }
    fn __lxstat(version: c_int, path: *const c_char, out: *mut libc::stat) -> c_int {
        of_version(version, || syscall_raw!(SYS_newfstatat, AT_FDCWD, path, out, AT_SYMLINK_NOFOLLOW))
    }
    fn __lxstat64(version: c_int, path: *const c_char, out: *mut libc::stat) -> c_int {
        of_version(version, || syscall_raw!(SYS_newfstatat, AT_FDCWD, path, out, AT_SYMLINK_NOFOLLOW))
    }
    fn __fxstat(version: c_int, fd: c_int, out: *mut libc::stat) -> c_int {
        of_version(version, || syscall_raw!(SYS_fstat, fd, out))
    }
    fn __fxstat64(version: c_int, fd: c_int, out: *mut libc::stat) -> c_int {
        of_version(version, || syscall_raw!(SYS_fstat, fd, out))
    }
    fn __fxstatat(version: c_int, dir: c_int, path: *const c_char, out: *mut libc::stat, flags: c_int) -> c_int {
        of_version(version, || syscall_raw!(SYS_newfstatat, dir, path, out, flags))
    }
    fn __fxstatat64(version: c_int, dir: c_int, path: *const c_char, out: *mut libc::stat, flags: c_int) -> c_int {
        of_version(version, || syscall_raw!(SYS_newfstatat, dir, path, out, flags))
    }

    fn __pread_chk(fd: c_int, buffer: *mut c_void, length: size_t, offset: off_t, room: size_t) -> ssize_t {
        if length > room { buffer_overflow() }
        size(syscall_raw!(SYS_pread64, fd, buffer, length, offset))
    }
    fn __pread64_chk(fd: c_int, buffer: *mut c_void, length: size_t, offset: off_t, room: size_t) -> ssize_t {
        if length > room { buffer_overflow() }
        size(syscall_raw!(SYS_pread64, fd, buffer, length, offset))
    }
}
