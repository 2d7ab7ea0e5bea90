// SPDX-License-Identifier: MIT OR Apache-2.0
//! One line for stderr, built without memory from anywhere and written by one system call: fit for signal handlers.

use crate::syscall_raw;

const CAPACITY: usize = 512;

/// A line; what does not fit is left out.
pub struct Line {
    bytes: [u8; CAPACITY],
    length: usize,
}

impl Line {
    /// An empty line.
    pub fn new() -> Line {
        Line { bytes: [0; CAPACITY], length: 0 }
    }

    /// Adds text.
    pub fn text(&mut self, text: &str) -> &mut Line {
        let room = CAPACITY - 1 - self.length;
        let taken = text.len().min(room);
        self.bytes[self.length..self.length + taken].copy_from_slice(&text.as_bytes()[..taken]);
        self.length += taken;
        self
    }

    /// Adds a decimal number.
    pub fn number(&mut self, number: u64) -> &mut Line {
        self.digits(number, 10)
    }

    /// Adds an address.
    pub fn hex(&mut self, address: usize) -> &mut Line {
        self.text("0x").digits(address as u64, 16)
    }

    fn digits(&mut self, mut number: u64, base: u64) -> &mut Line {
        let mut digits = [0u8; 20];
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b"0123456789abcdef"[(number % base) as usize];
            number /= base;
            if number == 0 {
                break;
            }
        }
        for &digit in &digits[first..] {
            if self.length < CAPACITY - 1 {
                self.bytes[self.length] = digit;
                self.length += 1;
            }
        }
        self
    }

    /// Ends the line and writes it.
    pub fn print(&mut self) {
        self.bytes[self.length] = b'\n';
        // SAFETY: the bytes are valid for the call.
        unsafe { syscall_raw!(SYS_write, libc::STDERR_FILENO, self.bytes.as_ptr(), self.length + 1) };
    }
}
