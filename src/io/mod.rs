// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations that may wait: each tries without blocking, and parks the coroutine where libc would have made the
//! thread wait. They make raw system calls and return error numbers; `errno` is set by who calls them.
//!
//! | file | subject |
//! |---|---|
//! | `waits`, `flags` | what most of them stand on: one call's waits for a descriptor, O_NONBLOCK as the program has it |
//! | `pointers` | what the program points to, if it is there |
//! | `socket`, `accept`, `connect` | sockets: making them, connections |
//! | `receive`, `send`, `messages`, `control` | and what goes over them |
//! | `file`, `device`, `remembered`, `terminal` | read and write of any descriptor; of what is no socket |
//! | `pieces`, `transfer` | vectors of buffers; sendfile and splice |
//! | `open`, `pipe`, `close`, `description` | descriptors: their births, ends, flags, other numbers |
//! | `files`, `lock` | files on disk, for threads that ask for it; file locks |
//! | `poll`, `select`, `epoll`, `level`, `signal_mask` | waiting for any of several descriptors |
//! | `wait`, `epoll_set` | the same as `dyco_*` functions |
//! | `time`, `signal_wait`, `child`, `command`, `mutex` | waiting for other things |
//! | `signal`, `offload`, `tls` | signals, blocking functions, TLS as `dyco_*` functions |
//! | `names`, `stream` | what waits inside libc: looking names up, stdio |
//! | `handlers`, `hooks` | what the hooks have to know: signal handlers; whether the program reaches them |

// Without the hooks some of them have no caller.
#![cfg_attr(not(feature = "hook"), allow(dead_code))]

pub mod accept;
pub mod child;
pub mod close;
#[cfg(feature = "hook")]
pub mod command;
pub mod connect;
pub mod control;
pub mod description;
pub mod device;
pub mod epoll;
pub mod epoll_set;
pub mod file;
pub mod files;
pub mod flags;
#[cfg(feature = "hook")]
pub mod handlers;
pub mod hooks;
pub mod level;
#[cfg(feature = "hook")]
pub mod lock;
pub mod messages;
#[cfg(feature = "hook")]
pub mod mutex;
pub mod nameless;
#[cfg(feature = "hook")]
pub mod names;
pub mod offload;
pub mod open;
pub mod pieces;
pub mod pipe;
pub mod pointers;
pub mod poll;
pub mod receive;
pub mod remembered;
pub mod select;
pub mod send;
pub mod signal;
pub mod signal_mask;
#[cfg(feature = "hook")]
pub mod signal_wait;
pub mod socket;
#[cfg(feature = "hook")]
pub mod stream;
pub mod terminal;
pub mod time;
#[cfg(feature = "ssl")]
pub mod tls;
pub mod transfer;
pub mod wait;
pub mod waits;

use core::ffi::c_int;

use crate::scheduler::Current;
use crate::sys::{Result, errno};

pub use waits::Waits;

/// The coroutine that makes a call, and by which name: whether O_NONBLOCK, where the program has set it, counts.
#[derive(Clone, Copy)]
pub enum Caller {
    /// By a libc name: it does.
    Libc(Current),
    /// By a `dyco_*` function: it waits all the same.
    Dyco(Current),
}

impl Caller {
    /// The coroutine.
    #[inline(always)]
    pub fn current(self) -> Current {
        match self {
            Caller::Libc(current) | Caller::Dyco(current) => current,
        }
    }

    /// Whether O_NONBLOCK counts.
    #[inline(always)]
    pub fn heeds_nonblock(self) -> bool {
        matches!(self, Caller::Libc(_))
    }
}

/// A result as a C function that returns `ssize_t` gives it: the number, or -1 and `errno`.
#[inline(always)]
pub fn c_size(result: Result<usize>) -> isize {
    match result {
        Ok(value) => value as isize,
        Err(error) => {
            errno::set(error);
            -1
        }
    }
}

/// As [`c_size`], for a function that returns `int`.
#[inline(always)]
pub fn c_number(result: Result<usize>) -> c_int {
    c_size(result) as c_int
}
