// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accepting connections.
//!
//! A blocking accept on a listener whose connection somebody else has taken first would make the thread wait. io_uring has
//! an accept that does not. It is not tried before poll(2) has seen a connection: it costs a socket made in vain.
//!
//! Without a ring the coroutines of this process take turns (the listener's flag lock) in asking poll(2) and accepting. A
//! listener that may be shared with other processes is made non-blocking for the call as well. What remains is a moment
//! in which another process, doing the same, has already made it blocking again; and, for other listeners, a thread of
//! this process that accepts outside coroutines.

use core::ffi::c_int;

use libc::{sockaddr, socklen_t};

use super::flags::{FlagLock, is_nonblocking};
use super::waits::{EAGAIN, option, poll_now};
use super::{Caller, Waits, socket};
use crate::poller::descriptors::{self, Snapshot, flag};
use crate::scheduler::{Direction, in_vfork_child};
use crate::sys::Result;
use crate::syscall;

/// `accept` (no flags) and `accept4`.
///
/// # Safety
/// As accept4(2).
pub unsafe fn accept4(
    caller: Caller,
    fd: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
    flags: c_int,
) -> Result<usize> {
    // SAFETY: the caller's promise.
    let call = || unsafe { syscall!(SYS_accept4, fd, address, length, flags) };
    let listener = descriptors::get(fd);
    let nonblocking = is_nonblocking(fd, listener)?;
    if flags & !(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) != 0 {
        // EINVAL, at once.
        return call();
    }
    if !listener.listens() {
        if option(fd, libc::SO_ACCEPTCONN) != Ok(1) {
            // An error, at once. That it has been found empty, by who reads from it, would say nothing here.
            return call();
        }
        descriptors::add_flags(fd, flag::LISTENS);
    }
    let mut waits = Waits::of_socket(caller, fd, Direction::Read);
    let mut emptied = false;
    if caller.current().streams_by_ring()
        // SAFETY: the caller's promise.
        && let Some(accepted) = unsafe { accept_by_ring(&mut waits, listener, address, length, flags) }
    {
        let accepted = accepted?;
        born(accepted as c_int, fd, listener, flags);
        return Ok(accepted);
    }
    if waits.has_no_connections() {
        waits.park()?;
    }
    let accepted = waits.trying(|| {
        if nonblocking {
            return call();
        }
        let turn = if caller.current().has_ring() { None } else { Some(FlagLock::take(fd)) };
        match poll_now(fd, libc::POLLIN | libc::POLLRDHUP) {
            // Nobody can connect to what does not listen any more: the kernel says so at once.
            0 => return if option(fd, libc::SO_ACCEPTCONN) == Ok(1) { Err(EAGAIN) } else { call() },
            // Shut down for reading it does not wait; asked not to, AF_UNIX would say EAGAIN.
            events if events & c_int::from(libc::POLLRDHUP) != 0 => return call(),
            _ => {}
        }
        match turn {
            Some(_) if listener.known() && !listener.shared() => call(),
            Some(lock) => lock.without_blocking(fd, call),
            None => {
                // SAFETY: the caller's promise.
                match unsafe { caller.current().accept_now(fd, address, length, flags) } {
                    Some((accepted, more)) => {
                        emptied = listener.tcp() && !more;
                        accepted
                    }
                    None => FlagLock::take(fd).without_blocking(fd, call),
                }
            }
        }
    })?;
    if emptied {
        waits.note_drained(descriptors::get(fd));
    }
    born(accepted as c_int, fd, listener, flags);
    Ok(accepted)
}

/// `accept4` of a blocking TCP listener: what has come is taken at once, since a crowd would wait for as many turns of the
/// loop otherwise; the next one is waited for in the ring. `None`: try otherwise.
///
/// # Safety
/// As accept4(2).
unsafe fn accept_by_ring(
    waits: &mut Waits,
    listener: Snapshot,
    address: *mut sockaddr,
    length: *mut socklen_t,
    flags: c_int,
) -> Option<Result<usize>> {
    let (fd, current) = (waits.fd, waits.current());
    let may_lend = current.may_lend(address.cast(), size_of::<libc::sockaddr_storage>())
        && current.may_lend(length.cast(), size_of::<socklen_t>());
    if !listener.tcp() || !listener.known() || listener.shared() || listener.nonblocking() || !may_lend {
        return None;
    }
    if !current.is_dry(fd) && poll_now(fd, libc::POLLIN | libc::POLLRDHUP) != 0 {
        // SAFETY: the caller's promise.
        match unsafe { current.accept_now(fd, address, length, flags) }? {
            (Err(EAGAIN), _) => {}
            (result, more) => {
                if !more && result.is_ok() {
                    current.note_dry(fd);
                }
                return Some(result);
            }
        }
    }
    match waits.deadline() {
        Ok(deadline) => {
            // SAFETY: the caller's promise; the kernel may have the addresses.
            let accepted = unsafe { current.accept(fd, address, length, flags, deadline) };
            if accepted.is_none() {
                waits.renew();
            }
            accepted
        }
        Err(error) => Some(Err(error)),
    }
}

/// Notes the birth of a connection that was accepted outside coroutines, if it was; gives `result` back.
pub fn note(result: c_int, listener: c_int, flags: c_int) -> c_int {
    if result >= 0 && !in_vfork_child() {
        born(result, listener, descriptors::get(listener), flags);
    }
    result
}

fn born(fd: c_int, listener_fd: c_int, listener: Snapshot, flags: c_int) {
    let mut facts = if listener.known() {
        listener.flags & (flag::SOCKET | flag::STREAM | flag::TCP | flag::INET | flag::LINGERS)
    } else {
        // One that is no listener any more is asked in vain: then nothing is known, which does no harm.
        let ask = |name| option(listener_fd, name);
        match (ask(libc::SO_DOMAIN), ask(libc::SO_TYPE), ask(libc::SO_PROTOCOL)) {
            (Ok(domain), Ok(kind), Ok(protocol)) => socket::facts(domain, kind, protocol),
            _ => return descriptors::forget(fd),
        }
    };
    if flags & libc::SOCK_NONBLOCK != 0 {
        facts |= flag::NONBLOCK;
    }
    // Connections of AF_INET take over the listener's timeouts, those of other families begin without.
    let (receive, send) = descriptors::timeouts(listener_fd);
    let no_timeouts = listener.known() && !listener.shared() && listener.timeouts_known() && (receive, send) == (0, 0);
    if no_timeouts {
        facts |= flag::TIMEOUTS;
    }
    socket::born(fd, facts);
}
