// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a thread learns that a descriptor has become ready.
//!
//! `descriptors` is what the process knows of each descriptor number; `epoll` asks the kernel, and `alarm` ends the waits
//! whose deadline is far off. A poller is told the
//! descriptor and the generation of its number, and gives both back with each event, so that an event of a descriptor
//! that has been closed in the meantime is seen to be old.

mod alarm;
pub mod descriptors;
pub mod epoll;
