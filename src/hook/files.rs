// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files on disk, where the thread has asked for them to wait in their coroutine only; else libc's own.

use core::ffi::{c_char, c_int, c_uint};

use libc::{AT_FDCWD, AT_SYMLINK_NOFOLLOW, c_void, iovec, off_t, size_t, ssize_t};

use crate::io::files::{self, Transfer, transfer};
use crate::io::{c_number, c_size};
use crate::sys::next::{self, buffer_overflow};

/// One buffer.
unsafe fn move_one(
    fd: c_int,
    writes: bool,
    (buffer, length): (*mut c_void, size_t),
    offset: off_t,
    next: impl FnOnce() -> ssize_t,
) -> ssize_t {
    let piece = iovec { iov_base: buffer, iov_len: length };
    // SAFETY: the caller's promise.
    unsafe {
        move_list(Transfer { fd, writes, offset: Some(offset), flags: 0, own_list: true }, (&raw const piece, 1), next)
    }
}

unsafe fn move_list(what: Transfer, (list, count): (*const iovec, c_int), next: impl FnOnce() -> ssize_t) -> ssize_t {
    let done = files::current().and_then(|current| {
        // SAFETY: the caller's promise.
        unsafe { transfer(current, what, list, usize::try_from(count).ok()?) }
    });
    done.map_or_else(next, c_size)
}

/// preadv2 and pwritev2: an offset of -1 is the file's own.
fn of_flags(fd: c_int, writes: bool, offset: off_t, flags: c_int) -> Transfer {
    Transfer { fd, writes, offset: (offset != -1).then_some(offset), flags, own_list: false }
}

/// The two names of a call: with files of any size they are the same on our machines.
macro_rules! twice {
    ($(fn $name:ident, $large:ident($($arg:ident: $type:ty),*) -> $return:ty { $($body:tt)* })*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($arg: $type),*) -> $return {
            let next = || {
                // SAFETY: the C caller's promise, as everywhere in this file.
                unsafe { next::$name($($arg),*) }
            };
            // SAFETY: see above.
            unsafe { twice!(@ next $($body)*) }
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn $large($($arg: $type),*) -> $return {
            let next = || {
                // SAFETY: see above.
                unsafe { next::$large($($arg),*) }
            };
            // SAFETY: see above.
            unsafe { twice!(@ next $($body)*) }
        }
    )*};
    (@ $next:ident |$name:ident| $body:expr) => {{
        let $name = $next;
        $body
    }};
}

twice! {
    fn pread, pread64(fd: c_int, buffer: *mut c_void, length: size_t, offset: off_t) -> ssize_t {
        |next| move_one(fd, false, (buffer, length), offset, next)
    }
    fn pwrite, pwrite64(fd: c_int, buffer: *const c_void, length: size_t, offset: off_t) -> ssize_t {
        |next| move_one(fd, true, (buffer.cast_mut(), length), offset, next)
    }
    fn preadv, preadv64(fd: c_int, list: *const iovec, count: c_int, offset: off_t) -> ssize_t {
        |next| move_list(Transfer { fd, writes: false, offset: Some(offset), flags: 0, own_list: false }, (list, count), next)
    }
    fn pwritev, pwritev64(fd: c_int, list: *const iovec, count: c_int, offset: off_t) -> ssize_t {
        |next| move_list(Transfer { fd, writes: true, offset: Some(offset), flags: 0, own_list: false }, (list, count), next)
    }
    fn preadv2, preadv64v2(fd: c_int, list: *const iovec, count: c_int, offset: off_t, flags: c_int) -> ssize_t {
        |next| move_list(of_flags(fd, false, offset, flags), (list, count), next)
    }
    fn pwritev2, pwritev64v2(fd: c_int, list: *const iovec, count: c_int, offset: off_t, flags: c_int) -> ssize_t {
        |next| move_list(of_flags(fd, true, offset, flags), (list, count), next)
    }

    fn stat, stat64(path: *const c_char, out: *mut libc::stat) -> c_int {
        |next| match files::current() {
            Some(current) => c_number(files::stat(current, AT_FDCWD, path, out, 0)),
            None => next(),
        }
    }
    fn lstat, lstat64(path: *const c_char, out: *mut libc::stat) -> c_int {
        |next| match files::current() {
            Some(current) => c_number(files::stat(current, AT_FDCWD, path, out, AT_SYMLINK_NOFOLLOW)),
            None => next(),
        }
    }
    fn fstat, fstat64(fd: c_int, out: *mut libc::stat) -> c_int {
        |next| match files::current() {
            Some(current) => c_number(files::fstat(current, fd, out)),
            None => next(),
        }
    }
    fn fstatat, fstatat64(dir: c_int, path: *const c_char, out: *mut libc::stat, flags: c_int) -> c_int {
        |next| match files::current() {
            Some(current) => c_number(files::stat(current, dir, path, out, flags)),
            None => next(),
        }
    }

    // What programs import that were built with glibc before 2.33.
    fn __xstat, __xstat64(version: c_int, path: *const c_char, out: *mut libc::stat) -> c_int {
        |next| match files::current() {
            Some(current) if version == next::STAT_VERSION => c_number(files::stat(current, AT_FDCWD, path, out, 0)),
            _ => next(),
        }
    }
    fn __lxstat, __lxstat64(version: c_int, path: *const c_char, out: *mut libc::stat) -> c_int {
        |next| match files::current() {
            Some(current) if version == next::STAT_VERSION => {
                c_number(files::stat(current, AT_FDCWD, path, out, AT_SYMLINK_NOFOLLOW))
            }
            _ => next(),
        }
    }
    fn __fxstat, __fxstat64(version: c_int, fd: c_int, out: *mut libc::stat) -> c_int {
        |next| match files::current() {
            Some(current) if version == next::STAT_VERSION => c_number(files::fstat(current, fd, out)),
            _ => next(),
        }
    }
    fn __fxstatat, __fxstatat64(
        version: c_int, dir: c_int, path: *const c_char, out: *mut libc::stat, flags: c_int
    ) -> c_int {
        |next| match files::current() {
            Some(current) if version == next::STAT_VERSION => c_number(files::stat(current, dir, path, out, flags)),
            _ => next(),
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn statx(
    dir: c_int,
    path: *const c_char,
    flags: c_int,
    mask: c_uint,
    out: *mut libc::statx,
) -> c_int {
    match files::current() {
        // SAFETY: the C caller's promise, as everywhere in this file.
        Some(current) => c_number(unsafe { files::statx(current, dir, path, flags, mask, out) }),
        // SAFETY: see above.
        None => unsafe { next::statx(dir, path, flags, mask, out) },
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fsync(fd: c_int) -> c_int {
    match files::current() {
        Some(current) => c_number(files::sync(current, fd, false)),
        // SAFETY: takes a number only.
        None => unsafe { next::fsync(fd) },
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fdatasync(fd: c_int) -> c_int {
    match files::current() {
        Some(current) => c_number(files::sync(current, fd, true)),
        // SAFETY: takes a number only.
        None => unsafe { next::fdatasync(fd) },
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __pread_chk(
    fd: c_int,
    buffer: *mut c_void,
    length: size_t,
    offset: off_t,
    room: size_t,
) -> ssize_t {
    if files::current().is_some() && length > room {
        buffer_overflow();
    }
    // SAFETY: see `statx`.
    unsafe { move_one(fd, false, (buffer, length), offset, || next::__pread_chk(fd, buffer, length, offset, room)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __pread64_chk(
    fd: c_int,
    buffer: *mut c_void,
    length: size_t,
    offset: off_t,
    room: size_t,
) -> ssize_t {
    if files::current().is_some() && length > room {
        buffer_overflow();
    }
    // SAFETY: see `statx`.
    unsafe { move_one(fd, false, (buffer, length), offset, || next::__pread64_chk(fd, buffer, length, offset, room)) }
}
