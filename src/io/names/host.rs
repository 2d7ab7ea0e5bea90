// SPDX-License-Identifier: MIT OR Apache-2.0
//! `gethostbyname` and its kin. All of them are made of libc's `_r` forms; where the answer is libc's static one, it is
//! the coroutine's own, and stays until its next call of the same name.

use core::ffi::{c_char, c_int, c_void};
use core::{mem, ptr};

use libc::{hostent, size_t, socklen_t};

use super::{HostError, Text, inet_aton, inet_pton, resolve};
use crate::scheduler::Current;
use crate::scheduler::offload::{Kind, Work};
use crate::sys::{Errno, Result, errno, memory, next};

/// Where libc begins with the room for an answer of its own.
const ROOM: usize = 1024;
/// The longest address, in bytes.
const ADDRESS: usize = 16;
/// netdb.h's NETDB_INTERNAL: see errno.
const INTERNAL: c_int = -1;

/// What is asked, with the caller's pointers.
#[derive(Clone, Copy)]
pub enum Query {
    /// `gethostbyname`.
    Name(*const c_char),
    /// `gethostbyname2`.
    NameOf(*const c_char, c_int),
    /// `gethostbyaddr`.
    Address(*const c_void, socklen_t, c_int),
}

/// What is asked, in copies.
enum Question {
    Name(Text),
    NameOf(Text, c_int),
    Address(Bytes, socklen_t, c_int),
}

/// An address on the heap.
struct Bytes(*mut u8);

impl Drop for Bytes {
    fn drop(&mut self) {
        // SAFETY: ours, and not used again.
        unsafe { memory::free(self.0) };
    }
}

impl Query {
    unsafe fn copy(self) -> Result<Question> {
        // SAFETY: the caller's promise. Of an address libc reads what its family has; should the caller claim more, there is
        // room for it.
        unsafe {
            Ok(match self {
                Query::Name(name) => Question::Name(Text::copy(name)?),
                Query::NameOf(name, family) => Question::NameOf(Text::copy(name)?, family),
                Query::Address(address, length, family) => {
                    let copy = Bytes(memory::array_zeroed((length as usize).max(ADDRESS))?.as_ptr());
                    let size = if address.is_null() { 0 } else { (length as usize).min(ADDRESS) };
                    copy.0.copy_from_nonoverlapping(address.cast(), size);
                    Question::Address(copy, length, family)
                }
            })
        }
    }

    unsafe fn looks_up(self) -> bool {
        match self {
            // SAFETY: the caller's promise.
            Query::Name(name) | Query::NameOf(name, _) => unsafe { !is_digits_dots(name) },
            Query::Address(..) => true,
        }
    }

    /// Which of libc's static answers it is.
    fn index(self) -> usize {
        match self {
            Query::Name(..) => 0,
            Query::NameOf(..) => 1,
            Query::Address(..) => 2,
        }
    }
}

/// Whether libc makes the answer of the name itself, an address in figures, in these functions.
///
/// # Safety
/// A C string.
unsafe fn is_digits_dots(name: *const c_char) -> bool {
    let mut address = [0u8; 16];
    // SAFETY: the caller's promise; the address has room for either kind.
    unsafe {
        let digits = *name.add(libc::strspn(name, c"0123456789.".as_ptr())) == 0;
        digits && inet_aton(name, address.as_mut_ptr()) != 0
            || inet_pton(libc::AF_INET6, name, address.as_mut_ptr()) == 1
    }
}

/// An answer: what libc's functions point to, with all that it points to.
#[repr(C)]
struct Answer {
    host: hostent,
    // `room` bytes follow.
}

struct Lookup {
    question: Question,
    answer: *mut Answer,
    /// Of the buffer, which begins `offset` bytes behind the answer.
    room: usize,
    offset: usize,
    grows: bool,
    found: bool,
    code: c_int,
    error: c_int,
    host_error: HostError,
}

impl Lookup {
    /// `like`: where the caller's buffer is; libc aligns what it puts into one, so that its address counts.
    fn new(current: Current, question: Question, room: usize, like: usize, error: c_int) -> Result<Lookup> {
        let offset = like % 16;
        let mut lookup = Lookup {
            question,
            answer: ptr::null_mut(),
            room,
            offset,
            grows: false,
            found: false,
            code: 0,
            error,
            host_error: HostError::of(current),
        };
        lookup.make_room(room)?;
        Ok(lookup)
    }

    fn make_room(&mut self, room: usize) -> Result<()> {
        let size = room.checked_add(size_of::<Answer>() + self.offset).ok_or(Errno(libc::ENOMEM))?;
        let answer = memory::array_zeroed::<u8>(size)?.as_ptr();
        // SAFETY: null or ours; nothing of the old one is used again.
        unsafe { memory::free(self.answer) };
        (self.answer, self.room) = (answer.cast(), room);
        Ok(())
    }

    fn buffer(&self) -> *mut c_char {
        self.answer.wrapping_add(1).cast::<c_char>().wrapping_add(self.offset)
    }

    fn ask(&mut self) {
        let (buffer, room) = (self.buffer(), self.room);
        let mut result: *mut hostent = ptr::null_mut();
        let Lookup { question, answer, error, code, host_error, .. } = self;
        let host: *mut hostent = answer.cast();
        // SAFETY: copies of what the caller has promised to be good; the buffer has this much room.
        host_error.during(|| unsafe {
            *code = match question {
                Question::Name(name) => next::gethostbyname_r(name.0, host, buffer, room, &mut result, error),
                Question::NameOf(name, family) => {
                    next::gethostbyname2_r(name.0, *family, host, buffer, room, &mut result, error)
                }
                Question::Address(address, length, family) => {
                    let address = address.0.cast();
                    next::gethostbyaddr_r(address, *length, *family, host, buffer, room, &mut result, error)
                }
            };
        });
        self.found = !result.is_null();
    }
}

impl Work for Lookup {
    const KIND: Kind = Kind::Names;
    fn run(&mut self) {
        self.ask();
        while self.grows && self.code == libc::ERANGE && self.error == INTERNAL {
            if let Err(error) = self.make_room(self.room * 2) {
                errno::set(error);
                self.found = false;
                return;
            }
            self.ask();
        }
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        // SAFETY: null or ours, and not used again.
        unsafe { memory::free(self.answer) };
    }
}

/// `gethostbyname`, `gethostbyname2` and `gethostbyaddr`.
///
/// # Safety
/// As libc's.
pub unsafe fn get_host(current: Current, query: Query) -> *mut hostent {
    let make = || {
        // SAFETY: the caller's promise.
        let mut lookup = Lookup::new(current, unsafe { query.copy() }?, ROOM, 0, 0)?;
        lookup.grows = true;
        Ok(lookup)
    };
    // SAFETY: the caller's promise.
    let answer = resolve(current, unsafe { query.looks_up() }, make, |lookup| {
        if lookup.error != 0 {
            lookup.host_error.0 = lookup.error;
        }
        lookup.host_error.hand_over(current);
        if !lookup.found {
            return Ok(ptr::null_mut());
        }
        current.keep_answer(query.index(), lookup.answer.cast())?;
        Ok(mem::replace(&mut lookup.answer, ptr::null_mut()).cast())
    });
    answer.and_then(|host| host).unwrap_or_else(|error| {
        HostError(INTERNAL).hand_over(current);
        errno::set(error);
        ptr::null_mut()
    })
}

/// The `_r` forms: the error number.
///
/// # Safety
/// As libc's.
pub unsafe fn get_host_r(
    current: Current,
    query: Query,
    host: *mut hostent,
    (buffer, room): (*mut c_char, size_t),
    result: *mut *mut hostent,
    error: *mut c_int,
) -> c_int {
    let make = || {
        // SAFETY: the caller's promise.
        unsafe { Lookup::new(current, query.copy()?, room, buffer as usize, *error) }
    };
    // SAFETY: the caller's promise.
    let answer = resolve(current, unsafe { query.looks_up() }, make, |lookup| {
        lookup.host_error.hand_over(current);
        // SAFETY: the caller's out parameters, and its buffer, which has the room that libc was given.
        unsafe {
            *error = lookup.error;
            *result = ptr::null_mut();
            if lookup.found {
                buffer.copy_from_nonoverlapping(lookup.buffer(), room);
                *host = (*lookup.answer).host;
                let move_by = Move { from: lookup.buffer() as usize, size: room, to: buffer as usize };
                move_by.host(host);
                *result = host;
            }
        }
        lookup.code
    });
    answer.unwrap_or_else(|Errno(code)| {
        // SAFETY: as above.
        unsafe {
            *error = INTERNAL;
            *result = ptr::null_mut();
        }
        code
    })
}

/// A buffer was copied elsewhere, and what points into it has to follow.
struct Move {
    from: usize,
    size: usize,
    to: usize,
}

impl Move {
    unsafe fn host(&self, host: *mut hostent) {
        // SAFETY: the arrays that the moved answer points to have been moved, and end with null.
        unsafe {
            self.pointer(&raw mut (*host).h_name);
            self.pointer(&raw mut (*host).h_aliases);
            self.pointer(&raw mut (*host).h_addr_list);
            self.array((*host).h_aliases);
            self.array((*host).h_addr_list);
        }
    }

    unsafe fn array(&self, mut pointers: *mut *mut c_char) {
        // SAFETY: the caller's promise: null, or an array that ends with null.
        unsafe {
            while !pointers.is_null() && !(*pointers).is_null() {
                self.pointer(pointers);
                pointers = pointers.add(1);
            }
        }
    }

    /// What does not point into the buffer stays.
    unsafe fn pointer<T>(&self, pointer: *mut *mut T) {
        // SAFETY: the caller's promise.
        unsafe {
            let offset = (*pointer as usize).wrapping_sub(self.from);
            if offset < self.size {
                *pointer = (self.to + offset) as *mut T;
            }
        }
    }
}
