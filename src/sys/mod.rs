// SPDX-License-Identifier: MIT OR Apache-2.0
//! The only code that talks to the kernel and to libc: system calls, io_uring, errno, memory, the clock, the
//! environment, the next definition of each hooked name.
//!
//! Calls made here are raw system calls on purpose: the libc names are the ones we define ourselves,
//! and a raw call is no cancellation point, so a coroutine cannot be torn apart by `pthread_cancel`.

pub mod clock;
pub mod environment;
pub mod errno;
pub mod memory;
pub mod message;
pub mod next;
pub mod ring;
pub mod statx;
pub mod syscall;

pub use errno::{Errno, Result};
