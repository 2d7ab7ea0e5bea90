// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who waits for which child.

use core::{mem, ptr};

use libc::c_int;

use super::{Report, Wanted, helper, kept, look};
use crate::coroutine::Wake as Woken;
use crate::list::{Link, List};
use crate::scheduler::{Current, Scheduler, extras, registry};
use crate::sys::Result;
use crate::sys::clock::Instant;

/// A coroutine's wait for a child.
#[repr(C)]
pub struct Claim {
    link: Link,
    /// The child that is claimed; 0: none.
    pub(super) pid: libc::pid_t,
    /// What the claimer wants to know of it.
    pub(super) options: c_int,
    /// Tells that the child has ended; -1: none.
    pidfd: c_int,
    /// It waits for any child.
    any: bool,
    /// Somebody has reaped the child for the claimer,
    pub(super) told: bool,
    /// and this is what there is to tell.
    pub(super) report: Report,
}

/// Who waits in a scheduler. Zeroed memory becomes one by [`Waiters::init`]; it does not move.
pub struct Waiters {
    claims: List,
    /// Coroutines that the helper is to wake.
    pub(super) any: List,
    /// How many coroutines wait for any child, whether parked just now or not.
    pub(super) any_count: u32,
}

impl Claim {
    /// No wait.
    pub fn none() -> Claim {
        // SAFETY: an unlinked link is valid when zero.
        let link = unsafe { mem::zeroed() };
        Claim { link, pid: 0, options: 0, pidfd: -1, any: false, told: false, report: Report::none() }
    }

    /// The end of that child.
    #[cfg_attr(not(feature = "hook"), allow(dead_code))]
    pub(super) fn of_child(pid: libc::pid_t) -> Claim {
        Claim { pid, options: libc::WEXITED, ..Claim::none() }
    }
}

impl Waiters {
    /// # Safety
    /// `self` is zeroed and does not move any more.
    pub unsafe fn init(&mut self) {
        // SAFETY: the caller's promise.
        unsafe {
            List::init(&mut self.claims);
            List::init(&mut self.any);
        }
    }
}

/// Whether a coroutine waits for a child, so that who waits for any child must look whose it is.
#[cfg(feature = "hook")]
pub fn are_claimed() -> bool {
    if crate::scheduler::in_vfork_child() {
        return false;
    }
    let mut claimed = false;
    // SAFETY: under the lock.
    registry::locked(|| unsafe {
        claimed = kept::are_any();
        registry::for_each(&mut |scheduler| claimed |= !(*scheduler).children.claims.is_empty());
    });
    claimed
}

/// The claim of a child; null: nobody's.
///
/// # Safety
/// Under the registry's lock.
pub(super) unsafe fn find(pid: libc::pid_t) -> *mut Claim {
    let mut found: *mut Claim = ptr::null_mut();
    // SAFETY: the caller's promise; claims in the lists are valid.
    unsafe {
        registry::for_each(&mut |scheduler| {
            let claims = &raw const (*scheduler).children.claims;
            let mut link = (*claims).first();
            while !link.is_null() && found.is_null() {
                let claim: *mut Claim = link.cast();
                let told = (*claim).told && (*claim).report.is_wanted(libc::WEXITED);
                if (*claim).pid == pid && !told {
                    found = claim;
                }
                link = (*claims).after(link);
            }
        });
        if found.is_null() { kept::find(pid) } else { found }
    }
}

/// Puts into `report` what somebody else has reaped for the claimer, if anything.
///
/// # Safety
/// Under the registry's lock; the claim is the caller's.
pub(super) unsafe fn hand_over(claim: *mut Claim, report: &mut Report) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        if (*claim).told {
            *report = (*claim).report;
        }
        mem::take(&mut (*claim).told)
    }
}

impl Current {
    /// Begins the calling coroutine's wait for children.
    pub fn begin_claim(self, wanted: &Wanted) -> Result<()> {
        let claim = self.claim()?;
        let children = self.children();
        // SAFETY: under the lock; the claim is the calling coroutine's and not in use, the waiters its scheduler's.
        registry::locked(|| unsafe {
            if wanted.kind == libc::P_PID && wanted.options & libc::WNOWAIT == 0 {
                (*claim).pid = wanted.id as libc::pid_t;
                (*claim).options = wanted.options;
                List::push_back(&raw mut (*children).claims, &raw mut (*claim).link);
            }
            (*claim).any = wanted.kind == libc::P_ALL;
            (*children).any_count += u32::from((*claim).any);
        });
        Ok(())
    }

    /// As [`take`], and what somebody else has reaped for the calling coroutine.
    pub fn take_claimed(self, wanted: &Wanted, report: &mut Report) -> Result<bool> {
        let claim = self.claim()?;
        // SAFETY: under the lock; the claim is the calling coroutine's.
        registry::locked(|| unsafe { if hand_over(claim, report) { Ok(true) } else { look(wanted, report) } })
    }

    /// A pidfd of the claimed child, `None` where there is none to be had; `open` makes it at the first call.
    pub fn claim_pidfd(self, open: impl FnOnce() -> c_int) -> Option<c_int> {
        let claim = self.claim().ok()?;
        // SAFETY: the claim is the calling coroutine's.
        unsafe {
            if (*claim).pidfd < 0 {
                (*claim).pidfd = open();
            }
            Some((*claim).pidfd).filter(|&fd| fd >= 0)
        }
    }

    /// Parks until some child has ended or the deadline comes; returns whether the deadline has not. EAGAIN: there is no
    /// helper to tell.
    pub fn park_for_any(self, deadline: Instant) -> Result<bool> {
        // SAFETY: this thread's scheduler is valid; all on the list are woken, or taken off, before it goes.
        unsafe {
            (*self.scheduler()).open_poller()?;
            registry::locked(|| helper::start())?;
            Ok(self.wait_for_outside(&raw mut (*self.children()).any, deadline) != Woken::TimedOut)
        }
    }

    /// Ends the calling coroutine's wait for children.
    pub fn end_claim(self) {
        if let Ok(claim) = self.claim() {
            // SAFETY: this thread's scheduler is valid; the claim is the calling coroutine's.
            unsafe { (*self.scheduler()).end_claim(claim) };
        }
    }

    fn claim(self) -> Result<*mut Claim> {
        // SAFETY: the extras are valid, and the calling coroutine's.
        self.make_extras().map(|extras| unsafe { &raw mut (*extras).claim })
    }

    fn children(self) -> *mut Waiters {
        // SAFETY: this thread's scheduler is valid.
        unsafe { &raw mut (*self.scheduler()).children }
    }
}

impl Scheduler {
    /// Ends a coroutine's wait for children, if there is one.
    ///
    /// # Safety
    /// `claim` is of a coroutine of this scheduler that is not parked.
    pub(in crate::scheduler) unsafe fn end_claim(&mut self, claim: *mut Claim) {
        // SAFETY: the caller's promise; under the lock.
        unsafe {
            extras::close_own(mem::replace(&mut (*claim).pidfd, -1));
            if (*claim).pid == 0 && !(*claim).any {
                return;
            }
            registry::locked(|| {
                Link::unlink(&raw mut (*claim).link);
                (*claim).pid = 0;
                (*claim).told = false;
                if mem::take(&mut (*claim).any) {
                    self.children.any_count -= 1;
                    helper::join_finished();
                }
            });
        }
    }
}

// Claims are found by their link.
const _: () = assert!(memoffset::offset_of!(Claim, link) == 0);
