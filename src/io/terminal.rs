// SPDX-License-Identifier: MIT OR Apache-2.0
//! Terminals, whose settings say how long a read waits.

use core::ffi::c_int;

use crate::sys::clock::MS;
use crate::syscall;

/// The kernel's `struct termios`; libc's own is larger.
#[repr(C)]
#[derive(Default)]
pub struct Settings {
    modes: [u32; 3],
    local: u32,
    line: u8,
    controls: [u8; 19],
}

/// The settings of a terminal; `None`: it is none.
pub fn settings(fd: c_int) -> Option<Settings> {
    let mut settings = Settings::default();
    // SAFETY: `settings` is what TCGETS fills in.
    unsafe { syscall!(SYS_ioctl, fd, libc::TCGETS, &raw mut settings) }.ok()?;
    Some(settings)
}

impl Settings {
    /// After how many nanoseconds a read without input returns 0 (VMIN is 0); `None`: it waits for input.
    pub fn read_limit(&self) -> Option<u64> {
        let waits = self.local & libc::ICANON != 0 || self.controls[libc::VMIN] > 0;
        (!waits).then(|| u64::from(self.controls[libc::VTIME]) * 100 * MS)
    }
}
