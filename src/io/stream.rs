// SPDX-License-Identifier: MIT OR Apache-2.0
//! stdio streams on sockets, pipes and terminals. libc's own internal calls never come to a hook, so `fdopen` makes a
//! stream of our own there, with libc's fopencookie(3): all of stdio is libc's still, but for the reading and writing of
//! the descriptor, which waits in the coroutine.
//!
//! A stream's lock belongs to the thread, and does not keep out another coroutine of the thread while one waits inside. So
//! who finds a stream in use waits for its turn to write, and what has come into the buffer meanwhile is written by whoever
//! is about to tell libc that the buffer is empty. Two who read cannot be told apart by libc: the second one fails with
//! EBUSY. Who reads from a socket that others may write to waits for something to read outside the buffer, and takes its turn
//! then; what the others have left in the buffer is written before the buffer is read into.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use libc::{FILE, S_IFCHR, S_IFIFO, S_IFSOCK, off64_t, size_t, ssize_t};

use super::{Caller, Waits, c_size, close, file, terminal};
use crate::arch::weak_address;
use crate::coroutine::Wake;
use crate::list::List;
use crate::scheduler::{self, Current, Direction, aborts, hooked as current, in_vfork_child};
use crate::sys::clock::NEVER;
use crate::sys::{Errno, Result, errno, memory, next};
use crate::{syscall, syscall_raw};

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

#[derive(Clone, Copy)]
struct Mode {
    text: &'static CStr,
    reads: bool,
    writes: bool,
    appends: bool,
}

impl Mode {
    /// What fdopen(3) makes of `mode`; `None`: an error.
    unsafe fn of(mode: *const c_char) -> Option<Mode> {
        // SAFETY: the caller's promise: a C string, of which libc looks at this much.
        unsafe {
            let first = *mode.cast::<u8>();
            let mut updates = false;
            for index in 1..5 {
                match *mode.add(index).cast::<u8>() {
                    0 => break,
                    b'+' => updates = true,
                    _ => {}
                }
            }
            let (plain, update) = match first {
                b'r' => (c"r", c"r+"),
                b'w' => (c"w", c"w+"),
                b'a' => (c"a", c"a+"),
                _ => return None,
            };
            Some(Mode {
                text: if updates { update } else { plain },
                reads: updates || first == b'r',
                writes: updates || first != b'r',
                appends: first == b'a',
            })
        }
    }

    /// Whether the descriptor allows it; sets O_APPEND where libc would.
    fn suits(self, fd: c_int) -> bool {
        // SAFETY: takes numbers only.
        let Ok(flags) = (unsafe { syscall!(SYS_fcntl, fd, libc::F_GETFL) }) else { return false };
        let flags = flags as c_int;
        let access = flags & libc::O_ACCMODE;
        if access == libc::O_RDONLY && self.writes || access == libc::O_WRONLY && self.reads {
            return false;
        }
        if self.appends && flags & libc::O_APPEND == 0 {
            // SAFETY: as above.
            return unsafe { syscall!(SYS_fcntl, fd, libc::F_SETFL, flags | libc::O_APPEND) }.is_ok();
        }
        true
    }
}

/// The kind of a descriptor on which stdio may wait for a peer; `None`: any other, or none at all.
fn waits_for_peers(fd: c_int) -> Option<libc::mode_t> {
    let kind = file::kind(fd).ok()?;
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
        with_closed(number(file), || next::fclose(file), |_| true)
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
        let result = with_closed(number(file), call, |_| true);
        if !stream.is_null() {
            free(stream);
        }
        result
    }
}

/// Has who is inside a stream that is about to be closed come out first, as libc's lock would if it were another thread; who
/// waits for the descriptor gets EBADF. False, EBUSY: the caller is no coroutine, and cannot wait for one of its thread.
unsafe fn settle(stream: *mut Stream) -> bool {
    // SAFETY: the caller's promise: the stream is open, and those inside are of this thread.
    unsafe {
        while (*stream).in_use() || (*stream).is_read() {
            let Some(current) = current() else {
                errno::set(Errno(libc::EBUSY));
                return false;
            };
            (*stream).closing = true;
            scheduler::descriptor_closed(scheduler::descriptor_closing((*stream).fd), true);
            current.wait_in(&raw mut (*stream).waiters, 0, NEVER);
            (*stream).closing = false;
            leave(stream);
        }
    }
    true
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
fn with_closed<T>(fd: c_int, call: impl FnOnce() -> T, closed: impl FnOnce(&T) -> bool) -> T {
    if fd < 0 {
        return call();
    }
    let before = errno::get();
    let closing = scheduler::descriptor_closing(fd);
    errno::set(before);
    let result = call();
    let after = errno::get();
    scheduler::descriptor_closed(closing, closed(&result));
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

impl Stream {
    /// Whether it is the turn of a coroutine that is still there.
    fn in_use(&self) -> bool {
        self.user != 0 && self.user == aborts()
    }

    /// Whether a coroutine that is still there reads.
    fn is_read(&self) -> bool {
        self.reader != 0 && self.reader == aborts()
    }
}

unsafe extern "C" fn read(stream: *mut Stream, buffer: *mut c_char, length: size_t) -> ssize_t {
    // SAFETY: libc gives us the stream and room for so many bytes.
    unsafe {
        let fd = (*stream).fd;
        let current = current();
        if (*stream).is_read() || current.is_none() && (*stream).in_use() {
            errno::set(Errno(libc::EBUSY));
            return -1;
        }
        let Some(current) = current else { return next::read(fd, buffer.cast(), length) };
        (*stream).reader = aborts();
        let turn = take_turn_to_read(current, stream);
        let result = c_size(turn.and_then(|()| file::read(current, fd, buffer.cast(), length)));
        (*stream).reader = 0;
        if turn.is_ok() || !(*stream).in_use() {
            leave(stream);
        }
        result
    }
}

/// Waits until it is the caller's turn and, where others may write meanwhile, there is something to read. After an error it
/// is not the caller's turn.
unsafe fn take_turn_to_read(current: Current, stream: *mut Stream) -> Result<()> {
    // SAFETY: the caller's promise: the stream is valid, and libc's lock on it is this thread's.
    unsafe {
        if !(*stream).updates {
            take_turn(current, stream);
            return Ok(());
        }
        let file = (*stream).file;
        let mut waits = Waits::of_socket(Caller::Libc(current), (*stream).fd, Direction::Read);
        loop {
            while waits.poll() == 0 {
                waits.park()?;
            }
            take_turn(current, stream);
            let (begin, end) = ((*file).write_base, (*file).write_next);
            if begin == end {
                break;
            }
            let length = end.offset_from(begin);
            if write_copy(current, stream, begin, length as usize, true) != length {
                (*file).flags |= ERROR;
            }
            if (*file).write_next == end {
                (*file).write_next = begin;
            } else {
                (*file).write_base = end;
            }
            // Those who have waited meanwhile tell libc that the buffer is empty: it must be.
            leave(stream);
        }
        if (*file).flags & PUTTING != 0 {
            // As libc has left it before it called us.
            let buffer = (*file).buffer;
            (*file).flags &= !PUTTING;
            (*file).read = [buffer; 3];
            ((*file).write_base, (*file).write_next, (*file).write_end) = (buffer, buffer, buffer);
        }
    }
    Ok(())
}

/// Waits until it is the caller's turn.
unsafe fn take_turn(current: Current, stream: *mut Stream) {
    // SAFETY: as in `take_turn_to_read`.
    unsafe {
        if (*stream).in_use() {
            // `leave` hands it over.
            current.wait_in(&raw mut (*stream).waiters, 0, NEVER);
        }
        (*stream).user = aborts();
    }
}

/// Gives the turn to the next one who waits for it.
unsafe fn leave(stream: *mut Stream) {
    // SAFETY: the caller's promise; those on the list are of the thread that has the stream's lock.
    unsafe {
        let handed_over = scheduler::wake_first(&raw mut (*stream).waiters, Wake::Ready);
        (*stream).user = if handed_over { aborts() } else { 0 };
    }
}

/// As libc asks: 0 for an error.
unsafe extern "C" fn write(stream: *mut Stream, data: *const c_char, length: size_t) -> ssize_t {
    // SAFETY: libc gives us the stream and so many bytes, in its buffer or the program's.
    unsafe {
        let Some(current) = current() else {
            if (*stream).in_use() {
                errno::set(Errno(libc::EBUSY));
                return 0;
            }
            return write_all(data.cast(), length, |data, left| next::write((*stream).fd, data.cast(), left));
        };
        let file = (*stream).file;
        let buffered = ((*file).buffer..(*file).buffer_end).contains(&data.cast_mut().cast());
        let waited = (*stream).in_use();
        take_turn(current, stream);
        // Up to here the buffer is written, or will be by this call.
        let mut end = if waited { (*file).write_base } else { (*file).write_next };
        let mut written = length as ssize_t;
        if !(waited && buffered) {
            written = write_copy(current, stream, data.cast(), length, buffered);
        }
        // libc takes the buffer for empty when we return: what others have put there meanwhile must be written, too.
        while written == length as ssize_t && (*file).write_next != end {
            let begin = if (*file).write_next > end { end } else { (*file).write_base };
            let more = (*file).write_next.offset_from(begin);
            end = (*file).write_next;
            if write_copy(current, stream, begin, more as usize, true) != more {
                written = 0;
            }
        }
        leave(stream);
        written
    }
}

/// Writes bytes of the buffer from a copy.
unsafe fn write_copy(current: Current, stream: *mut Stream, data: *const u8, length: usize, buffered: bool) -> ssize_t {
    // SAFETY: the caller's promise of the bytes; the copy is the stream's.
    unsafe {
        memory::free(core::mem::replace(&mut (*stream).copy, ptr::null_mut()));
        let mut from = data;
        if buffered && let Ok(copy) = memory::array_zeroed::<u8>(length.max(1)) {
            ptr::copy_nonoverlapping(data, copy.as_ptr(), length);
            (*stream).copy = copy.as_ptr();
            from = copy.as_ptr();
        }
        let fd = (*stream).fd;
        let written = write_all(from, length, |data, left| {
            let closed = (*stream).closing.then_some(Errno(libc::EBADF));
            c_size(closed.map_or_else(|| file::write(current, fd, data.cast(), left), Err))
        });
        memory::free(core::mem::replace(&mut (*stream).copy, ptr::null_mut()));
        written
    }
}

/// Writes until all is written, or an error; how many bytes were.
unsafe fn write_all(data: *const u8, length: usize, mut call: impl FnMut(*const u8, usize) -> ssize_t) -> ssize_t {
    let mut done = 0;
    while done < length {
        // SAFETY: within the caller's bytes.
        let written = call(unsafe { data.add(done) }, length - done);
        if written < 0 {
            break;
        }
        done += written as usize;
    }
    done as ssize_t
}

/// No such descriptor has a position: ESPIPE, which libc expects.
unsafe extern "C" fn seek(stream: *mut Stream, offset: *mut off64_t, whence: c_int) -> c_int {
    // SAFETY: libc gives us the stream and the offset.
    unsafe {
        let position = syscall_raw!(SYS_lseek, (*stream).fd, *offset, whence);
        if position < 0 {
            errno::set(Errno(-position as c_int));
            return -1;
        }
        *offset = position as off64_t;
    }
    0
}

unsafe extern "C" fn close_stream(stream: *mut Stream) -> c_int {
    // SAFETY: libc calls this last.
    unsafe {
        let fd = (*stream).fd;
        free(stream);
        close::close(fd)
    }
}
