// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every architecture supplies:
//!
//! - `switch(save, to, value)`: parks the caller's frame and continues the frame at `to`, where `value` is returned;
//! - `switch_elsewhere`: the same, best where the two park at different places in the code;
//! - `switch_for_good(to, value)`: the same, where nobody comes back;
//! - `prepare(top, function, argument)`: the first frame of a stack, which `switch` can continue;
//! - `entry`, where first frames start, with the personality routine of `unwound`;
//! - `slot`: two thread-local words, which say what scheduler the thread has, whether it is a vfork child's, and whether
//!   its hooks are off.
//!
//! A saved frame holds the callee-saved registers and the floating-point control state, and is resumed at
//! the address where it was saved. The first frame ends the chain of frames for debuggers and unwinders.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod unwound;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::weak_address;
#[cfg(target_arch = "aarch64")]
pub use aarch64::{
    prefetch, prepare, stack_pointer, store_float_control, switch, switch as switch_elsewhere, switch_for_good,
};
pub use unwound::tell_of_unwound;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::weak_address;
#[cfg(target_arch = "x86_64")]
pub use x86_64::{prefetch, prepare, stack_pointer, store_float_control, switch, switch_elsewhere, switch_for_good};

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("libdyco knows x86_64 and aarch64; docs/porting.md says what a port needs");

/// The thread-local words.
pub mod slot {
    #[cfg(target_arch = "aarch64")]
    use super::aarch64::slot::{marks, set_marks};
    #[cfg(target_arch = "x86_64")]
    use super::x86_64::slot::{marks, set_marks};

    #[cfg(target_arch = "aarch64")]
    pub use super::aarch64::slot::{get, set};
    #[cfg(target_arch = "x86_64")]
    pub use super::x86_64::slot::{get, set};

    /// Bits of the second word. The vfork wrapper sets the first one.
    const VFORK: u64 = 1;
    const HOOKS_OFF: u64 = 2;

    /// Whether this is a vfork child, which runs in its parent's memory.
    #[inline(always)]
    pub fn in_vfork() -> bool {
        marks() & VFORK != 0
    }

    /// Whether the program has switched the hooks off for this thread.
    pub fn are_hooks_off() -> bool {
        marks() & HOOKS_OFF != 0
    }

    /// Notes that it has, or has switched them on.
    pub fn set_hooks_off(off: bool) {
        set_marks(marks() & !HOOKS_OFF | if off { HOOKS_OFF } else { 0 });
    }
}
