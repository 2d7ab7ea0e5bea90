// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who tells of any child that has ended.
//!
//! While coroutines wait for one, a thread sits in waitid(P_ALL, WNOWAIT); it ends with the first child that does, after
//! telling all schedulers, and is started anew when somebody goes on waiting. It never reaps. One that nobody waits for any
//! more ends with the next child.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::{mem, ptr};

use libc::pthread_t;

use super::{Report, Wanted, waitid};
use crate::coroutine::{Waiter, Wake};
use crate::scheduler::aside::has_room_for_thread;
use crate::scheduler::{Scheduler, registry};
use crate::sys::{Errno, Result};

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

impl Scheduler {
    /// Wakes the coroutines that wait for any child.
    pub(in crate::scheduler) fn wake_child_waiters(&mut self) {
        loop {
            let waiter: *mut Waiter = self.children.any.first().cast();
            if waiter.is_null() {
                return;
            }
            // SAFETY: waiters in the list belong to live coroutines of this scheduler; waking takes them off.
            unsafe { self.unpark((*waiter).coroutine, Wake::Ready) };
        }
    }
}

/// Sees to it that a helper waits.
///
/// # Safety
/// Under the registry's lock: signals are blocked, and so they are in the helper.
pub(super) unsafe fn start() -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        join_finished();
        if let Helper::Waiting(_) = *HELPER.0.get() {
            return Ok(());
        }
        if !has_room_for_thread() {
            return Err(Errno(libc::EAGAIN));
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
pub(super) unsafe fn join_finished() {
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
    while let Err(Errno(libc::EINTR)) = waitid(&any, libc::WNOWAIT, &mut Report::none()) {}
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
