// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the compiler calls instead in programs built with _FORTIFY_SOURCE, when it knows the buffer's size.

use core::ffi::{c_char, c_int};

use libc::{c_void, nfds_t, pollfd, sigset_t, size_t, sockaddr, socklen_t, ssize_t, timespec};

use crate::io::Caller::Libc;
use crate::io::open::{self, HERE};
use crate::io::{c_number, c_size, file, poll, receive};
use crate::scheduler::blocked::watched;
use crate::scheduler::hooked as current;
use crate::sys::next::{self, buffer_overflow};

#[unsafe(no_mangle)]
unsafe extern "C" fn __read_chk(fd: c_int, buffer: *mut c_void, length: size_t, room: size_t) -> ssize_t {
    watched("__read_chk", move || {
        match current() {
            Some(_) if length > room => buffer_overflow(),
            // SAFETY: the C caller's promise, as everywhere in this file.
            Some(current) => unsafe { file::c_read(current, fd, buffer, length) },
            // SAFETY: see above.
            None => unsafe { next::__read_chk(fd, buffer, length, room) },
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __recv_chk(fd: c_int, buffer: *mut c_void, length: size_t, room: size_t, flags: c_int) -> ssize_t {
    watched("__recv_chk", move || {
        match current() {
            Some(_) if length > room => buffer_overflow(),
            Some(current) => {
                // SAFETY: see `__read_chk`.
                unsafe { receive::c_recv(Libc(current), fd, buffer, length, flags) }
            }
            // SAFETY: see `__read_chk`.
            None => unsafe { next::__recv_chk(fd, buffer, length, room, flags) },
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __recvfrom_chk(
    fd: c_int,
    buffer: *mut c_void,
    length: size_t,
    room: size_t,
    flags: c_int,
    address: *mut sockaddr,
    address_length: *mut socklen_t,
) -> ssize_t {
    watched("__recvfrom_chk", move || {
        match current() {
            Some(_) if length > room => buffer_overflow(),
            Some(current) => {
                // SAFETY: see `__read_chk`.
                c_size(unsafe { receive::recvfrom(Libc(current), fd, buffer, length, flags, address, address_length) })
            }
            // SAFETY: see `__read_chk`.
            None => unsafe { next::__recvfrom_chk(fd, buffer, length, room, flags, address, address_length) },
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __poll_chk(fds: *mut pollfd, count: nfds_t, timeout: c_int, room: size_t) -> c_int {
    watched("__poll_chk", move || {
        match current() {
            Some(_) if room / size_of::<pollfd>() < count as usize => buffer_overflow(),
            // SAFETY: see `__read_chk`.
            Some(current) => c_number(unsafe { poll::poll(current, fds, count, timeout) }),
            // SAFETY: see `__read_chk`.
            None => unsafe { next::__poll_chk(fds, count, timeout, room) },
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __ppoll_chk(
    fds: *mut pollfd,
    count: nfds_t,
    timeout: *const timespec,
    mask: *const sigset_t,
    room: size_t,
) -> c_int {
    watched("__ppoll_chk", move || {
        match current() {
            Some(_) if room / size_of::<pollfd>() < count as usize => buffer_overflow(),
            // SAFETY: see `__read_chk`.
            Some(current) => c_number(unsafe { poll::ppoll(current, fds, count, timeout, mask) }),
            // SAFETY: see `__read_chk`.
            None => unsafe { next::__ppoll_chk(fds, count, timeout, mask, room) },
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __open_2(path: *const c_char, flags: c_int) -> c_int {
    watched("__open_2", move || {
        match current() {
            // SAFETY: see `__read_chk`.
            Some(current) if !open::is_making(flags) => {
                // SAFETY: as above.
                c_number(unsafe { open::openat(current, HERE, path, flags, 0) })
            }
            // SAFETY: see `__read_chk`.
            _ => open::note(unsafe { next::__open_2(path, flags) }),
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __open64_2(path: *const c_char, flags: c_int) -> c_int {
    watched("__open64_2", move || {
        match current() {
            // SAFETY: see `__read_chk`.
            Some(current) if !open::is_making(flags) => {
                // SAFETY: as above.
                c_number(unsafe { open::openat(current, HERE, path, flags, 0) })
            }
            // SAFETY: see `__read_chk`.
            _ => open::note(unsafe { next::__open64_2(path, flags) }),
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __openat_2(dir: c_int, path: *const c_char, flags: c_int) -> c_int {
    watched("__openat_2", move || {
        match current() {
            // SAFETY: see `__read_chk`.
            Some(current) if !open::is_making(flags) => c_number(unsafe { open::openat(current, dir, path, flags, 0) }),
            // SAFETY: see `__read_chk`.
            _ => open::note(unsafe { next::__openat_2(dir, path, flags) }),
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __openat64_2(dir: c_int, path: *const c_char, flags: c_int) -> c_int {
    watched("__openat64_2", move || {
        match current() {
            // SAFETY: see `__read_chk`.
            Some(current) if !open::is_making(flags) => c_number(unsafe { open::openat(current, dir, path, flags, 0) }),
            // SAFETY: see `__read_chk`.
            _ => open::note(unsafe { next::__openat64_2(dir, path, flags) }),
        }
    })
}
