// SPDX-License-Identifier: MIT OR Apache-2.0
//! What coroutines of one thread wait on besides descriptors and time. All of it stands on [`queue::Queue`]: first come,
//! first served; a waiter that times out is gone from the queue in O(1); no descriptor, no allocation per wait.

pub mod channel;
pub mod pubsub;
pub mod queue;
pub mod semaphore;
pub mod waitgroup;
