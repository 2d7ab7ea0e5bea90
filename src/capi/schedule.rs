// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scheduler
//!
//! Each thread has its own scheduler, made on first use and freed with the
//! thread. A program creates its first coroutines and then calls
//! dyco_schedule_run(), which runs them until all have ended.

use core::ffi::{c_int, c_void};
use core::ptr;

use super::types::dyco_schedule;
use super::{fail, number, status, store};
use crate::io::pointers;
use crate::scheduler::{self, RunEnd, SignalSet};
use crate::sys::{Errno, errno};

/// Runs this thread's coroutines, those created meanwhile included, until
/// all have ended.
///
/// Waits in the kernel while none is ready. When every coroutine left
/// waits for something that nothing can ever signal, it does not hang: it
/// names them in one line on stderr and returns -1 with EDEADLK. They
/// stay, and dyco_schedule_run() may be called again after something has
/// changed.
///
/// It is no cancellation point, and neither are the calls inside
/// coroutines: pthread_cancel() of its thread takes effect when it has
/// returned. A thread may end inside a coroutine (pthread_exit): that
/// unwinds this coroutine's frames only; what the thread's destructors then
/// call is called outside coroutines.
///
/// @return  0 all have ended, or there were none;
///          1 stopped by dyco_schedcall_stop();
///         -1 ended by dyco_schedcall_abort() (errno ECANCELED), or an
///            error: EBUSY called inside a coroutine; EDEADLK as above;
///            ENOMEM out of memory;
///         -2 and ESRCH: the thread has no scheduler, or nothing was
///            created since an abort
#[unsafe(no_mangle)]
pub extern "C" fn dyco_schedule_run() -> c_int {
    match scheduler::run() {
        Ok(RunEnd::Done) => 0,
        Ok(RunEnd::Stopped) => 1,
        Ok(RunEnd::Aborted) => fail(Errno(libc::ECANCELED)),
        Ok(RunEnd::Nothing) => {
            errno::set(Errno(libc::ESRCH));
            -2
        }
        Err(error) => fail(error),
    }
}

/// Makes this thread's scheduler, for other settings than the default.
///
/// Without this call the first coroutine makes it. Does not wait.
///
/// @param stack_size       bytes of a shared stack, to which coroutines
///                         without a stack of their own are limited;
///                         0 for DYCO_MAX_STACKSIZE; at least 16 KiB
///                         whatever is asked for
/// @param loopwait_timeout milliseconds, the longest that an idle loop
///                         waits before it looks again for coroutines to
///                         start; 0 for the default
/// @return 0, or -1 and errno: EEXIST the thread has a scheduler;
///         EINVAL stack_size over 1 GiB; ENOMEM out of memory
#[unsafe(no_mangle)]
pub extern "C" fn dyco_schedule_create(stack_size: usize, loopwait_timeout: u64) -> c_int {
    status(scheduler::create(stack_size, loopwait_timeout))
}

/// Frees a scheduler that is not running, with all coroutines that it still
/// holds; their destructors and cleanup handlers are not run.
///
/// On an error nothing is freed, and errno is set: EBUSY it is running;
/// EINVAL it is not this thread's.
///
/// @param sched this thread's scheduler; NULL means that one too
#[unsafe(no_mangle)]
pub extern "C" fn dyco_schedule_free(sched: *mut dyco_schedule) {
    status(scheduler::free(sched.cast()));
}

/// This thread's scheduler.
///
/// @return the scheduler, or NULL if the thread has none
#[unsafe(no_mangle)]
pub extern "C" fn dyco_schedule_current() -> *mut dyco_schedule {
    scheduler::this().map_or(ptr::null_mut(), |this| this.as_ptr().cast())
}

/// The number of this thread's scheduler, unique in the process.
///
/// @return the number (> 0), or -1 and ESRCH if the thread has none
#[unsafe(no_mangle)]
pub extern "C" fn dyco_schedule_schedID() -> c_int {
    number(scheduler::id().ok_or(Errno(libc::ESRCH)))
}

/// Attaches a pointer of the program to this thread's scheduler.
///
/// @param udata any pointer; the library does not look at it
/// @return 0, or -1 and errno: ESRCH the thread has no scheduler
#[unsafe(no_mangle)]
pub extern "C" fn dyco_schedule_setUdata(udata: *mut c_void) -> c_int {
    status(scheduler::set_udata(udata))
}

/// Fetches the pointer that dyco_schedule_setUdata() attached.
///
/// @param udata gets the pointer, NULL if none was attached
/// @return 0, or -1 and errno:
///         ESRCH the thread has no scheduler; EINVAL udata is NULL
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_schedule_getUdata(udata: *mut *mut c_void) -> c_int {
    // SAFETY: `udata` is the caller's out parameter.
    status(unsafe { store(udata, scheduler::udata) })
}

/// How many coroutines of this thread are alive, those that have not
/// started yet and asymmetric ones included.
///
/// @return the count, or -1 and ESRCH if the thread has no scheduler
#[unsafe(no_mangle)]
pub extern "C" fn dyco_schedule_getCoroCount() -> c_int {
    number(scheduler::coroutine_count().ok_or(Errno(libc::ESRCH)))
}

/// Changes the signal mask of the scheduler's thread, as pthread_sigmask().
///
/// @param how  SIG_BLOCK, SIG_UNBLOCK or SIG_SETMASK
/// @param set  the signals; NULL changes nothing
/// @param oset gets the mask as it was; may be NULL
/// @return 0, or -1 and errno: EINVAL how is none of the three; EFAULT
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dyco_schedcall_sigprocmask(
    how: c_int,
    set: *const libc::sigset_t,
    oset: *mut libc::sigset_t,
) -> c_int {
    // SAFETY: the sets are the caller's, and begin with the kernel's.
    unsafe {
        let changes = pointers::read_any(set.cast()).map(|set| set.map_or((libc::SIG_BLOCK, 0), |set| (how, set)));
        let before = changes.and_then(|(how, set)| scheduler::change_mask(how, set));
        status(before.and_then(|before| {
            let mut whole = [0; size_of::<libc::sigset_t>() / size_of::<SignalSet>()];
            whole[0] = before;
            pointers::write(oset.cast(), &whole)
        }))
    }
}

/// Stops the scheduler: dyco_schedule_run() returns 1 as soon as it can.
///
/// All coroutines stay as they are, the calling one included, and the next
/// dyco_schedule_run() goes on with them. Where the scheduler does
/// not run, nothing happens.
///
/// In a signal handler it returns at once, and takes effect when the
/// coroutine that was interrupted next waits or gives way.
#[unsafe(no_mangle)]
pub extern "C" fn dyco_schedcall_stop() {
    scheduler::stop();
}

/// Ends all coroutines of the scheduler, the calling one included, and
/// dyco_schedule_run() returns -1.
///
/// Inside a coroutine it does not return. Destructors and cleanup handlers
/// are not run. The scheduler is empty then and can be used anew.
///
/// In a signal handler it returns at once, and takes effect when the
/// coroutine that was interrupted next waits or gives way.
#[unsafe(no_mangle)]
pub extern "C" fn dyco_schedcall_abort() {
    scheduler::abort();
}
