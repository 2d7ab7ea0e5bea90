// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where C++ keeps the thread's current exceptions: `__cxa_get_globals()` of the Itanium C++ ABI. Every coroutine has
//! its own, or two that park inside `catch` would rethrow each other's exception.

use core::ffi::c_void;
use core::mem::transmute;
use core::ptr;

use crate::arch::weak_address;
use crate::coroutine::Exceptions;
use crate::sys::clock::{Instant, MS};

/// How often to look again for a C++ runtime that may have come by dlopen.
const INTERVAL: Instant = 100 * MS;

/// The search for the C++ runtime in a program that had none at the start.
pub struct Search {
    /// How many libraries had been loaded at the last look.
    loaded: u64,
    next: Instant,
}

type Globals = unsafe extern "C" fn() -> *mut Exceptions;
type Dlsym = unsafe extern "C" fn(*mut c_void, *const libc::c_char) -> *mut c_void;

impl Search {
    /// Looks for it among what the program was linked with and what has been loaded since.
    pub fn first_look(&mut self) -> *mut Exceptions {
        let linked = weak_address!("__cxa_get_globals");
        if !linked.is_null() {
            return globals(linked);
        }
        self.look()
    }

    /// Looks again, now and then, and only when a library has been loaded in between.
    pub fn look_again(&mut self, now: Instant) -> *mut Exceptions {
        if now < self.next {
            return ptr::null_mut();
        }
        self.next = now + INTERVAL;
        self.look()
    }

    fn look(&mut self) -> *mut Exceptions {
        let before = self.loaded;
        // SAFETY: the callback gets our counter and writes only that.
        unsafe { libc::dl_iterate_phdr(Some(count_loaded), (&raw mut self.loaded).cast()) };
        let dlsym = weak_address!("dlsym");
        if dlsym.is_null() || self.loaded == before {
            return ptr::null_mut();
        }
        // SAFETY: `dlsym` is the function of that name.
        unsafe {
            let dlsym = transmute::<*mut c_void, Dlsym>(dlsym);
            let found = dlsym(libc::RTLD_DEFAULT, c"__cxa_get_globals".as_ptr());
            if found.is_null() { ptr::null_mut() } else { globals(found) }
        }
    }
}

fn globals(function: *mut c_void) -> *mut Exceptions {
    // SAFETY: the symbol is the ABI's function, which takes nothing and gives the thread's structure.
    unsafe { transmute::<*mut c_void, Globals>(function)() }
}

unsafe extern "C" fn count_loaded(info: *mut libc::dl_phdr_info, _size: usize, count: *mut c_void) -> libc::c_int {
    // SAFETY: the loader gives a valid record (`dlpi_adds` since glibc 2.4), `look` the counter.
    unsafe { *count.cast::<u64>() = (*info).dlpi_adds };
    1
}
