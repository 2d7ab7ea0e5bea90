// SPDX-License-Identifier: MIT OR Apache-2.0
//! vfork(2).
//!
//! A vfork child runs in its parent's memory and on its parent's stack, so whatever it does to a table or to a scheduler
//! is done to the parent. For its time the thread-local words say that the thread has no scheduler and is a vfork child:
//! every hook is then libc's own function. The parent, which sleeps until the child is gone, sets them right.
//!
//! Parent and child share the descriptions of all descriptors, as after fork.
//!
//! The wrapper must not have a frame when the child returns from it: the child goes on to use that part of the stack.
//! What the parent needs afterwards is in registers, of which the kernel keeps a copy for each of them.

use core::arch::naked_asm;
use core::ffi::c_int;

use crate::io::c_number;
use crate::poller::descriptors;
use crate::sys::syscall;

/// As libc's.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vfork() -> c_int {
    naked_asm!(
        ".cfi_startproc",
        "endbr64",
        "sub rsp, 8", ".cfi_adjust_cfa_offset 8",
        "call {prepare}",
        "add rsp, 8", ".cfi_adjust_cfa_offset -8",
        "mov rsi, qword ptr [rip + dyco_current_slot@GOTTPOFF]",
        "mov rdx, qword ptr fs:[rsi]",
        "mov r8, qword ptr fs:[rsi + 8]", // dyco_vfork_mark
        "pop rdi", ".cfi_adjust_cfa_offset -8", ".cfi_register rip, rdi",
        "mov qword ptr fs:[rsi], 0",
        "mov qword ptr fs:[rsi + 8], 1",
        "mov eax, {number}",
        "syscall",
        "push rdi", ".cfi_adjust_cfa_offset 8", ".cfi_rel_offset rip, 0",
        "test eax, eax",
        "jz 2f",
        "mov qword ptr fs:[rsi], rdx",
        "mov qword ptr fs:[rsi + 8], r8",
        "js 3f",
        "2:",
        "ret",
        "3:",
        "movsxd rdi, eax",
        "jmp {failed}",
        ".cfi_endproc",
        prepare = sym prepare,
        failed = sym failed,
        number = const libc::SYS_vfork,
    )
}

/// As libc's. This machine has no vfork system call: it is a clone that shares the memory and waits.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vfork() -> c_int {
    naked_asm!(
        ".cfi_startproc",
        "hint #25", // paciasp: also a landing pad
        ".cfi_negate_ra_state",
        "stp x29, x30, [sp, #-16]!", ".cfi_adjust_cfa_offset 16", ".cfi_rel_offset x29, 0", ".cfi_rel_offset x30, 8",
        "bl {prepare}",
        "ldp x29, x30, [sp], #16", ".cfi_adjust_cfa_offset -16", ".cfi_restore x29", ".cfi_restore x30",
        "hint #29", // autiasp
        ".cfi_negate_ra_state",
        "mrs x9, tpidr_el0",
        "adrp x10, :gottprel:dyco_current_slot",
        "ldr x10, [x10, :gottprel_lo12:dyco_current_slot]",
        "add x9, x9, x10",
        "ldp x10, x11, [x9]", // dyco_current_slot, dyco_vfork_mark
        "mov x12, #1",
        "stp xzr, x12, [x9]",
        "mov x0, #{flags}",
        "mov x1, sp",
        "mov x2, xzr",
        "mov x3, xzr",
        "mov x4, xzr",
        "mov x8, #{number}",
        "svc #0",
        "cbz x0, 2f",
        "stp x10, x11, [x9]",
        "tbnz x0, #63, 3f",
        "2:",
        "ret",
        "3:",
        "b {failed}",
        ".cfi_endproc",
        prepare = sym prepare,
        failed = sym failed,
        flags = const libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
        number = const libc::SYS_clone,
    )
}

extern "C" fn prepare() {
    if !crate::scheduler::in_vfork_child() {
        descriptors::forked();
    }
}

extern "C" fn failed(word: isize) -> c_int {
    c_number(syscall::check(word))
}
