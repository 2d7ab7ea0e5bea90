// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets

use core::ffi::c_int;

use libc::{c_void, size_t, sockaddr, socklen_t, ssize_t};

use crate::io::Caller::Dyco;
use crate::io::{accept, c_number, c_size, close, connect, receive, send, socket};
use crate::scheduler::current;
use crate::sys::next;

/// As socket(2). A stream socket gets SO_REUSEADDR.
///
/// The descriptor is an ordinary blocking one: O_NONBLOCK need not be set,
/// and if the program sets it, the dyco_* calls wait all the same.
///
/// @return the descriptor, or -1 with errno set as by socket(2).
#[unsafe(no_mangle)]
pub extern "C" fn dyco_socket(domain: c_int, r#type: c_int, protocol: c_int) -> c_int {
    socket::socket(domain, r#type, protocol, true)
}

/// As close(2). Coroutines of any thread that wait for fd are woken; their
/// calls fail with EBADF.
///
/// @return 0, or -1 with errno set as by close(2).
#[unsafe(no_mangle)]
pub extern "C" fn dyco_close(fd: c_int) -> c_int {
    close::close(fd)
}

/// As accept(2), except that only the calling coroutine waits.
///
/// @return the connection's descriptor, or -1 with errno set as by accept(2);
/// EAGAIN when SO_RCVTIMEO of the listener is over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_accept(fd: c_int, addr: *mut sockaddr, addrlen: *mut socklen_t) -> c_int {
    match current() {
        // SAFETY: the C caller's promise, as everywhere in this file.
        Some(current) => c_number(unsafe { accept::accept4(Dyco(current), fd, addr, addrlen, 0) }),
        // SAFETY: see above.
        None => accept::note(unsafe { next::accept(fd, addr, addrlen) }, fd, 0),
    }
}

/// As connect(2), except that only the calling coroutine waits: as long as
/// the kernel tries, or until SO_SNDTIMEO is over, which is EINPROGRESS.
///
/// @return 0, or -1 with errno set as by connect(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_connect(fd: c_int, addr: *const sockaddr, addrlen: socklen_t) -> c_int {
    match current() {
        // SAFETY: see `dyco_accept`.
        Some(current) => c_number(unsafe { connect::connect(Dyco(current), fd, addr, addrlen) }),
        // SAFETY: see `dyco_accept`.
        None => unsafe { next::connect(fd, addr, addrlen) },
    }
}

/// As send(2), except that only the calling coroutine waits.
///
/// On a stream it returns when all len bytes are sent, or with the number
/// that were sent before an error or before SO_SNDTIMEO was over. With
/// MSG_DONTWAIT it does not wait.
///
/// @return how many bytes were sent, or -1 with errno set as by send(2);
/// EAGAIN when SO_SNDTIMEO is over and nothing was sent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_send(fd: c_int, buf: *const c_void, len: size_t, flags: c_int) -> ssize_t {
    match current() {
        // SAFETY: see `dyco_accept`.
        Some(current) => c_size(unsafe { send::send(Dyco(current), fd, buf, len, flags) }),
        // SAFETY: see `dyco_accept`.
        None => unsafe { next::send(fd, buf, len, flags) },
    }
}

/// As recv(2), except that only the calling coroutine waits: until something
/// has come, or until SO_RCVTIMEO is over. With MSG_DONTWAIT it does not wait.
///
/// @return how many bytes were received, 0 at the end of a stream, or -1 with
/// errno set as by recv(2); EAGAIN when SO_RCVTIMEO is over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_recv(fd: c_int, buf: *mut c_void, len: size_t, flags: c_int) -> ssize_t {
    match current() {
        Some(current) => {
            // SAFETY: see `dyco_accept`.
            unsafe { receive::c_recv(Dyco(current), fd, buf, len, flags) }
        }
        // SAFETY: see `dyco_accept`.
        None => unsafe { next::recv(fd, buf, len, flags) },
    }
}

/// As sendto(2), except that only the calling coroutine waits; see dyco_send.
///
/// @return how many bytes were sent, or -1 with errno set as by sendto(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_sendto(
    fd: c_int,
    buf: *const c_void,
    len: size_t,
    flags: c_int,
    addr: *const sockaddr,
    addrlen: socklen_t,
) -> ssize_t {
    match current() {
        // SAFETY: see `dyco_accept`.
        Some(current) => c_size(unsafe { send::sendto(Dyco(current), fd, buf, len, flags, addr, addrlen) }),
        // SAFETY: see `dyco_accept`.
        None => unsafe { next::sendto(fd, buf, len, flags, addr, addrlen) },
    }
}

/// As recvfrom(2), except that only the calling coroutine waits; see
/// dyco_recv. addr and addrlen may be NULL.
///
/// @return how many bytes were received, or -1 with errno set as by
/// recvfrom(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_recvfrom(
    fd: c_int,
    buf: *mut c_void,
    len: size_t,
    flags: c_int,
    addr: *mut sockaddr,
    addrlen: *mut socklen_t,
) -> ssize_t {
    match current() {
        // SAFETY: see `dyco_accept`.
        Some(current) => c_size(unsafe { receive::recvfrom(Dyco(current), fd, buf, len, flags, addr, addrlen) }),
        // SAFETY: see `dyco_accept`.
        None => unsafe { next::recvfrom(fd, buf, len, flags, addr, addrlen) },
    }
}
