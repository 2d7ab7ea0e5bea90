// SPDX-License-Identifier: MIT OR Apache-2.0
//! `getaddrinfo` and `getnameinfo`.

use core::ffi::{c_char, c_int};
use core::{mem, ptr};

use libc::{addrinfo, sockaddr, sockaddr_storage, socklen_t};

use super::{HostError, Text, is_numeric, resolve};
use crate::scheduler::Current;
use crate::scheduler::offload::{Kind, Work};
use crate::sys::{Errno, errno, memory, next};

/// Longer names than libc ever gives; who offers more room gets no more.
const LONGEST: usize = 64 << 10;

struct AddressInfo {
    node: Text,
    service: Text,
    hints: Option<addrinfo>,
    host_error: HostError,
    code: c_int,
    list: *mut addrinfo,
}

impl Work for AddressInfo {
    const KIND: Kind = Kind::Names;
    fn run(&mut self) {
        let AddressInfo { node, service, hints, code, list, .. } = self;
        let hints = hints.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: copies of what the caller has promised to be good.
        self.host_error.during(|| *code = unsafe { next::getaddrinfo(node.0, service.0, hints, list) });
    }
}

impl Drop for AddressInfo {
    fn drop(&mut self) {
        if !self.list.is_null() {
            // SAFETY: libc's list, which nobody was given.
            unsafe { next::freeaddrinfo(self.list) };
        }
    }
}

/// `getaddrinfo`.
///
/// # Safety
/// As libc's.
pub unsafe fn getaddrinfo(
    current: Current,
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    list: *mut *mut addrinfo,
) -> c_int {
    // SAFETY: the caller's promise, here and below: null or valid.
    let hints = unsafe { hints.as_ref() };
    let flags = hints.map_or(0, |hints| hints.ai_flags);
    // SAFETY: as above.
    let looks_up = unsafe {
        !(node.is_null() || flags & libc::AI_NUMERICHOST != 0 || is_numeric(node))
            || !(service.is_null() || flags & libc::AI_NUMERICSERV != 0 || is_number(service))
    };
    let make = || {
        // SAFETY: as above.
        let (node, service) = unsafe { (Text::copy(node)?, Text::copy(service)?) };
        // What else may be in there is none of libc's business.
        let hints = hints.map(|hints| addrinfo {
            ai_addr: ptr::null_mut(),
            ai_canonname: ptr::null_mut(),
            ai_next: ptr::null_mut(),
            ai_addrlen: 0,
            ..*hints
        });
        Ok(AddressInfo { node, service, hints, host_error: HostError::of(current), code: 0, list: ptr::null_mut() })
    };
    let answer = resolve(current, looks_up, make, |work| {
        work.host_error.hand_over(current);
        if work.code == 0 {
            // SAFETY: the caller's out parameter.
            unsafe { *list = mem::replace(&mut work.list, ptr::null_mut()) };
        }
        work.code
    });
    answer.unwrap_or_else(memory_error)
}

fn memory_error(error: Errno) -> c_int {
    errno::set(error);
    libc::EAI_MEMORY
}

/// Whether libc takes it for a port number.
unsafe fn is_number(service: *const c_char) -> bool {
    let mut end = ptr::null_mut();
    let before = errno::get();
    // SAFETY: the caller gives a C string.
    let is = unsafe {
        libc::strtoul(service, &mut end, 10);
        *end == 0
    };
    errno::set(before);
    is
}

struct NameInfo {
    address: sockaddr_storage,
    length: socklen_t,
    /// Room for the host and behind it for the service.
    texts: *mut c_char,
    rooms: [Option<usize>; 2],
    flags: c_int,
    host_error: HostError,
    code: c_int,
}

impl NameInfo {
    fn host(&self) -> *mut c_char {
        if self.rooms[0].is_some() { self.texts } else { ptr::null_mut() }
    }

    fn service(&self) -> *mut c_char {
        if self.rooms[1].is_some() { self.texts.wrapping_add(self.rooms[0].unwrap_or(0)) } else { ptr::null_mut() }
    }
}

impl Work for NameInfo {
    const KIND: Kind = Kind::Names;
    fn run(&mut self) {
        let (host, service) = (self.host(), self.service());
        let NameInfo { address, length, rooms, flags, code, .. } = self;
        let room = |room: Option<usize>| room.unwrap_or(0) as socklen_t;
        let address = ptr::from_ref(address).cast::<sockaddr>();
        // SAFETY: a copy of the caller's address; the texts have this much room.
        self.host_error.during(|| unsafe {
            *code = next::getnameinfo(address, *length, host, room(rooms[0]), service, room(rooms[1]), *flags);
        });
    }
}

impl Drop for NameInfo {
    fn drop(&mut self) {
        // SAFETY: ours, and not used again.
        unsafe { memory::free(self.texts) };
    }
}

/// `getnameinfo`.
///
/// # Safety
/// As libc's.
pub unsafe fn getnameinfo(
    current: Current,
    address: *const sockaddr,
    length: socklen_t,
    [host, service]: [*mut c_char; 2],
    rooms: [socklen_t; 2],
    flags: c_int,
) -> c_int {
    let wants = |text: *mut c_char, room: socklen_t| !text.is_null() && room > 0;
    let looks_up = wants(host, rooms[0]) && flags & libc::NI_NUMERICHOST == 0
        || wants(service, rooms[1]) && flags & libc::NI_NUMERICSERV == 0;
    let make = || {
        // SAFETY: plain data, valid when zero.
        let mut copy: sockaddr_storage = unsafe { mem::zeroed() };
        let size = (length as usize).min(size_of_val(&copy));
        // SAFETY: the caller's promise; libc reads no more than this.
        unsafe { ptr::from_mut(&mut copy).cast::<u8>().copy_from_nonoverlapping(address.cast(), size) };
        let room = |text: *mut c_char, room: socklen_t| (!text.is_null()).then_some((room as usize).min(LONGEST));
        let rooms = [room(host, rooms[0]), room(service, rooms[1])];
        let texts = memory::array_zeroed(rooms[0].unwrap_or(0) + rooms[1].unwrap_or(0) + 1)?.as_ptr();
        Ok(NameInfo { address: copy, length, texts, rooms, flags, host_error: HostError::of(current), code: 0 })
    };
    let answer = resolve(current, looks_up, make, |work| {
        work.host_error.hand_over(current);
        if work.code == 0 {
            for (to, from, room) in [(host, work.host(), work.rooms[0]), (service, work.service(), work.rooms[1])] {
                if room.is_some_and(|room| room > 0) {
                    // SAFETY: a C string that libc has fitted into the caller's room.
                    unsafe { to.copy_from_nonoverlapping(from, libc::strlen(from) + 1) };
                }
            }
        }
        work.code
    });
    answer.unwrap_or_else(memory_error)
}
