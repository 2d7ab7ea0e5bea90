// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every architecture supplies:
//!
//! - `switch(save, to, value)`: parks the caller's frame and continues the frame at `to`, where `value` is returned;
//! - `switch_elsewhere`: the same, best where the two park at different places in the code;
//! - `prepare(top, function, argument)`: the first frame of a stack, which `switch` can continue;
//! - `slot`: the thread-local words that say which scheduler the thread has.
//!
//! A saved frame holds the callee-saved registers and the floating-point control state, and is resumed at
//! the address where it was saved. The first frame ends the chain of frames for debuggers and unwinders.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::weak_address;
#[cfg(target_arch = "aarch64")]
pub use aarch64::{prefetch, prepare, slot, stack_pointer, store_float_control, switch, switch as switch_elsewhere};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::weak_address;
#[cfg(target_arch = "x86_64")]
pub use x86_64::{prefetch, prepare, slot, stack_pointer, store_float_control, switch, switch_elsewhere};

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("libdyco knows x86_64 and aarch64; docs/porting.md says what a port needs");
