// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS
//!
//! OpenSSL's calls of these names, except that only the coroutine waits.
//! Define DYCO_SSL_OK before including this header, and link with
//! -ldyco -lssl -lcrypto.

use core::ffi::{c_int, c_void};

use super::fail;
use crate::io::tls;
use crate::sys::Errno;

/// cbindgen:no-export
pub struct ssl_st {
    _opaque: [u8; 0],
}

/// As SSL_accept(): waits for the client's side of the handshake.
///
/// A wait honours SO_RCVTIMEO and SO_SNDTIMEO of the socket.
///
/// @param ssl the session; its socket may block or not
/// @return 1, else as SSL_accept(), for SSL_get_error(); -1 and errno:
///         EAGAIN a timeout of the socket ran out, and the call may be
///         repeated; EINVAL ssl is NULL; ENOSYS the program has no OpenSSL
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_SSL_accept(ssl: *mut ssl_st) -> c_int {
    if ssl.is_null() {
        return fail(Errno(libc::EINVAL));
    }
    // SAFETY: the program gives a live session.
    unsafe { tls::accept(ssl.cast()) }
}

/// As SSL_connect(): waits for the server's side of the handshake.
///
/// @param ssl the session
/// @return 1, else as SSL_connect(); -1 and errno as dyco_SSL_accept()
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_SSL_connect(ssl: *mut ssl_st) -> c_int {
    if ssl.is_null() {
        return fail(Errno(libc::EINVAL));
    }
    // SAFETY: the program gives a live session.
    unsafe { tls::connect(ssl.cast()) }
}

/// As SSL_read(): waits until there is data.
///
/// @param ssl the session
/// @param buf where the data goes
/// @param num bytes of room
/// @return how many bytes were read (> 0), else as SSL_read(), for
///         SSL_get_error(); -1 and errno: EAGAIN a timeout of the socket
///         ran out: SSL_get_error() says what was waited for, and the
///         session is still good; EINVAL; ENOSYS
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_SSL_read(ssl: *mut ssl_st, buf: *mut c_void, num: c_int) -> c_int {
    if ssl.is_null() {
        return fail(Errno(libc::EINVAL));
    }
    // SAFETY: the program gives a live session and a buffer of that size.
    unsafe { tls::read(ssl.cast(), buf, num) }
}

/// As SSL_write(): waits until all is written (with
/// SSL_MODE_ENABLE_PARTIAL_WRITE: some).
///
/// @param ssl the session
/// @param buf the data
/// @param num its bytes
/// @return how many bytes were written (> 0), else as SSL_write(); -1 and
///         errno as dyco_SSL_read(): repeat the call with the same data
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_SSL_write(ssl: *mut ssl_st, buf: *const c_void, num: c_int) -> c_int {
    if ssl.is_null() {
        return fail(Errno(libc::EINVAL));
    }
    // SAFETY: the program gives a live session and a buffer of that size.
    unsafe { tls::write(ssl.cast(), buf, num) }
}
