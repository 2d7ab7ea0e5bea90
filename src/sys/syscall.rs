// SPDX-License-Identifier: MIT OR Apache-2.0
//! System calls as the machine makes them: no errno, no cancellation point, nobody's hook in between.
//! Conventions: syscall(2), section "Architecture calling conventions".

use core::arch::asm;

use super::{Errno, Result};

/// The size of the kernel's signal set, in bytes; libc's `sigset_t` is larger, and begins with it.
pub const KERNEL_SIGSET: usize = 8;

/// What a system call answers that the kernel does not know.
pub const MISSING: Errno = Errno(libc::ENOSYS);
/// What one mostly answers that a filter (seccomp(2)) holds back, also when that is only older than the call.
pub const FORBIDDEN: Errno = Errno(libc::EPERM);

/// Makes a system call and returns the kernel's word: a result, or -errno.
///
/// # Safety
/// The arguments must be what the call asks for; pointers are read and written by the kernel.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub unsafe fn raw(number: libc::c_long, args: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the kernel clobbers rcx and r11 only; the rest is the caller's promise.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4], in("r9") args[5],
            lateout("rcx") _, lateout("r11") _, options(nostack, preserves_flags));
    }
    result
}

/// Makes a system call and returns the kernel's word: a result, or -errno.
///
/// # Safety
/// The arguments must be what the call asks for; pointers are read and written by the kernel.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub unsafe fn raw(number: libc::c_long, args: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the kernel clobbers x0 only; the rest is the caller's promise.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") args[0] => result,
            in("x1") args[1], in("x2") args[2], in("x3") args[3],
            in("x4") args[4], in("x5") args[5], options(nostack, preserves_flags));
    }
    result
}

/// The kernel's word as a result.
#[inline(always)]
pub fn check(word: isize) -> Result<usize> {
    if word < 0 { Err(Errno(-word as i32)) } else { Ok(word as usize) }
}

/// A system call with up to six arguments, each cast to a machine word: `syscall!(SYS_close, fd)`.
/// Signed arguments are sign-extended, as the C prototypes do.
#[macro_export]
macro_rules! syscall {
    ($number:ident $(, $arg:expr)* $(,)?) => {
        $crate::sys::syscall::check($crate::syscall_raw!($number $(, $arg)*))
    };
}

/// As [`syscall!`], but the kernel's own word: a result, or -errno.
#[macro_export]
macro_rules! syscall_raw {
    ($number:ident) => { $crate::syscall_raw!(@ $number, 0, 0, 0, 0, 0, 0) };
    ($number:ident, $a:expr) => { $crate::syscall_raw!(@ $number, $a, 0, 0, 0, 0, 0) };
    ($number:ident, $a:expr, $b:expr) => { $crate::syscall_raw!(@ $number, $a, $b, 0, 0, 0, 0) };
    ($number:ident, $a:expr, $b:expr, $c:expr) => { $crate::syscall_raw!(@ $number, $a, $b, $c, 0, 0, 0) };
    ($number:ident, $a:expr, $b:expr, $c:expr, $d:expr) => { $crate::syscall_raw!(@ $number, $a, $b, $c, $d, 0, 0) };
    ($number:ident, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr) => { $crate::syscall_raw!(@ $number, $a, $b, $c, $d, $e, 0) };
    ($number:ident, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr, $f:expr) => { $crate::syscall_raw!(@ $number, $a, $b, $c, $d, $e, $f) };
    (@ $number:ident, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr, $f:expr) => {
        $crate::sys::syscall::raw(libc::$number, [$a as usize, $b as usize, $c as usize, $d as usize, $e as usize, $f as usize])
    };
}
