// SPDX-License-Identifier: MIT OR Apache-2.0
//! Most test programs mostly wait, so many of them run at a time. What keeps a processor busy takes turns here, no more of it
//! than there are processors: the others' times are still their own.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::sync::{Condvar, Mutex};

static BUSY: Mutex<usize> = Mutex::new(0);
static FREE: Condvar = Condvar::new();

/// A turn, which ends when this is dropped.
pub struct Turn(());

/// How many there are.
pub fn count() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// Waits for a processor that nobody else has taken.
pub fn take() -> Turn {
    let busy = BUSY.lock().expect("no panic while held");
    *FREE.wait_while(busy, |busy| *busy >= count()).expect("no panic while held") += 1;
    Turn(())
}

impl Drop for Turn {
    fn drop(&mut self) {
        *BUSY.lock().expect("no panic while held") -= 1;
        FREE.notify_one();
    }
}

/// Runs a compiler in its turn. It is nice: a test program that wakes up does not wait for it.
pub fn compile(command: &mut Command) -> Result<(), String> {
    let _turn = take();
    // SAFETY: nice is async-signal-safe.
    unsafe {
        command.pre_exec(|| match libc::nice(10) {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        })
    };
    match command.stdin(Stdio::null()).output() {
        Ok(Output { status, .. }) if status.success() => Ok(()),
        Ok(output) => Err(format!("{command:?}\n{}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}
