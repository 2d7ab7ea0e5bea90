// SPDX-License-Identifier: MIT OR Apache-2.0
//! libdyco: stackful coroutines for C on Linux.
//!
//! Imports point downwards only:
//!
//! ```text
//!   capi   hook        the dyco_* functions; the libc names we define. No logic.
//!     io   sync        operations that may wait; channels and their kin
//!     scheduler        who runs, who waits for what
//!  coroutine  timer    the control block; deadlines
//!  poller  stack  list what the kernel tells; where coroutines run; intrusive lists
//!    arch   sys        switches, thread-local words; system calls, errno, memory, clock
//! ```
//!
//! A scheduler belongs to its thread, and so do its coroutines; what threads share is `poller::descriptors`, and under the
//! lock of `scheduler::registry` the inboxes, the helper threads and their jobs, and the children. Glossary: to *park* is
//! to stop running until *unparked*; a *waiter* is a place where a coroutine waits; a *watch* is a descriptor waited for;
//! a *slot* is a shared stack; a *generation* tells one life of a descriptor number from the next.
//!
//! The crate does without std, whose own I/O would land in our hooks, and without `alloc`, whose allocations abort.

#![no_std]
#![deny(missing_docs)]

mod arch;
mod capi;
mod coroutine;
#[cfg(feature = "hook")]
mod hook;
mod io;
mod list;
mod poller;
mod scheduler;
mod stack;
mod sync;
mod sys;
mod timer;

/// A panic is a bug of the library, whose state is then suspect: the process ends.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    sys::message::Line::new().text("libdyco: internal error").print();
    // SAFETY: no preconditions.
    unsafe { libc::abort() }
}

// libcore and compiler_builtins were compiled to unwind and name this; LTO drops what does, but a static link may draw an
// object of compiler_builtins from our archive. Nothing ever calls it. Weak: another Rust archive may define it as well.
core::arch::global_asm!(".weak rust_eh_personality", ".hidden rust_eh_personality", "rust_eh_personality:", ".long 0",);
