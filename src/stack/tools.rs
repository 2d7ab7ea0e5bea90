// SPDX-License-Identifier: MIT OR Apache-2.0
//! Telling valgrind of each of our stacks, so that a switch is not taken for a wild stack pointer. The request is a
//! sequence of instructions that does nothing on the real machine (valgrind manual, "The Client Request mechanism").

use core::arch::asm;

const RUNNING_ON_VALGRIND: usize = 0x1001;
const STACK_REGISTER: usize = 0x1501;
const STACK_DEREGISTER: usize = 0x1502;
const MAKE_MEM_UNDEFINED: usize = (b'M' as usize) << 24 | (b'C' as usize) << 16 | 1;

/// Whether the program runs on valgrind.
pub fn on_valgrind() -> bool {
    request([RUNNING_ON_VALGRIND, 0, 0, 0, 0, 0]) > 0
}

/// Tells of a stack's memory; the result names it to [`forget_stack`].
pub fn register_stack(base: *mut u8, size: usize) -> u32 {
    request([STACK_REGISTER, base as usize, base as usize + size, 0, 0, 0]) as u32
}

/// Takes it back, before the memory is unmapped.
pub fn forget_stack(id: u32) {
    request([STACK_DEREGISTER, id as usize, 0, 0, 0, 0]);
}

/// Says that stack memory will be written although the stack pointer is not below it: bytes are copied in.
#[inline(always)]
pub fn make_usable(base: *mut u8, size: usize) {
    request([MAKE_MEM_UNDEFINED, base as usize, size, 0, 0, 0]);
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn request(arguments: [usize; 6]) -> usize {
    let result;
    // SAFETY: the rotations add up to whole turns and the exchange is of a register with itself.
    unsafe {
        asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") arguments.as_ptr(), inout("rdx") 0usize => result, inout("rdi") 0usize => _,
            options(nostack)
        );
    }
    result
}

#[cfg(target_arch = "aarch64")]
#[inline(always)]
fn request(arguments: [usize; 6]) -> usize {
    let result;
    // SAFETY: the rotations add up to whole turns and the last instruction ors a register with itself.
    unsafe {
        asm!(
            "ror x12, x12, #3", "ror x12, x12, #13", "ror x12, x12, #51", "ror x12, x12, #61", "orr x10, x10, x10",
            in("x4") arguments.as_ptr(), inout("x3") 0usize => result, inout("x12") 0usize => _,
            options(nostack)
        );
    }
    result
}
