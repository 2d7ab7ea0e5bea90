// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mode of fdopen(3).

use core::ffi::{CStr, c_char, c_int};

use crate::syscall;

/// What a stream is opened for.
#[derive(Clone, Copy)]
pub(super) struct Mode {
    /// For fopencookie(3).
    pub text: &'static CStr,
    pub reads: bool,
    pub writes: bool,
    appends: bool,
}

impl Mode {
    /// What fdopen(3) makes of `mode`; `None`: an error.
    pub unsafe fn of(mode: *const c_char) -> Option<Mode> {
        // SAFETY: the caller's promise: a C string, of which libc looks at this much.
        unsafe {
            let first = *mode.cast::<u8>();
            let mut updates = false;
            for index in 1..5 {
                match *mode.add(index).cast::<u8>() {
                    0 => break,
                    b'+' => updates = true,
                    _ => {}
                }
            }
            let (plain, update) = match first {
                b'r' => (c"r", c"r+"),
                b'w' => (c"w", c"w+"),
                b'a' => (c"a", c"a+"),
                _ => return None,
            };
            Some(Mode {
                text: if updates { update } else { plain },
                reads: updates || first == b'r',
                writes: updates || first != b'r',
                appends: first == b'a',
            })
        }
    }

    /// Whether the descriptor allows it; sets O_APPEND where libc would.
    pub fn suits(self, fd: c_int) -> bool {
        // SAFETY: takes numbers only.
        let Ok(flags) = (unsafe { syscall!(SYS_fcntl, fd, libc::F_GETFL) }) else { return false };
        let flags = flags as c_int;
        let access = flags & libc::O_ACCMODE;
        if access == libc::O_RDONLY && self.writes || access == libc::O_WRONLY && self.reads {
            return false;
        }
        if self.appends && flags & libc::O_APPEND == 0 {
            // SAFETY: as above.
            return unsafe { syscall!(SYS_fcntl, fd, libc::F_SETFL, flags | libc::O_APPEND) }.is_ok();
        }
        true
    }
}
