// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hooked libc names
//!
//! The library defines the libc names that may wait, so that code which
//! knows nothing of coroutines waits in its coroutine only. The guide
//! (docs/hooks.md) lists them, and says how to make sure that they are
//! reached.
//!
//! With the environment variable DYCO_BLOCKED_MS=N the library tells on
//! stderr of each hooked call that holds up its thread for more than N
//! milliseconds while the thread has coroutines, and of each coroutine that
//! keeps its thread for so long between two waits.

use core::ffi::{c_char, c_int};
use core::ptr;

use super::number;
use crate::io::{files, hooks};

/// Tells whether this program reaches the hooks: whether it, and the
/// libraries that it is linked with, find our definitions first.
///
/// Where it does not, libdyco comes after libc: it was loaded by dlopen(),
/// or libc was linked before it. The hooked names then make the thread
/// wait; the dyco_* functions work. A module that was loaded with
/// RTLD_DEEPBIND looks by itself, and is not seen here.
///
/// @return 1 all names lead here; 0 some do not, or the library was built
///         without hooks
#[unsafe(no_mangle)]
pub extern "C" fn dyco_hook_active() -> c_int {
    hooks::are_reached().into()
}

/// Names the hooked names that do not lead here, one by one.
///
/// A tool that stands in front of us on purpose (a sanitizer, a tracer)
/// shows up here, too, although it passes the calls on.
///
/// @param index 0, 1, ...
/// @return the name; NULL when there are no more
#[unsafe(no_mangle)]
pub extern "C" fn dyco_hook_missing(index: c_int) -> *const c_char {
    let name = usize::try_from(index).ok().and_then(hooks::missing);
    name.map_or(ptr::null(), |name| name.as_ptr())
}

/// Switches the hooks off or on for the calling thread, for instance around
/// a call into a library that must not give way to other coroutines. While
/// they are off the hooked names are libc's own here: inside a coroutine
/// they make the thread wait. The dyco_* functions are not touched, and
/// closing a descriptor wakes those who wait for it all the same.
///
/// At first they are on. The switch is the thread's, not the coroutine's:
/// do not wait by a dyco_* function while they are off, unless the others
/// may find them so.
///
/// @param on 0: off; any other: on
/// @return how they were: 1 on, 0 off
#[unsafe(no_mangle)]
pub extern "C" fn dyco_hook_enable(on: c_int) -> c_int {
    hooks::enable(on != 0).into()
}

/// Whether calls that read, write, open, look at or sync files on disk
/// wait in their coroutine only, in the calling thread: read(), write(),
/// pread(), pwrite() and their vector forms, fsync(), fdatasync(), open(),
/// stat() and their kin, by these names. Helper threads make them; what is
/// in the page cache already is read at once.
///
/// Off at first, because programs hold locks across such calls: for a plain
/// mutex others of the thread wait in their coroutines, but a recursive one
/// lets them in, and other kinds they would wait for for ever. Without it,
/// and in signal handlers, the thread waits.
///
/// A coroutine that is ended from outside while a helper makes its call
/// waits for the end of it, and so does who ends it.
///
/// The setting goes with the thread's scheduler, which is made if need be.
/// In a library without hooks it means nothing.
///
/// @param on 0 or not
/// @return whether it was on before, 0 or 1; or -1 and errno: ENOMEM
#[unsafe(no_mangle)]
pub extern "C" fn dyco_hook_files(on: c_int) -> c_int {
    number(files::set(on != 0))
}
