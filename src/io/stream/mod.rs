// SPDX-License-Identifier: MIT OR Apache-2.0
//! stdio streams on sockets, pipes and terminals. libc's own internal calls never come to a hook, so `fdopen` makes a
//! stream of our own there, with libc's fopencookie(3): all of stdio is libc's still, but for the reading and writing of
//! the descriptor, which waits in the coroutine.
//!
//! libc calls the functions in `turns`, which also say who of the thread's coroutines may use a stream.

use core::ffi::{c_char, c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use libc::{FILE, S_IFCHR, S_IFIFO, S_IFSOCK, off64_t, size_t, ssize_t};

use super::{device, terminal};
use crate::arch::weak_address;
use crate::list::List;
use crate::scheduler::{self, in_vfork_child};
use crate::sys::{errno, memory, next};

mod mode;
mod turns;

use mode::Mode;
use turns::{close_stream, read, seek, settle, write};

/// The beginning of glibc's `struct _IO_FILE`, which programs have compiled into them, and what follows it in a cookie
/// stream.
#[repr(C)]
struct Cookie {
    flags: c_int,
    read: [*mut u8; 3],
    write_base: *mut u8,
    write_next: *mut u8,
    write_end: *mut u8,
    buffer: *mut u8,
    buffer_end: *mut u8,
    others: [*mut u8; 5],
    fd: c_int,
    rest: [c_int; 11],
    wide: *mut c_void,
    tail: [c_int; 12],
    vtable: *const c_void,
    stream: *mut Stream,
    /// Disguised by libc, always in the same way.
    reads: usize,
}

const _: () = assert!(
    memoffset::offset_of!(Cookie, fd) == 112
        && memoffset::offset_of!(Cookie, wide) == 160
        && memoffset::offset_of!(Cookie, vtable) == 216
        && memoffset::offset_of!(Cookie, reads) == 232
);

/// libc's mark of a stream whose buffer holds what is to be written, and that of an error.
const PUTTING: c_int = 0x800;
const ERROR: c_int = 0x20;

/// `cookie_io_functions_t`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Functions {
    read: unsafe extern "C" fn(*mut Stream, *mut c_char, size_t) -> ssize_t,
    write: unsafe extern "C" fn(*mut Stream, *const c_char, size_t) -> ssize_t,
    seek: unsafe extern "C" fn(*mut Stream, *mut off64_t, c_int) -> c_int,
    close: unsafe extern "C" fn(*mut Stream) -> c_int,
}

const FUNCTIONS: Functions = Functions { read, write, seek, close: close_stream };

/// [`read`] in the disguise that libc gives it; 0: there has been no stream of ours yet.
static READS: AtomicUsize = AtomicUsize::new(0);

/// What a stream of ours knows besides what libc does.
struct Stream {
    fd: c_int,
    file: *mut Cookie,
    /// A socket's, for reading and writing.
    updates: bool,
    /// A coroutine has its turn to read or write, and may wait: of the scheduler that had this number of aborts, after which
    /// it is gone. 0: nobody.
    user: u32,
    /// The same of a coroutine that reads, and may wait for its turn.
    reader: u32,
    /// Somebody waits to close it: nobody else may wait in it any more.
    closing: bool,
    /// Those who wait for their turn.
    waiters: List,
    /// A copy of what is being written, for the buffer may change. It goes with the stream if its coroutine has gone.
    copy: *mut u8,
}

/// `fdopen`.
///
/// # Safety
/// As fdopen(3).
pub unsafe fn fdopen(fd: c_int, mode: *const c_char) -> *mut FILE {
    // SAFETY: the caller's promise.
    unsafe {
        if !in_vfork_child()
            && let Some(mode) = Mode::of(mode)
            && let Some(kind) = waits_for_peers(fd)
            && mode.suits(fd)
            && let Some(file) = open(fd, mode, kind)
        {
            return file;
        }
        next::fdopen(fd, mode)
    }
}

/// The kind of a descriptor on which stdio may wait for a peer; `None`: any other, or none at all.
fn waits_for_peers(fd: c_int) -> Option<libc::mode_t> {
    let kind = device::kind(fd).ok()?;
    let waits = kind == S_IFSOCK || kind == S_IFIFO || kind == S_IFCHR && terminal::settings(fd).is_some();
    waits.then_some(kind)
}

unsafe fn open(fd: c_int, mode: Mode, kind: libc::mode_t) -> Option<*mut FILE> {
    type Open = unsafe extern "C" fn(*mut Stream, *const c_char, Functions) -> *mut Cookie;
    type SetBuffer = unsafe extern "C" fn(*mut Cookie, *mut c_char, c_int, size_t) -> c_int;
    // Another libc lays its streams out as it likes.
    if weak_address!("gnu_get_libc_version").is_null() {
        return None;
    }
    let (open, set_buffer) = (weak_address!("fopencookie"), weak_address!("setvbuf"));
    if open.is_null() || set_buffer.is_null() {
        return None;
    }
    let stream = memory::zeroed::<Stream>().ok()?.as_ptr();
    // SAFETY: the symbols are glibc's functions; the stream is fresh memory that stays where it is until it is closed.
    unsafe {
        List::init(&raw mut (*stream).waiters);
        (*stream).fd = fd;
        (*stream).updates = mode.reads && mode.writes && kind == S_IFSOCK;
        let cookie = core::mem::transmute::<*mut c_void, Open>(open)(stream, mode.text.as_ptr(), FUNCTIONS);
        if cookie.is_null() {
            memory::free(stream);
            return None;
        }
        (*stream).file = cookie;
        // AddressSanitizer wraps the stream once more: then it is not known again, and libc closes it as any other.
        if (*cookie).stream == stream {
            READS.store((*cookie).reads, Relaxed);
        }
        // For fileno(); libc itself looks at it only to find out whether the stream is open, and in freopen.
        (*cookie).fd = fd;
        if kind == S_IFCHR {
            core::mem::transmute::<*mut c_void, SetBuffer>(set_buffer)(cookie, ptr::null_mut(), libc::_IOLBF, 0);
        }
        Some(cookie.cast())
    }
}

/// The stream of ours behind a FILE, or null.
///
/// # Safety
/// `file` is an open stream of libc's.
unsafe fn of(file: *mut FILE) -> *mut Stream {
    let reads = READS.load(Relaxed);
    if reads == 0 {
        return ptr::null_mut();
    }
    let cookie: *mut Cookie = file.cast();
    // SAFETY: the caller's promise, and it is glibc: all of its streams are large enough to be looked at so far.
    unsafe { if (*cookie).reads == reads { (*cookie).stream } else { ptr::null_mut() } }
}

/// `fclose`. A stream of ours closes its descriptor by [`close_stream`].
///
/// # Safety
/// As fclose(3).
pub unsafe fn fclose(file: *mut FILE) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        if in_vfork_child() {
            return next::fclose(file);
        }
        let stream = of(file);
        if !stream.is_null() {
            return if settle(stream) { next::fclose(file) } else { libc::EOF };
        }
        with_closed(number(file), || next::fclose(file))
    }
}

/// `freopen`, which is `call`.
///
/// # Safety
/// As freopen(3), on `file`.
pub unsafe fn freopen(file: *mut FILE, call: impl FnOnce() -> *mut FILE) -> *mut FILE {
    if in_vfork_child() {
        return call();
    }
    // SAFETY: the caller's promise. libc makes a stream of its own of ours, and does not call `close_stream`.
    unsafe {
        let stream = of(file);
        if !stream.is_null() && !settle(stream) {
            return ptr::null_mut();
        }
        let cookie: *mut Cookie = file.cast();
        if !weak_address!("gnu_get_libc_version").is_null() && (*cookie).wide as isize == -1 {
            // A stream that is not a file's has no room for wide characters, and an address there that libc follows here.
            (*cookie).wide = ptr::null_mut();
        }
        let result = with_closed(number(file), call);
        if !stream.is_null() {
            free(stream);
        }
        result
    }
}

/// The stream's descriptor, or -1.
unsafe fn number(file: *mut FILE) -> c_int {
    let before = errno::get();
    // SAFETY: the caller's promise.
    let fd = unsafe { libc::fileno(file) };
    errno::set(before);
    fd
}

/// Makes a call that closes `fd`, unless it is negative.
fn with_closed<T>(fd: c_int, call: impl FnOnce() -> T) -> T {
    if fd < 0 {
        return call();
    }
    let before = errno::get();
    let closing = scheduler::descriptor_closing(fd);
    errno::set(before);
    let result = call();
    let after = errno::get();
    scheduler::descriptor_closed(closing, true);
    errno::set(after);
    result
}

unsafe fn free(stream: *mut Stream) {
    // SAFETY: the caller's promise: nobody uses it any more.
    unsafe {
        memory::free((*stream).copy);
        memory::free(stream);
    }
}
