// SPDX-License-Identifier: MIT OR Apache-2.0
//! Children that coroutines wait for.
//!
//! A coroutine that waits for one child *claims* it (`claims`): whoever waits for any child and comes across a claimed one
//! that has ended reaps it for its claimer. A pidfd tells the claimer when to look; nothing that can be polled tells of any
//! child, so a thread does (`helper`). Children that the library makes itself are claimed from their birth on (`kept`), and
//! two signals ignored while somebody waits for them (`ignored`).
//!
//! Claims, and who waits for any child, are changed under the registry's lock, and children are reaped under it.

use core::{mem, ptr};

use libc::{c_int, rusage, siginfo_t};

use super::registry;
use crate::sys::{Errno, Result};
use crate::syscall;

mod claims;
mod helper;
pub mod ignored;
pub mod kept;

#[cfg(feature = "hook")]
pub use claims::are_claimed;
pub use claims::{Claim, Waiters};

/// Which children, and what of them: as the arguments of waitid(2).
#[derive(Clone, Copy)]
pub struct Wanted {
    /// P_ALL, P_PID, P_PGID or P_PIDFD.
    pub kind: libc::idtype_t,
    /// Of that kind.
    pub id: libc::id_t,
    /// WEXITED and its kin; WNOHANG is understood.
    pub options: c_int,
}

/// What a child has come to. Large for a coroutine's stack: made once for each call, and filled in there.
#[derive(Clone, Copy)]
pub struct Report {
    /// As waitid(2) tells it.
    pub info: siginfo_t,
    /// What the child has used, as wait4(2) tells it.
    pub usage: rusage,
}

/// waitid(2), into `report`; false when there is nothing to tell.
fn waitid(wanted: &Wanted, more: c_int, report: &mut Report) -> Result<bool> {
    report.clear();
    let options = wanted.options | more;
    // SAFETY: both out parameters are valid for the call.
    unsafe {
        syscall!(SYS_waitid, wanted.kind, wanted.id, &raw mut report.info, options, &raw mut report.usage)?;
        Ok(report.pid() != 0)
    }
}

impl Report {
    /// Of nobody.
    pub fn none() -> Report {
        // SAFETY: plain data, valid when zero.
        unsafe { mem::zeroed() }
    }

    /// Makes it one of nobody, in place: a copy would be on the coroutine's stack.
    pub fn clear(&mut self) {
        // SAFETY: as above.
        unsafe { ptr::from_mut(self).write_bytes(0, 1) };
    }

    /// The child.
    pub fn pid(&self) -> libc::pid_t {
        // SAFETY: reports are of children; a zeroed one says 0.
        unsafe { self.info.si_pid() }
    }

    /// Whether it is what somebody who waits with these options wants to know.
    fn is_wanted(&self, options: c_int) -> bool {
        let option = match self.info.si_code {
            libc::CLD_STOPPED | libc::CLD_TRAPPED => libc::WSTOPPED,
            libc::CLD_CONTINUED => libc::WCONTINUED,
            _ => libc::WEXITED,
        };
        options & option != 0
    }
}

/// In a forked child: helper and children are the parent's.
///
/// # Safety
/// Under the registry's lock.
pub(super) unsafe fn forked() {
    // SAFETY: the caller's promise.
    unsafe {
        helper::forked();
        kept::forked();
    }
}

/// Waits in the kernel until there is something to tell, which stays to be taken.
pub fn wait(wanted: &Wanted) -> Result<()> {
    waitid(wanted, libc::WNOWAIT, &mut Report::none()).map(|_| ())
}

/// What there is to tell of children, without waiting, into `report`; false: nothing. ECHILD: there is no such child.
pub fn take(wanted: &Wanted, report: &mut Report) -> Result<bool> {
    // SAFETY: under the lock.
    registry::locked(|| unsafe { look(wanted, report) })
}

/// # Safety
/// Under the registry's lock.
unsafe fn look(wanted: &Wanted, report: &mut Report) -> Result<bool> {
    if wanted.kind == libc::P_PID || wanted.kind == libc::P_PIDFD || wanted.options & libc::WNOWAIT != 0 {
        return waitid(wanted, libc::WNOHANG, report);
    }
    loop {
        if !waitid(wanted, libc::WNOHANG | libc::WNOWAIT, report)? {
            return Ok(false);
        }
        let one = Wanted { kind: libc::P_PID, id: report.pid() as libc::id_t, options: wanted.options };
        // SAFETY: the caller's promise.
        let claim = unsafe { claims::find(report.pid()) };
        // Somebody who does not go through us may be faster.
        let reaped = match waitid(&one, libc::WNOHANG, report) {
            Err(Errno(libc::ECHILD)) => false,
            answer => answer?,
        };
        if !reaped {
            continue;
        }
        // SAFETY: claims that are found are valid while the lock is held.
        unsafe {
            if claim.is_null() || !report.is_wanted((*claim).options) {
                return Ok(true);
            }
            (*claim).report = *report;
            (*claim).told = true;
        }
    }
}
