// SPDX-License-Identifier: MIT OR Apache-2.0
//! x86_64, System V ABI.
//!
//! A parked frame, from high to low addresses:
//!
//! ```text
//!   return address      pushed by the call of `switch`; `entry` in a first frame
//!   rbp rbx r12 r13 r14 r15
//!   x87 control word (2 bytes at +4), MXCSR (4 bytes at +0)     <- saved stack pointer
//! ```
//!
//! In a first frame rbp is 0, r12 holds the argument and r13 the function. The ABI makes the control bits of
//! MXCSR and the x87 control word callee-saved, the status flags (the low six bits of MXCSR) not: they may go along.
//!
//! MXCSR is loaded whether or not it differs: to read back what `stmxcsr` has just stored costs ten times as much. Of the
//! x87 control word it is the load that is dear. Both are stored first, into the red zone, where the pushes leave room
//! for them: by the time the latter is read back it is there.
//!
//! `switch` ends with `ret`: coroutines mostly park at the same call site, where the return predictor is right. Where
//! the two sides park at different ones it is wrong, and then again for the returns that follow: `switch_elsewhere` jumps.
//! `endbr64` marks indirect entry; shadow stacks are not supported (docs/porting.md).

use core::arch::{asm, global_asm, naked_asm};
use core::ffi::c_void;

/// The body of a switch; the last instructions, which take the return address from the stack, differ.
#[rustfmt::skip] // an instruction and what it does to the frame on one line
macro_rules! switch_by {
    ($($leave:literal),+) => {
        naked_asm!(
            ".cfi_startproc",
            "endbr64",
            "stmxcsr dword ptr [rsp - 56]",
            "fnstcw word ptr [rsp - 52]",
            "push rbp", ".cfi_adjust_cfa_offset 8", ".cfi_rel_offset rbp, 0",
            "push rbx", ".cfi_adjust_cfa_offset 8", ".cfi_rel_offset rbx, 0",
            "push r12", ".cfi_adjust_cfa_offset 8", ".cfi_rel_offset r12, 0",
            "push r13", ".cfi_adjust_cfa_offset 8", ".cfi_rel_offset r13, 0",
            "push r14", ".cfi_adjust_cfa_offset 8", ".cfi_rel_offset r14, 0",
            "push r15", ".cfi_adjust_cfa_offset 8", ".cfi_rel_offset r15, 0",
            "sub rsp, 8", ".cfi_adjust_cfa_offset 8",
            "movzx ecx, word ptr [rsp + 4]",
            "mov qword ptr [rdi], rsp",
            "mov rsp, rsi",
            "ldmxcsr dword ptr [rsp]",
            "cmp cx, word ptr [rsp + 4]",
            "jne 3f",
            "2:",
            "mov rax, rdx",
            "add rsp, 8", ".cfi_adjust_cfa_offset -8",
            "pop r15", ".cfi_adjust_cfa_offset -8", ".cfi_restore r15",
            "pop r14", ".cfi_adjust_cfa_offset -8", ".cfi_restore r14",
            "pop r13", ".cfi_adjust_cfa_offset -8", ".cfi_restore r13",
            "pop r12", ".cfi_adjust_cfa_offset -8", ".cfi_restore r12",
            "pop rbx", ".cfi_adjust_cfa_offset -8", ".cfi_restore rbx",
            "pop rbp", ".cfi_adjust_cfa_offset -8", ".cfi_restore rbp",
            $($leave,)+
            // Out of line: the frame's layout is that of label 2, where all seven words are still pushed.
            ".cfi_adjust_cfa_offset 56",
            ".cfi_rel_offset rbp, 48", ".cfi_rel_offset rbx, 40", ".cfi_rel_offset r12, 32",
            ".cfi_rel_offset r13, 24", ".cfi_rel_offset r14, 16", ".cfi_rel_offset r15, 8",
            "3:",
            "fldcw word ptr [rsp + 4]",
            "jmp 2b",
            ".cfi_endproc",
        )
    };
}

/// Parks the running frame, writes its stack pointer to `save`, and continues the frame at `to`, whose call of `switch`
/// returns `value`. Returns when somebody switches to what was written to `save`, and what that one gave.
///
/// # Safety
/// `to` is a frame that `switch` or [`prepare`] made, still intact at the same address, and continued only once.
#[unsafe(naked)]
pub unsafe extern "C" fn switch(save: *mut *mut u8, to: *mut u8, value: usize) -> usize {
    switch_by!("ret")
}

/// As [`switch`], for sides that park at different places in the code.
///
/// # Safety
/// As [`switch`].
#[unsafe(naked)]
pub unsafe extern "C" fn switch_elsewhere(save: *mut *mut u8, to: *mut u8, value: usize) -> usize {
    switch_by!(
        "pop rcx",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_register rip, rcx",
        "notrack jmp rcx",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_offset rip, -8"
    )
}

/// As [`switch_elsewhere`], but what runs is not parked: nothing of it is kept.
///
/// # Safety
/// As [`switch`].
#[rustfmt::skip] // as above
#[unsafe(naked)]
pub unsafe extern "C" fn switch_for_good(to: *mut u8, value: usize) -> ! {
    naked_asm!(
        ".cfi_startproc",
        "endbr64",
        "mov rsp, rdi", ".cfi_def_cfa_offset 64",
        ".cfi_rel_offset rbp, 48", ".cfi_rel_offset rbx, 40", ".cfi_rel_offset r12, 32",
        ".cfi_rel_offset r13, 24", ".cfi_rel_offset r14, 16", ".cfi_rel_offset r15, 8",
        "ldmxcsr dword ptr [rsp]",
        "fldcw word ptr [rsp + 4]",
        "mov rax, rsi",
        "add rsp, 8", ".cfi_adjust_cfa_offset -8",
        "pop r15", ".cfi_adjust_cfa_offset -8", ".cfi_restore r15",
        "pop r14", ".cfi_adjust_cfa_offset -8", ".cfi_restore r14",
        "pop r13", ".cfi_adjust_cfa_offset -8", ".cfi_restore r13",
        "pop r12", ".cfi_adjust_cfa_offset -8", ".cfi_restore r12",
        "pop rbx", ".cfi_adjust_cfa_offset -8", ".cfi_restore rbx",
        "pop rbp", ".cfi_adjust_cfa_offset -8", ".cfi_restore rbp",
        "pop rcx", ".cfi_adjust_cfa_offset -8", ".cfi_register rip, rcx",
        "notrack jmp rcx",
        ".cfi_endproc",
    )
}

/// Where a first frame starts. `.cfi_undefined rip` and rbp = 0 tell unwinders that the chain ends here; the call
/// (rather than a jump) puts the return address inside this function's description. Who unwinds by force meets the
/// personality routine (encoded as relative to its place, in four bytes).
#[unsafe(naked)]
unsafe extern "C" fn entry() {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_personality 0x1b, {personality}",
        ".cfi_undefined rip",
        "endbr64",
        "mov rdi, r12",
        "call r13",
        "ud2",
        ".cfi_endproc",
        personality = sym super::unwound::personality,
    )
}

/// Writes the caller's floating-point control state to `place`, as a first frame holds it.
///
/// # Safety
/// `place` is writable, and zero.
#[inline(always)]
pub unsafe fn store_float_control(place: *mut usize) {
    // SAFETY: the caller gives the room. Read back at once, the two would have to wait for their stores.
    unsafe {
        asm!("stmxcsr dword ptr [{0}]", "fnstcw word ptr [{0} + 4]", in(reg) place, options(nostack, preserves_flags))
    };
}

/// Builds the first frame below `top`: when continued, it calls `function(argument)`, which must not return, under the
/// floating-point control state that [`store_float_control`] gave.
///
/// # Safety
/// The 80 bytes below `top` are writable and unused.
pub unsafe fn prepare(
    top: *mut u8,
    function: unsafe extern "C" fn(*mut c_void) -> !,
    argument: *mut c_void,
    float_control: usize,
) -> *mut u8 {
    let top = (top as usize & !15) as *mut usize;
    // SAFETY: the caller gives the room; 16-byte alignment of `top` makes `entry`'s call site aligned as the ABI asks.
    unsafe {
        let frame = top.sub(8);
        frame.write(float_control);
        frame.add(1).write(0); // r15
        frame.add(2).write(0); // r14
        frame.add(3).write(function as usize); // r13
        frame.add(4).write(argument as usize); // r12
        frame.add(5).write(0); // rbx
        frame.add(6).write(0); // rbp
        frame.add(7).write(entry as *const () as usize);
        frame.cast()
    }
}

/// The caller's stack pointer.
#[inline(always)]
pub fn stack_pointer() -> *mut u8 {
    let sp;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rsp", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    sp
}

/// Asks for a cache line ahead of its use; any address will do.
#[inline(always)]
pub fn prefetch(address: *const u8) {
    // SAFETY: a hint, which does not fault.
    unsafe { asm!("prefetcht0 byte ptr [{}]", in(reg) address, options(readonly, nostack, preserves_flags)) };
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
                concat!("mov {}, qword ptr [rip + ", $symbol, "@GOTPCREL]"),
                out(reg) address,
                options(nostack, pure, readonly, preserves_flags)
            );
        }
        address
    }};
}
pub(crate) use weak_address;

// The thread-local words, in one block so that the vfork wrapper finds both. Initial-exec: no call, no lazy
// allocation, safe in signal handlers; 16 bytes fit into the static TLS surplus that dlopen needs.
global_asm!(
    ".section .tbss,\"awT\",@nobits",
    ".balign 16",
    ".hidden dyco_current_slot",
    ".globl dyco_current_slot",
    ".type dyco_current_slot, @object",
    ".size dyco_current_slot, 8",
    "dyco_current_slot:",
    ".zero 8",
    ".hidden dyco_vfork_mark",
    ".globl dyco_vfork_mark",
    ".type dyco_vfork_mark, @object",
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
            asm!("mov {p}, qword ptr [rip + dyco_current_slot@GOTTPOFF]", "mov {p}, qword ptr fs:[{p}]",
                p = out(reg) p, options(nostack, readonly, preserves_flags));
        }
        p
    }

    /// Sets this thread's scheduler.
    #[inline(always)]
    pub fn set(value: *mut u8) {
        // SAFETY: writes this thread's own word.
        unsafe {
            asm!("mov {p}, qword ptr [rip + dyco_current_slot@GOTTPOFF]", "mov qword ptr fs:[{p}], {v}",
                p = out(reg) _, v = in(reg) value, options(nostack, preserves_flags));
        }
    }

    /// The second word: bits that `arch::slot` knows.
    #[inline(always)]
    pub fn marks() -> u64 {
        let v: u64;
        // SAFETY: reads this thread's own word.
        unsafe {
            asm!("mov {v}, qword ptr [rip + dyco_vfork_mark@GOTTPOFF]", "mov {v}, qword ptr fs:[{v}]",
                v = out(reg) v, options(nostack, readonly, preserves_flags));
        }
        v
    }

    /// Sets the second word.
    pub fn set_marks(marks: u64) {
        // SAFETY: writes this thread's own word.
        unsafe {
            asm!("mov {p}, qword ptr [rip + dyco_vfork_mark@GOTTPOFF]", "mov qword ptr fs:[{p}], {v}",
                p = out(reg) _, v = in(reg) marks, options(nostack, preserves_flags));
        }
    }
}
