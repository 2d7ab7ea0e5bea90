// SPDX-License-Identifier: MIT OR Apache-2.0
//! AArch64, AAPCS64. Only what differs from x86_64 is said here.
//!
//! A parked frame is 176 bytes: x19–x30 at +0, d8–d15 at +96, FPCR at +160. In a first frame x29 is 0, x19 holds
//! the argument, x20 the function and x30 `entry`. Return addresses signed by callers (PAC) survive, because the
//! stack pointer is their modifier and a frame is always resumed where it was saved.

use core::arch::{asm, global_asm, naked_asm};
use core::ffi::c_void;

/// Parks the running frame, writes its stack pointer to `save`, and continues the frame at `to`, whose call of `switch`
/// returns `value`. Returns when somebody switches to what was written to `save`, and what that one gave.
///
/// # Safety
/// `to` is a frame that `switch` or [`prepare`] made, still intact at the same address, and continued only once.
#[rustfmt::skip] // an instruction and what it does to the frame on one line
#[unsafe(naked)]
pub unsafe extern "C" fn switch(save: *mut *mut u8, to: *mut u8, value: usize) -> usize {
    naked_asm!(
        ".cfi_startproc",
        "hint #34", // bti c
        "sub sp, sp, #176", ".cfi_adjust_cfa_offset 176",
        "stp x19, x20, [sp]", ".cfi_rel_offset x19, 0", ".cfi_rel_offset x20, 8",
        "stp x21, x22, [sp, #16]", ".cfi_rel_offset x21, 16", ".cfi_rel_offset x22, 24",
        "stp x23, x24, [sp, #32]", ".cfi_rel_offset x23, 32", ".cfi_rel_offset x24, 40",
        "stp x25, x26, [sp, #48]", ".cfi_rel_offset x25, 48", ".cfi_rel_offset x26, 56",
        "stp x27, x28, [sp, #64]", ".cfi_rel_offset x27, 64", ".cfi_rel_offset x28, 72",
        "stp x29, x30, [sp, #80]", ".cfi_rel_offset x29, 80", ".cfi_rel_offset x30, 88",
        "stp d8, d9, [sp, #96]",
        "stp d10, d11, [sp, #112]",
        "stp d12, d13, [sp, #128]",
        "stp d14, d15, [sp, #144]",
        "mrs x9, fpcr",
        "str x9, [sp, #160]",
        "mov x10, sp",
        "str x10, [x0]",
        "mov sp, x1",
        "ldr x10, [sp, #160]",
        "cmp x9, x10",
        "b.eq 2f",
        "msr fpcr, x10",
        "2:",
        "ldp d8, d9, [sp, #96]",
        "ldp d10, d11, [sp, #112]",
        "ldp d12, d13, [sp, #128]",
        "ldp d14, d15, [sp, #144]",
        "ldp x19, x20, [sp]", ".cfi_restore x19", ".cfi_restore x20",
        "ldp x21, x22, [sp, #16]", ".cfi_restore x21", ".cfi_restore x22",
        "ldp x23, x24, [sp, #32]", ".cfi_restore x23", ".cfi_restore x24",
        "ldp x25, x26, [sp, #48]", ".cfi_restore x25", ".cfi_restore x26",
        "ldp x27, x28, [sp, #64]", ".cfi_restore x27", ".cfi_restore x28",
        "ldp x29, x30, [sp, #80]", ".cfi_restore x29", ".cfi_restore x30",
        "add sp, sp, #176", ".cfi_adjust_cfa_offset -176",
        "mov x0, x2",
        "ret",
        ".cfi_endproc",
    )
}

/// As [`switch`], but what runs is not parked: nothing of it is kept.
///
/// # Safety
/// As [`switch`].
#[rustfmt::skip] // as above
#[unsafe(naked)]
pub unsafe extern "C" fn switch_for_good(to: *mut u8, value: usize) -> ! {
    naked_asm!(
        ".cfi_startproc",
        "hint #34", // bti c
        "mov sp, x0", ".cfi_def_cfa_offset 176",
        ".cfi_rel_offset x19, 0", ".cfi_rel_offset x20, 8", ".cfi_rel_offset x21, 16", ".cfi_rel_offset x22, 24",
        ".cfi_rel_offset x23, 32", ".cfi_rel_offset x24, 40", ".cfi_rel_offset x25, 48", ".cfi_rel_offset x26, 56",
        ".cfi_rel_offset x27, 64", ".cfi_rel_offset x28, 72", ".cfi_rel_offset x29, 80", ".cfi_rel_offset x30, 88",
        "ldr x10, [sp, #160]",
        "msr fpcr, x10",
        "ldp d8, d9, [sp, #96]",
        "ldp d10, d11, [sp, #112]",
        "ldp d12, d13, [sp, #128]",
        "ldp d14, d15, [sp, #144]",
        "ldp x19, x20, [sp]", ".cfi_restore x19", ".cfi_restore x20",
        "ldp x21, x22, [sp, #16]", ".cfi_restore x21", ".cfi_restore x22",
        "ldp x23, x24, [sp, #32]", ".cfi_restore x23", ".cfi_restore x24",
        "ldp x25, x26, [sp, #48]", ".cfi_restore x25", ".cfi_restore x26",
        "ldp x27, x28, [sp, #64]", ".cfi_restore x27", ".cfi_restore x28",
        "ldp x29, x30, [sp, #80]", ".cfi_restore x29", ".cfi_restore x30",
        "add sp, sp, #176", ".cfi_adjust_cfa_offset -176",
        "mov x0, x1",
        "ret",
        ".cfi_endproc",
    )
}

/// Where a first frame starts; see x86_64.
#[unsafe(naked)]
unsafe extern "C" fn entry() {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_personality 0x1b, {personality}",
        ".cfi_undefined x30",
        "hint #36", // bti j
        "mov x0, x19",
        "blr x20",
        "brk #1",
        ".cfi_endproc",
        personality = sym super::unwound::personality,
    )
}

/// Writes the caller's floating-point control state to `place`, as a first frame holds it.
///
/// # Safety
/// `place` is writable.
#[inline(always)]
pub unsafe fn store_float_control(place: *mut usize) {
    let fpcr;
    // SAFETY: reads a register; the caller gives the room.
    unsafe {
        asm!("mrs {}, fpcr", out(reg) fpcr, options(nomem, nostack, preserves_flags));
        *place = fpcr;
    }
}

/// Builds the first frame below `top`: when continued, it calls `function(argument)`, which must not return, under the
/// floating-point control state that [`store_float_control`] gave.
///
/// # Safety
/// The 192 bytes below `top` are writable and unused.
pub unsafe fn prepare(
    top: *mut u8,
    function: unsafe extern "C" fn(*mut c_void) -> !,
    argument: *mut c_void,
    float_control: usize,
) -> *mut u8 {
    let top = (top as usize & !15) as *mut usize;
    // SAFETY: the caller gives the room.
    unsafe {
        let frame = top.sub(22);
        for word in 0..22 {
            frame.add(word).write(0);
        }
        frame.write(argument as usize); // x19
        frame.add(1).write(function as usize); // x20
        frame.add(11).write(entry as *const () as usize); // x30
        frame.add(20).write(float_control);
        frame.cast()
    }
}

/// The caller's stack pointer.
#[inline(always)]
pub fn stack_pointer() -> *mut u8 {
    let sp;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, sp", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    sp
}

/// Asks for a cache line ahead of its use; any address will do.
#[inline(always)]
pub fn prefetch(address: *const u8) {
    // SAFETY: a hint, which does not fault.
    unsafe { asm!("prfm pldl1keep, [{}]", in(reg) address, options(readonly, nostack, preserves_flags)) };
}

/// The address of a symbol that another library may or may not supply: null when nobody does.
macro_rules! weak_address {
    ($symbol:literal) => {{
        let address: *mut core::ffi::c_void;
        #[allow(unused_unsafe)] // where the user of the macro is in such a block already
        // SAFETY: reads the symbol's entry of the global offset table.
        unsafe {
            core::arch::asm!(
                concat!(".weak ", $symbol),
                concat!("adrp {0}, :got:", $symbol),
                concat!("ldr {0}, [{0}, :got_lo12:", $symbol, "]"),
                out(reg) address,
                options(nostack, pure, readonly, preserves_flags)
            );
        }
        address
    }};
}
pub(crate) use weak_address;

global_asm!(
    ".section .tbss,\"awT\",%nobits",
    ".balign 16",
    ".hidden dyco_current_slot",
    ".globl dyco_current_slot",
    ".type dyco_current_slot, %object",
    ".size dyco_current_slot, 8",
    "dyco_current_slot:",
    ".zero 8",
    ".hidden dyco_vfork_mark",
    ".globl dyco_vfork_mark",
    ".type dyco_vfork_mark, %object",
    ".size dyco_vfork_mark, 8",
    "dyco_vfork_mark:",
    ".zero 8",
    ".text",
);

/// The thread-local words. Not `pure`: every call reads afresh.
pub mod slot {
    use core::arch::asm;

    /// This thread's scheduler, or null.
    #[inline(always)]
    pub fn get() -> *mut u8 {
        let p;
        // SAFETY: reads this thread's own word.
        unsafe {
            asm!("mrs {t}, tpidr_el0", "adrp {p}, :gottprel:dyco_current_slot",
                "ldr {p}, [{p}, :gottprel_lo12:dyco_current_slot]", "ldr {p}, [{t}, {p}]",
                p = out(reg) p, t = out(reg) _, options(nostack, readonly, preserves_flags));
        }
        p
    }

    /// Sets this thread's scheduler.
    #[inline(always)]
    pub fn set(value: *mut u8) {
        // SAFETY: writes this thread's own word.
        unsafe {
            asm!("mrs {t}, tpidr_el0", "adrp {p}, :gottprel:dyco_current_slot",
                "ldr {p}, [{p}, :gottprel_lo12:dyco_current_slot]", "str {v}, [{t}, {p}]",
                p = out(reg) _, t = out(reg) _, v = in(reg) value, options(nostack, preserves_flags));
        }
    }

    /// The second word: bits that `arch::slot` knows.
    #[inline(always)]
    pub fn marks() -> u64 {
        let v: u64;
        // SAFETY: reads this thread's own word.
        unsafe {
            asm!("mrs {t}, tpidr_el0", "adrp {v}, :gottprel:dyco_vfork_mark",
                "ldr {v}, [{v}, :gottprel_lo12:dyco_vfork_mark]", "ldr {v}, [{t}, {v}]",
                t = out(reg) _, v = out(reg) v, options(nostack, readonly, preserves_flags));
        }
        v
    }

    /// Sets the second word.
    pub fn set_marks(marks: u64) {
        // SAFETY: writes this thread's own word.
        unsafe {
            asm!("mrs {t}, tpidr_el0", "adrp {p}, :gottprel:dyco_vfork_mark",
                "ldr {p}, [{p}, :gottprel_lo12:dyco_vfork_mark]", "str {v}, [{t}, {p}]",
                t = out(reg) _, p = out(reg) _, v = in(reg) marks, options(nostack, preserves_flags));
        }
    }
}
