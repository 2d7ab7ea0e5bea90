// SPDX-License-Identifier: MIT OR Apache-2.0
//! Children that coroutines wait for.
//!
//! A coroutine that waits for one child *claims* it: whoever waits for any child and comes across a claimed one that has
//! ended reaps it for its claimer. A pidfd tells the claimer when to look.
//!
//! Nothing that can be polled tells of any child. While coroutines wait for one, a helper thread sits in
//! waitid(P_ALL, WNOWAIT); it ends with the first child that does, after telling all schedulers, and is started anew when
//! somebody goes on waiting. It never reaps. One that nobody waits for any more ends with the next child.
//!
//! Claims, and who waits for any child, are changed under the registry's lock, and children are reaped under it.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::{mem, ptr};

use libc::{c_int, pthread_t, rusage, siginfo_t};

use super::{Current, Scheduler, extras, registry};
use crate::coroutine::{Waiter, Wake as Woken};
use crate::list::{Link, List};
use crate::sys::clock::Instant;
use crate::sys::{Errno, Result};
use crate::syscall;

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

/// A coroutine's wait for a child.
#[repr(C)]
pub struct Claim {
    link: Link,
    /// The child that is claimed; 0: none.
    pid: libc::pid_t,
    /// What the claimer wants to know of it.
    options: c_int,
    /// Tells that the child has ended; -1: none.
    pidfd: c_int,
    /// It waits for any child.
    any: bool,
    /// Somebody has reaped the child for the claimer.
    report: Option<Report>,
}

/// Who waits in a scheduler. Zeroed memory becomes one by [`Waiters::init`]; it does not move.
pub struct Waiters {
    claims: List,
    /// Coroutines that the helper is to wake.
    any: List,
    /// How many coroutines wait for any child, whether parked just now or not.
    any_count: u32,
}

/// The helper thread.
#[derive(Clone, Copy)]
enum Helper {
    None,
    /// Waits for a child, or is about to.
    Waiting(pthread_t),
    /// Has told everybody and is as good as gone.
    Finished(pthread_t),
}

struct Shared(UnsafeCell<Helper>);

// SAFETY: touched under the registry's lock only.
unsafe impl Sync for Shared {}

static HELPER: Shared = Shared(UnsafeCell::new(Helper::None));

/// Enough for one system call and libc's own needs.
const HELPER_STACK: usize = 128 << 10;

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

impl Claim {
    /// No wait.
    pub fn none() -> Claim {
        // SAFETY: an unlinked link is valid when zero.
        let link = unsafe { mem::zeroed() };
        Claim { link, pid: 0, options: 0, pidfd: -1, any: false, report: None }
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
    if super::in_vfork_child() {
        return false;
    }
    let mut claimed = false;
    // SAFETY: under the lock.
    registry::locked(|| unsafe {
        registry::for_each(&mut |scheduler| claimed |= !(*scheduler).children.claims.is_empty());
    });
    claimed
}

/// The claim of a child; null: nobody's.
///
/// # Safety
/// Under the registry's lock.
unsafe fn find(pid: libc::pid_t) -> *mut Claim {
    let mut found: *mut Claim = ptr::null_mut();
    // SAFETY: the caller's promise; claims in the lists are valid.
    unsafe {
        registry::for_each(&mut |scheduler| {
            let claims = &raw const (*scheduler).children.claims;
            let mut link = (*claims).first();
            while !link.is_null() && found.is_null() {
                let claim: *mut Claim = link.cast();
                let told = (*claim).report.as_ref().is_some_and(|report| report.is_wanted(libc::WEXITED));
                if (*claim).pid == pid && !told {
                    found = claim;
                }
                link = (*claims).after(link);
            }
        });
    }
    found
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
        let claim = unsafe { find(seen.pid()) };
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
    pub fn take_claimed(self, wanted: &Wanted) -> Result<Option<Report>> {
        let claim = self.claim()?;
        // SAFETY: under the lock; the claim is the calling coroutine's.
        registry::locked(|| unsafe {
            match (*claim).report.take() {
                Some(report) => Ok(Some(report)),
                None => look(wanted),
            }
        })
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
            registry::locked(|| start_helper())?;
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
    pub(super) unsafe fn end_claim(&mut self, claim: *mut Claim) {
        // SAFETY: the caller's promise; under the lock.
        unsafe {
            extras::close_own(mem::replace(&mut (*claim).pidfd, -1));
            if (*claim).pid == 0 && !(*claim).any {
                return;
            }
            registry::locked(|| {
                Link::unlink(&raw mut (*claim).link);
                (*claim).pid = 0;
                (*claim).report = None;
                if mem::take(&mut (*claim).any) {
                    self.children.any_count -= 1;
                    join_finished();
                }
            });
        }
    }

    /// Wakes the coroutines that wait for any child.
    pub(super) fn wake_child_waiters(&mut self) {
        loop {
            let waiter: *mut Waiter = self.children.any.first().cast();
            if waiter.is_null() {
                return;
            }
            // SAFETY: waiters in the list belong to live coroutines of this scheduler; waking takes them off.
            unsafe { self.unpark((*waiter).coroutine, Woken::Ready) };
        }
    }
}

/// Sees to it that a helper waits.
///
/// # Safety
/// Under the registry's lock: signals are blocked, and so they are in the helper.
unsafe fn start_helper() -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        join_finished();
        if let Helper::Waiting(_) = *HELPER.0.get() {
            return Ok(());
        }
        let mut attributes = mem::zeroed();
        libc::pthread_attr_init(&mut attributes);
        libc::pthread_attr_setstacksize(&mut attributes, HELPER_STACK);
        let mut thread = mem::zeroed();
        let result = libc::pthread_create(&mut thread, &attributes, help, ptr::null_mut());
        libc::pthread_attr_destroy(&mut attributes);
        if result != 0 {
            return Err(Errno(libc::EAGAIN));
        }
        *HELPER.0.get() = Helper::Waiting(thread);
        Ok(())
    }
}

/// # Safety
/// Under the registry's lock, which a finished helper does not want any more.
unsafe fn join_finished() {
    // SAFETY: the caller's promise; the thread is joined once.
    unsafe {
        if let Helper::Finished(thread) = *HELPER.0.get() {
            libc::pthread_join(thread, ptr::null_mut());
            *HELPER.0.get() = Helper::None;
        }
    }
}

extern "C" fn help(_: *mut c_void) -> *mut c_void {
    let any = Wanted { kind: libc::P_ALL, id: 0, options: libc::WEXITED };
    // ECHILD is an answer too: those who wait will find it out for themselves.
    while let Err(Errno(libc::EINTR)) = waitid(&any, libc::WNOWAIT) {}
    // SAFETY: under the lock.
    registry::locked(|| unsafe {
        let mut told = false;
        registry::for_each(&mut |scheduler| {
            if (*scheduler).children.any_count > 0 {
                told = true;
                registry::post(scheduler, |inbox| inbox.child_ended());
            }
        });
        let helper = HELPER.0.get();
        if let Helper::Waiting(thread) = *helper {
            *helper = if told { Helper::Finished(thread) } else { Helper::None };
            if !told {
                // Nobody is left to join it.
                libc::pthread_detach(thread);
            }
        }
    });
    ptr::null_mut()
}

/// In a forked child: the helper is the parent's.
///
/// # Safety
/// Under the registry's lock.
pub(super) unsafe fn forked() {
    // SAFETY: the caller's promise.
    unsafe { *HELPER.0.get() = Helper::None };
}

// Claims are found by their link.
const _: () = assert!(memoffset::offset_of!(Claim, link) == 0);
