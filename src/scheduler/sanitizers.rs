// SPDX-License-Identifier: MIT OR Apache-2.0
//! AddressSanitizer and ThreadSanitizer are told of every switch. They are found at run time, by their own symbols, so a
//! program that is built with one of them needs no special build of the library.
//!
//! Their shadow of a stack is not copied with its bytes: under a sanitizer every coroutine gets a stack of its own.
//! Interfaces: `sanitizer/common_interface_defs.h`, `sanitizer/asan_interface.h` and `sanitizer/tsan_interface.h` of LLVM.

use core::ffi::{c_uint, c_void};
use core::mem::transmute;
use core::ptr;

use super::Scheduler;
use crate::arch::weak_address;
use crate::coroutine::{Coroutine, Rest, State};
use crate::stack::Stack;

/// What a sanitizer has to know of the thread's own stack.
pub struct Sanitizers {
    /// One of them is there.
    pub present: bool,
    /// ASan's fake stack, or TSan's fibre, while a coroutine runs.
    main: *mut c_void,
    bottom: *const c_void,
    size: usize,
}

type StartSwitch = unsafe extern "C" fn(*mut *mut c_void, *const c_void, usize);
type FinishSwitch = unsafe extern "C" fn(*mut c_void, *mut *const c_void, *mut usize);
type Unpoison = unsafe extern "C" fn(*const c_void, usize);
type CurrentFiber = unsafe extern "C" fn() -> *mut c_void;
type CreateFiber = unsafe extern "C" fn(c_uint) -> *mut c_void;
type SwitchFiber = unsafe extern "C" fn(*mut c_void, c_uint);
type DestroyFiber = unsafe extern "C" fn(*mut c_void);

/// A function of a sanitizer's run-time library, of the given type; `None` without it.
macro_rules! sanitizer {
    ($name:literal, $kind:ty) => {{
        let address = weak_address!($name);
        #[allow(unused_unsafe)] // where the user of the macro is in such a block already
        // SAFETY: the symbol is the sanitizer's function of that prototype.
        let function = unsafe { transmute::<*mut c_void, Option<$kind>>(address) };
        function
    }};
}

impl Sanitizers {
    /// Looks for them.
    pub fn look(&mut self) {
        self.present = !weak_address!("__sanitizer_start_switch_fiber").is_null()
            || !weak_address!("__tsan_switch_to_fiber").is_null();
    }

    /// A coroutine gets this rest.
    ///
    /// # Safety
    /// `rest` is writable.
    #[inline(always)]
    pub unsafe fn init(&self, rest: *mut Rest) {
        if self.present {
            // SAFETY: the caller's promise.
            unsafe { (*rest).sanitizer = ptr::null_mut() };
        }
    }
}

/// To be called when signals have just been blocked or let in by a raw call. ThreadSanitizer postpones the handlers of
/// signals that have come to the end of whatever call of libc's is next, where a lock may be held that they take, too.
#[inline(always)]
pub fn run_postponed_handlers() {
    if !weak_address!("__tsan_switch_to_fiber").is_null() {
        // SAFETY: changes nothing, and asks for nothing.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), ptr::null_mut()) };
    }
}

/// To be called last before a switch. Null stands for the thread's own stack.
///
/// # Safety
/// `scheduler` is this thread's, `from` runs, and `to` is in place.
pub unsafe fn leave(scheduler: *mut Scheduler, from: *mut Coroutine, to: *mut Coroutine) {
    // SAFETY: the caller's promise; the sanitizers' functions get what their headers ask for.
    unsafe {
        if let Some(start) = sanitizer!("__sanitizer_start_switch_fiber", StartSwitch) {
            // A coroutine that has ended gives its fake stack back.
            let ended = !from.is_null() && (*from).state == State::Dead;
            let save = if ended { ptr::null_mut() } else { tool(scheduler, from) };
            let (bottom, size) = if to.is_null() {
                ((*scheduler).sanitizers.bottom, (*scheduler).sanitizers.size)
            } else {
                ((*(*to).rest).stack.base.cast_const().cast(), (*(*to).rest).stack.size)
            };
            start(save, bottom, size);
        }
        if let Some(switch_to) = sanitizer!("__tsan_switch_to_fiber", SwitchFiber) {
            if from.is_null()
                && let Some(current) = sanitizer!("__tsan_get_current_fiber", CurrentFiber)
            {
                (*scheduler).sanitizers.main = current();
            }
            let fiber = tool(scheduler, to);
            if (*fiber).is_null()
                && let Some(create) = sanitizer!("__tsan_create_fiber", CreateFiber)
            {
                *fiber = create(0);
            }
            switch_to(*fiber, 0);
        }
    }
}

/// To be called first on the stack that was switched to.
///
/// # Safety
/// `me` runs, null for the thread's own stack, on which the first switch began.
#[cold]
#[inline(never)]
pub unsafe fn arrived(scheduler: *mut Scheduler, me: *mut Coroutine) {
    // SAFETY: the caller's promise.
    unsafe {
        if let Some(finish) = sanitizer!("__sanitizer_finish_switch_fiber", FinishSwitch) {
            let (mut bottom, mut size) = (ptr::null(), 0);
            finish(*tool(scheduler, me), &mut bottom, &mut size);
            if (*scheduler).sanitizers.size == 0 {
                ((*scheduler).sanitizers.bottom, (*scheduler).sanitizers.size) = (bottom, size);
            }
        }
    }
}

/// The thread leaves the stack of a coroutine, which does not run again, for its own, with no frame of the loop's left there.
///
/// # Safety
/// `scheduler` is this thread's.
pub unsafe fn unwound(scheduler: *mut Scheduler) {
    // SAFETY: the caller's promise; the sanitizers' functions get what their headers ask for. The loop's stack is known since
    // the first switch.
    unsafe {
        if !(*scheduler).sanitizers.present {
            return;
        }
        let (bottom, size) = ((*scheduler).sanitizers.bottom, (*scheduler).sanitizers.size);
        if let Some(start) = sanitizer!("__sanitizer_start_switch_fiber", StartSwitch) {
            start(ptr::null_mut(), bottom, size);
            arrived(scheduler, ptr::null_mut());
        }
        if let Some(unpoison) = sanitizer!("__asan_unpoison_memory_region", Unpoison) {
            unpoison(bottom, size);
        }
        if let Some(switch_to) = sanitizer!("__tsan_switch_to_fiber", SwitchFiber) {
            switch_to((*scheduler).sanitizers.main, 0);
        }
    }
}

/// A stack gets its first frame: what an earlier coroutine left poisoned is usable again.
pub fn clean(stack: &Stack) {
    if let Some(unpoison) = sanitizer!("__asan_unpoison_memory_region", Unpoison) {
        // SAFETY: the stack's memory is valid and nobody runs on it.
        unsafe { unpoison(stack.base.cast_const().cast(), stack.size) };
    }
}

/// A coroutine is freed.
///
/// # Safety
/// It is one of this scheduler and does not run.
#[inline(always)]
pub unsafe fn forget(scheduler: *const Scheduler, coroutine: *mut Coroutine) {
    // SAFETY: the caller's promise: its fibre, if it has one, is not the current one.
    unsafe {
        if !(*scheduler).sanitizers.present {
            return;
        }
        let fiber = (*(*coroutine).rest).sanitizer;
        if !fiber.is_null()
            && let Some(destroy) = sanitizer!("__tsan_destroy_fiber", DestroyFiber)
        {
            destroy(fiber);
        }
    }
}

/// # Safety
/// `coroutine` is valid or null.
unsafe fn tool(scheduler: *mut Scheduler, coroutine: *mut Coroutine) -> *mut *mut c_void {
    // SAFETY: the caller's promise.
    unsafe {
        if coroutine.is_null() {
            &raw mut (*scheduler).sanitizers.main
        } else {
            &raw mut (*(*coroutine).rest).sanitizer
        }
    }
}
