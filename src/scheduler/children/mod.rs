// SPDX-License-Identifier: MIT OR Apache-2.0
//! Children that coroutines wait for.
//!
//! A coroutine that waits for one child *claims* it (`claims`): whoever waits for any child and comes across a claimed one
//! that has ended reaps it for its claimer. A pidfd tells the claimer when to look; nothing that can be polled tells of any
//! child, so a thread does (`helper`). Children that the library makes itself are claimed from their birth on (`kept`), and
//! two signals ignored while somebody waits for them (`ignored`).
//!
//! Claims, and who waits for any child, are changed under the registry's lock, and children are reaped under it.

use core::mem;

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

/// What a child has come to.
pub struct Report {
    /// As waitid(2) tells it.
    pub info: siginfo_t,
    /// What the child has used, as wait4(2) tells it.
    pub usage: rusage,
}

/// waitid(2): `None` when there is nothing to tell.
fn waitid(wanted: &Wanted, more: c_int) -> Result<Option<Report>> {
    // SAFETY: plain data, valid when zero.
    let mut report: Report = unsafe { mem::zeroed() };
    let options = wanted.options | more;
    // SAFETY: both out parameters are valid for the call.
    unsafe {
        syscall!(SYS_waitid, wanted.kind, wanted.id, &raw mut report.info, options, &raw mut report.usage)?;
        Ok((report.pid() != 0).then_some(report))
    }
}

impl Report {
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
    waitid(wanted, libc::WNOWAIT).map(|_| ())
}

/// What there is to tell of children, without waiting. ECHILD: there is no such child.
pub fn take(wanted: &Wanted) -> Result<Option<Report>> {
    // SAFETY: under the lock.
    registry::locked(|| unsafe { look(wanted) })
}

/// # Safety
/// Under the registry's lock.
unsafe fn look(wanted: &Wanted) -> Result<Option<Report>> {
    if wanted.kind == libc::P_PID || wanted.kind == libc::P_PIDFD || wanted.options & libc::WNOWAIT != 0 {
        return waitid(wanted, libc::WNOHANG);
    }
    loop {
        let Some(seen) = waitid(wanted, libc::WNOHANG | libc::WNOWAIT)? else { return Ok(None) };
        let one = Wanted { kind: libc::P_PID, id: seen.pid() as libc::id_t, options: wanted.options };
        // SAFETY: the caller's promise.
        let claim = unsafe { claims::find(seen.pid()) };
        // Somebody who does not go through us may be faster.
        let report = match waitid(&one, libc::WNOHANG) {
            Err(Errno(libc::ECHILD)) => None,
            answer => answer?,
        };
        let Some(report) = report else { continue };
        // SAFETY: claims that are found are valid while the lock is held.
        unsafe {
            if claim.is_null() || !report.is_wanted((*claim).options) {
                return Ok(Some(report));
            }
            (*claim).report = Some(report);
        }
    }
}
