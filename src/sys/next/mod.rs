// SPDX-License-Identifier: MIT OR Apache-2.0
//! The next definition of each libc name that we hook: what the program would have called without us.
//!
//! Each entry starts as a *seed*, a function of our own that makes the system call as libc would, so that a call that comes
//! before our constructor (from another library's constructor) works. The constructor then looks libc's definition
//! up. In a static link there is no `dlsym` and the seeds stay.

// Without the hooks some have no caller.
#![cfg_attr(not(feature = "hook"), allow(dead_code, unused_imports))]

use core::arch::global_asm;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use libc::ssize_t;

use super::{Errno, errno};

type Dlsym = unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void;

/// Defines a table: for each name a function to call, the slot behind it and the seed in the slot.
macro_rules! next_definitions {
    ($(fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> $return:ty { $($seed:tt)* })*) => {
        $(
            #[doc = concat!("`", stringify!($name), "` as the program would have without us; sets `errno`.")]
            ///
            /// # Safety
            /// As libc's function of this name.
            #[inline]
            #[allow(clippy::too_many_arguments)] // libc's
            pub unsafe fn $name($($arg: $type),*) -> $return {
                type Function = unsafe extern "C" fn($($type),*) -> $return;
                let slot = slot::$name.load(core::sync::atomic::Ordering::Relaxed);
                // SAFETY: the slot holds the seed or libc's function of this name; both have this type.
                let next = unsafe { core::mem::transmute::<*mut core::ffi::c_void, Function>(slot) };
                // SAFETY: passed on to the caller.
                unsafe { next($($arg),*) }
            }
        )*

        #[allow(non_upper_case_globals)]
        mod slot {
            use core::ffi::c_void;
            use core::sync::atomic::AtomicPtr;
            $(pub static $name: AtomicPtr<c_void> = AtomicPtr::new(super::seed::$name as *mut c_void);)*
        }

        #[allow(unused_unsafe, clippy::too_many_arguments)] // some seeds only have an answer
        mod seed {
            use super::*;
            $(pub unsafe extern "C" fn $name($($arg: $type),*) -> $return {
                // SAFETY: passed on to the caller, who made the call that libc's function would have to answer.
                unsafe { $($seed)* }
            })*
        }

        /// Replaces the seeds with what the dynamic linker finds behind us.
        pub(super) fn look_up(find: &mut dyn FnMut(&'static core::ffi::CStr, &core::sync::atomic::AtomicPtr<core::ffi::c_void>)) {
            $({
                // SAFETY: an identifier holds no NUL; the one at the end is ours.
                let name = unsafe {
                    core::ffi::CStr::from_bytes_with_nul_unchecked(concat!(stringify!($name), "\0").as_bytes())
                };
                find(name, &slot::$name);
            })*
        }
    };
}

mod command;
mod disk;
mod file;
mod fortify;
mod handlers;
mod mutex;
mod names;
mod socket;
mod stdio;
mod thread;
mod wait;

pub use command::*;
pub use disk::*;
pub use file::*;
pub use fortify::*;
pub use handlers::*;
pub use mutex::*;
pub use names::*;
pub use socket::*;
pub use stdio::*;
pub use thread::*;
pub use wait::*;

/// Replaces the seeds with what the dynamic linker finds behind us.
unsafe extern "C" fn look_up() {
    // SAFETY: a word in our data that the linker has filled in with the function's address, or 0.
    let Some(dlsym) = (unsafe { dyco_weak_dlsym }) else { return };
    let mut find = |name: &'static CStr, slot: &AtomicPtr<c_void>| {
        // SAFETY: `name` is a C string; dlsym may be called from constructors.
        let found = unsafe { dlsym(libc::RTLD_NEXT, name.as_ptr()) };
        if !found.is_null() {
            slot.store(found, Relaxed);
        }
    };
    for table in [
        command::look_up,
        disk::look_up,
        file::look_up,
        fortify::look_up,
        handlers::look_up,
        mutex::look_up,
        names::look_up,
        socket::look_up,
        stdio::look_up,
        thread::look_up,
        wait::look_up,
    ] {
        table(&mut find);
    }
}

/// The first name of those that all our libraries define for which `wanted` holds, given what the program finds under it
/// (null: nothing). In a program without a dynamic linker there is none.
pub fn find_name(wanted: &mut dyn FnMut(&CStr, *mut c_void) -> bool) -> Option<&'static CStr> {
    // SAFETY: a word in our data that the linker has filled in with the function's address, or 0.
    let dlsym = (unsafe { dyco_weak_dlsym })?;
    let mut first = None;
    let mut look = |name: &'static CStr, _: &AtomicPtr<c_void>| {
        // SAFETY: `name` is a C string.
        if first.is_none() && wanted(name, unsafe { dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }) {
            first = Some(name);
        }
    };
    for table in [file::look_up, fortify::look_up, socket::look_up, wait::look_up] {
        table(&mut look);
    }
    first
}

/// Whether an address lies in the library that this function is in, or in the program that it was linked into.
pub fn is_own(address: *mut c_void) -> bool {
    type Dladdr = unsafe extern "C" fn(*const c_void, *mut libc::Dl_info) -> c_int;
    let dladdr = crate::arch::weak_address!("dladdr");
    if dladdr.is_null() {
        return true;
    }
    let base = |address: *const c_void| {
        // SAFETY: the symbol is libc's function; the structure is valid when zero.
        unsafe {
            let mut info: libc::Dl_info = core::mem::zeroed();
            core::mem::transmute::<*mut c_void, Dladdr>(dladdr)(address, &mut info);
            info.dli_fbase
        }
    };
    core::ptr::eq(base(address), base(is_own as *const c_void))
}

#[used]
#[unsafe(link_section = ".init_array.00101")]
static LOOK_UP: unsafe extern "C" fn() = look_up;

// Weak: a static link has no `dlsym` and must not draw one in, and musl has no `__chk_fail`.
global_asm!(
    ".weak dlsym",
    ".weak __chk_fail",
    ".pushsection .data.rel.ro.dyco_weak,\"aw\"",
    ".balign 8",
    ".hidden dyco_weak_dlsym",
    ".globl dyco_weak_dlsym",
    "dyco_weak_dlsym: .quad dlsym",
    ".hidden dyco_weak_chk_fail",
    ".globl dyco_weak_chk_fail",
    "dyco_weak_chk_fail: .quad __chk_fail",
    ".popsection",
);

unsafe extern "C" {
    static dyco_weak_dlsym: Option<Dlsym>;
    static dyco_weak_chk_fail: Option<unsafe extern "C" fn() -> !>;
}

/// Puts what the dynamic linker finds behind us into the slot; false, and ENOSYS, when there is nothing. For seeds that no
/// system call stands in for.
fn found(name: &CStr, slot: &AtomicPtr<c_void>) -> bool {
    // SAFETY: a word in our data that the linker has filled in; the name is a C string.
    let next = unsafe { dyco_weak_dlsym.map_or(ptr::null_mut(), |dlsym| dlsym(libc::RTLD_NEXT, name.as_ptr())) };
    if next.is_null() {
        errno::set(Errno(libc::ENOSYS));
    } else {
        slot.store(next, Relaxed);
    }
    !next.is_null()
}

/// Ends the process as `_FORTIFY_SOURCE` does when a call would overflow the caller's buffer.
pub fn buffer_overflow() -> ! {
    // SAFETY: a word in our data that the linker has filled in; neither function has preconditions.
    unsafe {
        match dyco_weak_chk_fail {
            Some(fail) => fail(),
            None => libc::abort(),
        }
    }
}

/// The kernel's word as a C function that returns `ssize_t` gives it: -1 and `errno`, or the result.
fn size(word: isize) -> ssize_t {
    if word < 0 {
        errno::set(Errno(-word as c_int));
        return -1;
    }
    word
}

/// As [`size`], for a function that returns `int`.
fn int(word: isize) -> c_int {
    size(word) as c_int
}
