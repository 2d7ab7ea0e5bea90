// SPDX-License-Identifier: MIT OR Apache-2.0
//! The libc names that we define. Inside a coroutine each goes to `io`; outside it is the next definition, bit for bit.
//! No logic here.

mod aliases;
mod command;
mod fd;
mod files;
mod flags;
mod fortify;
mod handlers;
mod lock;
mod mutex;
mod nameless;
mod names;
mod open;
mod poll;
mod process;
mod signal;
mod socket;
mod stdio;
mod time;
mod transfer;
mod wait;
