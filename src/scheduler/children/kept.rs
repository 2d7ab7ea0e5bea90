// SPDX-License-Identifier: MIT OR Apache-2.0
//! Children of the library's own making, those of system(3) and popen(3). They are claimed from their birth on, so that
//! nobody who waits for any child takes one; what a stream belongs to is found by the stream.

// Without the hooks nobody makes any.
#![cfg_attr(not(feature = "hook"), allow(dead_code))]

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::{mem, ptr};

use libc::pid_t;

use super::claims::{self, Claim};
use super::{Report, Wanted, ignored};
use crate::scheduler::{Current, registry};
use crate::sys::{Errno, Result, memory};

/// A kept child.
#[repr(C)]
pub struct Kept {
    claim: Claim,
    next: *mut Kept,
    /// popen's, until pclose; else null.
    stream: *mut c_void,
    /// The stream is written to.
    pub writes: bool,
}

struct Shared {
    first: UnsafeCell<*mut Kept>,
}

// SAFETY: touched under the registry's lock only.
unsafe impl Sync for Shared {}

static SHARED: Shared = Shared { first: UnsafeCell::new(ptr::null_mut()) };

/// Makes a child by `spawn`, under the registry's lock, and keeps it. `stream`: popen's, or null.
pub fn keep(stream: *mut c_void, writes: bool, spawn: impl FnOnce() -> Result<pid_t>) -> Result<*mut Kept> {
    let kept = memory::zeroed::<Kept>()?.as_ptr();
    let child = registry::locked(|| {
        let child = spawn();
        if let Ok(pid) = child {
            // SAFETY: fresh memory, which is known from now on; under the lock.
            unsafe {
                let first = SHARED.first.get();
                kept.write(Kept { claim: Claim::of_child(pid), next: *first, stream, writes });
                *first = kept;
            }
        }
        child
    });
    // SAFETY: ours, unless it is known.
    child.map(|_| kept).inspect_err(|_| unsafe { memory::free(kept) })
}

/// Calls `each` for the streams of children that are kept.
///
/// # Safety
/// In what [`keep`] calls.
pub unsafe fn for_each_stream(each: &mut dyn FnMut(*mut c_void)) {
    // SAFETY: under the lock, known ones are valid.
    unsafe {
        let mut kept = *SHARED.first.get();
        while !kept.is_null() {
            if !(*kept).stream.is_null() {
                each((*kept).stream);
            }
            kept = (*kept).next;
        }
    }
}

/// The child that a stream of popen's belongs to, which has no stream from now on; null: none of ours.
pub fn take_stream(stream: *mut c_void) -> *mut Kept {
    // SAFETY: under the lock, known ones are valid.
    registry::locked(|| unsafe {
        let mut kept = *SHARED.first.get();
        while !kept.is_null() && (*kept).stream != stream {
            kept = (*kept).next;
        }
        if !kept.is_null() {
            (*kept).stream = ptr::null_mut();
        }
        kept
    })
}

/// The claim of a kept child; null: it is none.
///
/// # Safety
/// Under the registry's lock.
pub(super) unsafe fn find(pid: pid_t) -> *mut Claim {
    // SAFETY: the caller's promise.
    unsafe {
        let mut kept = *SHARED.first.get();
        while !kept.is_null() && ((*kept).claim.pid != pid || (*kept).claim.told) {
            kept = (*kept).next;
        }
        kept.cast()
    }
}

/// Whether there are any.
///
/// # Safety
/// Under the registry's lock.
#[cfg(feature = "hook")]
pub(super) unsafe fn are_any() -> bool {
    // SAFETY: the caller's promise.
    unsafe { !(*SHARED.first.get()).is_null() }
}

/// What to wait for; ECHILD: the child is that of a process which has forked this one.
///
/// # Safety
/// `kept` is the caller's.
pub unsafe fn wanted(kept: *mut Kept) -> Result<Wanted> {
    // SAFETY: the caller's promise.
    let pid = registry::locked(|| unsafe { (*kept).claim.pid });
    if pid == 0 {
        return Err(Errno(libc::ECHILD));
    }
    Ok(Wanted { kind: libc::P_PID, id: pid as libc::id_t, options: libc::WEXITED })
}

/// Puts into `report` what somebody else has reaped for the keeper, if anything.
///
/// # Safety
/// `kept` is the caller's.
pub unsafe fn report(kept: *mut Kept, report: &mut Report) -> bool {
    // SAFETY: the caller's promise; under the lock.
    registry::locked(|| unsafe { claims::hand_over(&raw mut (*kept).claim, report) })
}

/// Ends the keeping; a child that has not been reaped is the program's from now on.
///
/// # Safety
/// `kept` is the caller's, and not used again.
pub unsafe fn let_go(kept: *mut Kept) {
    // SAFETY: the caller's promise; it is known, once.
    unsafe {
        registry::locked(|| {
            let mut at = SHARED.first.get();
            while *at != kept {
                at = &raw mut (**at).next;
            }
            *at = (*kept).next;
        });
        memory::free(kept);
    }
}

/// In a forked child: they are the parent's.
///
/// # Safety
/// Under the registry's lock.
pub(super) unsafe fn forked() {
    // SAFETY: the caller's promise.
    unsafe {
        let mut kept = *SHARED.first.get();
        while !kept.is_null() {
            (*kept).claim.pid = 0;
            kept = (*kept).next;
        }
    }
}

/// A command that the calling coroutine waits for; it ends with the coroutine.
pub struct Command {
    kept: *mut Kept,
    /// Signals are ignored for it.
    ignores: bool,
}

impl Command {
    /// None.
    pub fn none() -> Command {
        Command { kept: ptr::null_mut(), ignores: false }
    }

    /// Ends the wait, if there is one.
    ///
    /// # Safety
    /// Its coroutine is not parked in it.
    pub unsafe fn end(&mut self) {
        let kept = mem::replace(&mut self.kept, ptr::null_mut());
        if !kept.is_null() {
            // SAFETY: ours, and not used again.
            unsafe { let_go(kept) };
        }
        if mem::take(&mut self.ignores) {
            ignored::command_ends();
        }
    }
}

impl Current {
    /// Begins the calling coroutine's wait for a command, for which SIGINT and SIGQUIT are ignored; says whether they were
    /// before. EBUSY: it waits for one already.
    pub fn begin_command(self) -> Result<[bool; 2]> {
        let command = self.command()?;
        // SAFETY: the command is the calling coroutine's.
        unsafe {
            if (*command).ignores || !(*command).kept.is_null() {
                return Err(Errno(libc::EBUSY));
            }
            (*command).ignores = true;
        }
        Ok(ignored::command_begins())
    }

    /// The calling coroutine keeps the child of its command. EBUSY: it has one.
    pub fn keep_command(self, kept: *mut Kept) -> Result<()> {
        let command = self.command()?;
        // SAFETY: the command is the calling coroutine's.
        unsafe {
            if !(*command).kept.is_null() {
                return Err(Errno(libc::EBUSY));
            }
            (*command).kept = kept;
        }
        Ok(())
    }

    /// Ends the calling coroutine's wait for a command.
    pub fn end_command(self) {
        if let Ok(command) = self.command() {
            // SAFETY: the calling coroutine is not parked.
            unsafe { (*command).end() };
        }
    }

    fn command(self) -> Result<*mut Command> {
        // SAFETY: the extras are valid, and the calling coroutine's.
        self.make_extras().map(|extras| unsafe { &raw mut (*extras).command })
    }
}

// A claim is found for the child that it is kept for.
const _: () = assert!(memoffset::offset_of!(Kept, claim) == 0);
