// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the signalfd to those who hold the signal, here and in other threads.

use libc::signalfd_siginfo;

use super::holder::{Holder, bare};
use super::{Set, bit, each};
use crate::coroutine::{Waiter, Wake};
use crate::scheduler::{Scheduler, registry};
use crate::syscall_raw;

/// `si_code` of a signal to one thread.
const SI_TKILL: i32 = -6;

impl Scheduler {
    /// Reads the signals that have come, for those who hold them here and in other threads.
    pub(in crate::scheduler) fn read_signals(&mut self) {
        if self.signals.fd < 0 {
            return;
        }
        // SAFETY: plain data, valid when zero.
        let mut info: signalfd_siginfo = unsafe { core::mem::zeroed() };
        loop {
            // SAFETY: `info` is valid for the call; the descriptor does not block.
            let size = unsafe { syscall_raw!(SYS_read, self.signals.fd, &raw mut info, size_of_val(&info)) };
            if size != size_of_val(&info) as isize {
                return;
            }
            self.deliver_signal(&info);
            if info.ssi_code != SI_TKILL {
                registry::tell_signal(&info);
            }
        }
    }

    /// Queues a signal for those who hold it here.
    pub(in crate::scheduler) fn deliver_signal(&mut self, info: &signalfd_siginfo) {
        let scheduler: *mut Scheduler = self;
        // SAFETY: the list holds valid holders, and does not change when their coroutines are woken.
        unsafe {
            let holders = &raw mut (*scheduler).signals.holders;
            let mut link = (*holders).first();
            while !link.is_null() {
                let holder: *mut Holder = link.cast();
                link = (*holders).after(link);
                if (*holder).set & bit(info.ssi_signo) != 0 {
                    (*holder).queue(info);
                    let waiter: *mut Waiter = (*holder).waiter.first().cast();
                    if !waiter.is_null() {
                        (*scheduler).unpark((*waiter).coroutine, Wake::Ready);
                    }
                }
            }
        }
    }

    /// Signals of which another thread could only tell that they came.
    pub(in crate::scheduler) fn deliver_signals(&mut self, set: Set) {
        for signal in each(set) {
            self.deliver_signal(&bare(signal));
        }
    }
}
