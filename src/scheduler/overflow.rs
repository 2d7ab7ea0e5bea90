// SPDX-License-Identifier: MIT OR Apache-2.0
//! A stack overflow names its coroutine before it ends the process.
//!
//! Touching the guard below a stack of ours raises SIGSEGV, which only an alternate stack can take. The handler looks
//! whether the address lies in the guard of the coroutine that runs, says so in one line on stderr, and lets the program's
//! own handler or the default action take its course. Any other SIGSEGV is passed on unchanged.

use core::cell::UnsafeCell;
use core::ffi::{c_int, c_void};
use core::mem::{transmute, zeroed};
use core::ptr;
use core::sync::atomic::{AtomicU8, Ordering};

use super::Scheduler;
use crate::arch::slot;
use crate::sys::memory;
use crate::sys::message::Line;
use crate::sys::next;

/// What the line says.
pub struct Report {
    pub cid: i32,
    pub size: usize,
    pub shared: bool,
    pub entry: usize,
}

struct Previous(UnsafeCell<libc::sigaction>);

// SAFETY: written once, before the handler that reads it is installed.
unsafe impl Sync for Previous {}

// SAFETY: zeroed, it is the default action.
static PREVIOUS: Previous = Previous(UnsafeCell::new(unsafe { zeroed() }));
/// 0: no handler yet; 1: somebody installs it; 2: installed.
static INSTALLED: AtomicU8 = AtomicU8::new(0);

fn alternate_size() -> usize {
    // SAFETY: no preconditions.
    let minimum = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize;
    (16 << 10) + minimum.next_multiple_of(4096)
}

/// Gives a thread with a scheduler an alternate signal stack if it has none, and the process the handler. Where either
/// fails, an overflow is still a SIGSEGV, only without the line.
///
/// # Safety
/// `scheduler` is the calling thread's.
pub unsafe fn prepare_thread(scheduler: *mut Scheduler) {
    // SAFETY: valid structures; the mapping belongs to the scheduler until `leave_thread`.
    unsafe {
        let mut present: libc::stack_t = zeroed();
        libc::sigaltstack(ptr::null(), &mut present);
        if present.ss_flags & libc::SS_DISABLE != 0
            && let Ok(stack) = memory::map(alternate_size(), 0)
        {
            let ours = libc::stack_t { ss_sp: stack.as_ptr(), ss_flags: 0, ss_size: alternate_size() };
            if libc::sigaltstack(&ours, ptr::null_mut()) == 0 {
                (*scheduler).alternate_stack = stack.as_ptr();
            } else {
                memory::unmap(stack.as_ptr(), alternate_size());
            }
        }
        if INSTALLED.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            let mut action: libc::sigaction = zeroed();
            action.sa_sigaction = on_fault as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            // By the name that the program uses: its own handler, not ours that stands for it. A handler that it installs
            // later may call this one, and must not come back to itself.
            libc::sigaction(libc::SIGSEGV, ptr::null(), PREVIOUS.0.get());
            next::sigaction(libc::SIGSEGV, &action, ptr::null_mut());
            INSTALLED.store(2, Ordering::Release);
        }
    }
}

/// Takes the alternate signal stack away, if it is the one given.
///
/// # Safety
/// `scheduler` is the calling thread's, and the caller is not on that stack.
pub unsafe fn leave_thread(scheduler: *mut Scheduler) {
    // SAFETY: valid structures; the mapping is unmapped only when it is no signal stack any more.
    unsafe {
        let ours = (*scheduler).alternate_stack;
        if ours.is_null() {
            return;
        }
        let mut present: libc::stack_t = zeroed();
        libc::sigaltstack(ptr::null(), &mut present);
        if present.ss_sp == ours {
            let none = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
            libc::sigaltstack(&none, ptr::null_mut());
        }
        memory::unmap(ours, alternate_size());
    }
}

unsafe extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let scheduler: *const Scheduler = slot::get().cast();
    // SAFETY: the kernel gives a valid record; the thread's scheduler is valid, and the thread stands still. Only calls
    // that are allowed in signal handlers are made.
    unsafe {
        let address = (*info).si_addr() as usize;
        let report = if scheduler.is_null() { None } else { (*scheduler).overflow_at(address) };
        if let Some(report) = report {
            let kind = if report.shared { "shared" } else { "own" };
            let mut line = Line::new();
            line.text("libdyco: stack overflow in coroutine ").number(report.cid as u64);
            line.text(" (").number(report.size as u64).text("-byte ").text(kind);
            line.text(" stack, function ").hex(report.entry).text(") at ").hex(address);
            line.print();
            // Not handled: back to the faulting instruction under the action that was there before.
            next::sigaction(signal, PREVIOUS.0.get(), ptr::null_mut());
            return;
        }
        let previous = &*PREVIOUS.0.get();
        match previous.sa_sigaction {
            libc::SIG_DFL | libc::SIG_IGN => {
                next::sigaction(signal, previous, ptr::null_mut());
                // A signal that somebody sent does not come again by itself.
                if (*info).si_code <= 0 {
                    libc::raise(signal);
                }
            }
            handler if previous.sa_flags & libc::SA_SIGINFO != 0 => {
                transmute::<usize, unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void)>(handler)(
                    signal, info, context,
                );
            }
            handler => transmute::<usize, unsafe extern "C" fn(c_int)>(handler)(signal),
        }
    }
}
