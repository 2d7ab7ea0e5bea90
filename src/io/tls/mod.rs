// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS over OpenSSL: the four calls that wait.
//!
//! OpenSSL is the program's: its functions are weak references, and a program that makes an `SSL` has them. Each call lets
//! OpenSSL try without waiting, asks what it wants, and waits for exactly that: so data that is buffered in the `SSL`,
//! renegotiation and key updates need no care of ours, and a silent peer holds only its own coroutine.
//!
//! OpenSSL reads and writes through libc names that are our hooks. For the time of the try the hooks are told not to wait
//! for the session's descriptors; where they are not in between, O_NONBLOCK is set for a moment.
//!
//! Reading begins with waiting where a try is sure to be in vain: when the session has nothing else to do than to read, and
//! there is nothing on its socket, which the last read has seen (`records`) or the kernel is asked. A whole try of OpenSSL's
//! costs more than to ask.
//!
//! The error queue is the thread's: it is emptied before each try, and no other coroutine runs between the try and the
//! return, so what is in it then is of this call.

use core::ffi::{c_int, c_ulong, c_void};
use core::mem::transmute;

pub mod records;

use super::flags::{FlagLock, is_nonblocking};
use super::{Caller, Waits};
use crate::arch::weak_address;
use crate::poller::descriptors;
use crate::scheduler::{Current, Direction, current};
use crate::sys::{Errno, errno};

/// OpenSSL's `SSL`.
pub type Ssl = c_void;

const SSL_ERROR_WANT_READ: c_int = 2;
const SSL_ERROR_WANT_WRITE: c_int = 3;

type OfSsl = unsafe extern "C" fn(*const Ssl) -> c_int;
type GetError = unsafe extern "C" fn(*const Ssl, c_int) -> c_int;
type ClearError = unsafe extern "C" fn();
type PeekError = unsafe extern "C" fn() -> c_ulong;
type Handshake = unsafe extern "C" fn(*mut Ssl) -> c_int;
type Read = unsafe extern "C" fn(*mut Ssl, *mut c_void, c_int) -> c_int;
type Write = unsafe extern "C" fn(*mut Ssl, *const c_void, c_int) -> c_int;

/// SSL_NOTHING and SSL_READING, of SSL_want().
const SSL_NOTHING: c_int = 1;
const SSL_READING: c_int = 3;
/// BIO_TYPE_SOCKET: the BIO of SSL_set_fd(), which keeps no bytes of its own.
const BIO_TYPE_SOCKET: c_int = 0x505;

type ReadBio = unsafe extern "C" fn(*const Ssl) -> *const c_void;
type BioType = unsafe extern "C" fn(*const c_void) -> c_int;

/// A function of OpenSSL, of the given type; `None` when the program has none.
macro_rules! openssl {
    ($name:literal, $kind:ty) => {{
        let address = weak_address!($name);
        // SAFETY: the symbol is OpenSSL's function, whose prototype is stable since 1.1.0.
        if address.is_null() { None } else { Some(unsafe { transmute::<*mut c_void, $kind>(address) }) }
    }};
}

/// `SSL_accept`.
///
/// # Safety
/// `ssl` is a live `SSL`, as for the call itself; so for the others.
pub unsafe fn accept(ssl: *mut Ssl) -> c_int {
    let Some(call) = openssl!("SSL_accept", Handshake) else { return absent() };
    // SAFETY: the caller's promise.
    unsafe { wait(ssl, &mut || call(ssl)) }
}

/// `SSL_connect`.
///
/// # Safety
/// As [`accept`].
pub unsafe fn connect(ssl: *mut Ssl) -> c_int {
    let Some(call) = openssl!("SSL_connect", Handshake) else { return absent() };
    // SAFETY: the caller's promise.
    unsafe { wait(ssl, &mut || call(ssl)) }
}

/// `SSL_read`.
///
/// # Safety
/// As [`accept`]; `buffer` has `room` writable bytes.
pub unsafe fn read(ssl: *mut Ssl, buffer: *mut c_void, room: c_int) -> c_int {
    let Some(call) = openssl!("SSL_read", Read) else { return absent() };
    // SAFETY: the caller's promise.
    unsafe { wait_first(ssl, room > 0, &mut || call(ssl, buffer, room)) }
}

/// `SSL_write`.
///
/// # Safety
/// As [`accept`]; `buffer` has `size` readable bytes.
pub unsafe fn write(ssl: *mut Ssl, buffer: *const c_void, size: c_int) -> c_int {
    let Some(call) = openssl!("SSL_write", Write) else { return absent() };
    // SAFETY: the caller's promise.
    unsafe { wait(ssl, &mut || call(ssl, buffer, size)) }
}

fn absent() -> c_int {
    errno::set(Errno(libc::ENOSYS));
    -1
}

/// Makes `call` until it does something else than ask for a descriptor, and waits in between. When the program's
/// SO_RCVTIMEO or SO_SNDTIMEO ends a wait: -1, EAGAIN, and what OpenSSL wanted still to be asked for.
///
/// # Safety
/// `ssl` is a live `SSL` and `call` a call on it.
unsafe fn wait(ssl: *mut Ssl, call: &mut dyn FnMut() -> c_int) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { wait_first(ssl, false, call) }
}

/// As [`wait`]; a call that only `reads` waits before the first try if that is sure to be in vain.
///
/// # Safety
/// As [`wait`].
unsafe fn wait_first(ssl: *mut Ssl, reads_only: bool, call: &mut dyn FnMut() -> c_int) -> c_int {
    let (Some(clear), Some(get_error), Some(read_fd), Some(write_fd)) = (
        openssl!("ERR_clear_error", ClearError),
        openssl!("SSL_get_error", GetError),
        openssl!("SSL_get_rfd", OfSsl),
        openssl!("SSL_get_wfd", OfSsl),
    ) else {
        return absent();
    };
    // SAFETY: the caller's promise.
    unsafe {
        let Some(current) = current() else {
            empty_error_queue(clear);
            return call();
        };
        let (incoming, outgoing) = (read_fd(ssl), write_fd(ssl));
        let mut reads = Waits::of_socket(Caller::Dyco(current), incoming, Direction::Read);
        let mut writes = Waits::of_socket(Caller::Dyco(current), outgoing, Direction::Write);
        if reads_only
            && has_only_to_read(ssl)
            && reads.look_drained()
            && let Err(error @ Errno(libc::EBADF)) = reads.park()
        {
            // If this fails otherwise, so does the wait after the try, and OpenSSL knows what it wanted.
            empty_error_queue(clear);
            errno::set(error);
            return -1;
        }
        loop {
            empty_error_queue(clear);
            let result = without_waiting(current, [incoming, outgoing], reads_only, call);
            if result > 0 {
                return result;
            }
            let before = errno::get();
            let wanted = match get_error(ssl, result) {
                SSL_ERROR_WANT_READ => &mut reads,
                SSL_ERROR_WANT_WRITE => &mut writes,
                _ => {
                    errno::set(before);
                    return result;
                }
            };
            // An SSL without a descriptor: only the program knows where its bytes come from.
            if wanted.fd < 0 {
                return result;
            }
            if let Err(error) = wanted.park() {
                clear();
                errno::set(error);
                return -1;
            }
        }
    }
}

/// Empties the thread's error queue, if anything is in it: to look costs a tenth.
///
/// # Safety
/// `clear` is ERR_clear_error.
#[inline(always)]
unsafe fn empty_error_queue(clear: ClearError) {
    let peek = openssl!("ERR_peek_error", PeekError);
    // SAFETY: the caller's promise; looking changes nothing.
    unsafe {
        if peek.is_none_or(|peek| peek() != 0) {
            clear();
        }
    }
}

/// Whether SSL_read could do nothing else than to read from the descriptor: no handshake or key update is under way or
/// asked for, no data or bytes of the peer's are buffered, the peer has not said good-bye.
///
/// # Safety
/// `ssl` is a live `SSL`.
unsafe fn has_only_to_read(ssl: *const Ssl) -> bool {
    let (Some(is_finished), Some(has_pending), Some(shutdown), Some(renegotiates), Some(want), Some(bio), Some(kind)) = (
        openssl!("SSL_is_init_finished", OfSsl),
        openssl!("SSL_has_pending", OfSsl),
        openssl!("SSL_get_shutdown", OfSsl),
        openssl!("SSL_renegotiate_pending", OfSsl),
        openssl!("SSL_want", OfSsl),
        openssl!("SSL_get_rbio", ReadBio),
        openssl!("BIO_method_type", BioType),
    ) else {
        return false;
    };
    // SAFETY: the caller's promise; SSL_get_rbio gives null or a BIO.
    unsafe {
        let bio = bio(ssl);
        is_finished(ssl) == 1
            && has_pending(ssl) == 0
            && shutdown(ssl) == 0
            && renegotiates(ssl) == 0
            && matches!(want(ssl), SSL_NOTHING | SSL_READING)
            && !bio.is_null()
            && kind(bio) == BIO_TYPE_SOCKET
    }
}

/// Makes `call`, which may read records only, such that neither descriptor makes it wait.
fn without_waiting(current: Current, fds: [c_int; 2], reads_only: bool, call: &mut dyn FnMut() -> c_int) -> c_int {
    // Until a hook has been seen between OpenSSL and the kernel, there may be none.
    let _unblocked = (!current.has_been_impatient()).then(|| fds.map(unblock));
    records::settle(current);
    let before = current.begin_try(fds, if reads_only && records::suit(current, fds[0]) { fds[0] } else { -1 });
    let result = call();
    records::settle(current);
    current.end_try(before);
    result
}

/// Sets O_NONBLOCK until the result goes away, unless the program has set it.
fn unblock(fd: c_int) -> Option<Unblocked> {
    if fd < 0 || is_nonblocking(fd, descriptors::get(fd)) != Ok(false) {
        return None;
    }
    let lock = FlagLock::take(fd);
    lock.set_nonblocking(fd, true).is_ok().then_some(Unblocked { fd, lock })
}

/// A descriptor that does not block for a moment.
struct Unblocked {
    fd: c_int,
    lock: FlagLock,
}

impl Drop for Unblocked {
    fn drop(&mut self) {
        let _ = self.lock.set_nonblocking(self.fd, false);
    }
}
