// SPDX-License-Identifier: MIT OR Apache-2.0
//! Telling valgrind of our stacks, so that a switch is not taken for a wild stack pointer. The request is a
//! sequence of instructions that does nothing on the real machine (valgrind manual, "The Client Request mechanism").

use core::arch::asm;

const STACK_REGISTER: usize = 0x1501;

/// Tells of the memory of one or more stacks. It is forgotten when it is unmapped.
pub fn register_stack(base: *mut u8, size: usize) {
    let request = [STACK_REGISTER, base as usize, base as usize + size, 0, 0, 0];
    // SAFETY: the rotations add up to a whole turn and the exchange is of a register with itself.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") request.as_ptr(), inout("rdx") 0usize => _, inout("rdi") 0usize => _,
            options(nostack)
        );
    }
    // SAFETY: the rotations add up to a whole turn and the last instruction ors a register with itself.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "ror x12, x12, #3", "ror x12, x12, #13", "ror x12, x12, #51", "ror x12, x12, #61", "orr x10, x10, x10",
            in("x4") request.as_ptr(), inout("x3") 0usize => _, inout("x12") 0usize => _,
            options(nostack)
        );
    }
}
