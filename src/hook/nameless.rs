// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making descriptors of files without a name, and glibc's two functions that read and write eventfds.

use core::ffi::{c_int, c_uint};

use libc::sigset_t;

use crate::io::nameless::{note, note_event, note_set};
use crate::io::{c_size, file};
use crate::scheduler::blocked::watched;
use crate::scheduler::hooked as current;
use crate::sys::next;

#[unsafe(no_mangle)]
unsafe extern "C" fn eventfd(count: c_uint, flags: c_int) -> c_int {
    // SAFETY: the C caller's promise, as everywhere in this file.
    note_event(unsafe { next::eventfd(count, flags) }, flags)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn eventfd_read(fd: c_int, count: *mut u64) -> c_int {
    watched("eventfd_read", move || match current() {
        // SAFETY: see `eventfd`.
        Some(current) => success(c_size(unsafe { file::read(current, fd, count.cast(), size_of::<u64>()) })),
        // SAFETY: see `eventfd`.
        None => unsafe { next::eventfd_read(fd, count) },
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn eventfd_write(fd: c_int, count: u64) -> c_int {
    watched("eventfd_write", move || match current() {
        Some(current) => {
            let buffer = (&raw const count).cast();
            // SAFETY: the buffer is ours.
            success(c_size(unsafe { file::write(current, fd, buffer, size_of::<u64>()) }))
        }
        // SAFETY: see `eventfd`.
        None => unsafe { next::eventfd_write(fd, count) },
    })
}

fn success(result: isize) -> c_int {
    if result == size_of::<u64>() as isize { 0 } else { -1 }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn timerfd_create(clock: c_int, flags: c_int) -> c_int {
    // SAFETY: see `eventfd`.
    note(unsafe { next::timerfd_create(clock, flags) }, flags)
}

/// With a number, gives that signalfd another mask.
#[unsafe(no_mangle)]
unsafe extern "C" fn signalfd(fd: c_int, mask: *const sigset_t, flags: c_int) -> c_int {
    // SAFETY: see `eventfd`.
    let result = unsafe { next::signalfd(fd, mask, flags) };
    if fd == -1 { note(result, flags) } else { result }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn inotify_init() -> c_int {
    // SAFETY: see `eventfd`.
    note(unsafe { next::inotify_init() }, 0)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn inotify_init1(flags: c_int) -> c_int {
    // SAFETY: see `eventfd`.
    note(unsafe { next::inotify_init1(flags) }, flags)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_create(size: c_int) -> c_int {
    // SAFETY: see `eventfd`.
    note_set(unsafe { next::epoll_create(size) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_create1(flags: c_int) -> c_int {
    // SAFETY: see `eventfd`.
    note_set(unsafe { next::epoll_create1(flags) })
}
