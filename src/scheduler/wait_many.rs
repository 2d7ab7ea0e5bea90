// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting for any of several descriptors.

use super::aside;
use super::wait::{Current, Wake};
use super::watch::Armed;
use crate::coroutine::{State, Waiter, loose};
use crate::poller::descriptors;
use crate::sys::clock::Instant;
use crate::sys::{Errno, Result, memory};

impl Current {
    /// As [`Current::wait_fd`] for any of `count` descriptors; `each` names them and their events, a negative one is
    /// skipped. `Ready` at once when one of them is none, or is always ready.
    pub fn wait_fds(self, count: usize, each: &mut dyn FnMut(usize) -> (i32, u32), deadline: Instant) -> Result<Wake> {
        let me = self.coroutine();
        if count == 0 {
            self.sleep_until(deadline);
            return Ok(Wake::TimedOut);
        }
        if self.is_aside() {
            return Ok(aside::pause(deadline));
        }
        let waiters = memory::array_zeroed::<Waiter>(count)?.as_ptr();
        // SAFETY: as in `wait_fd`; `waiters` has room for `count`, and stays until the wait has ended.
        unsafe {
            (*(*me).rest).waiters = waiters;
            (*(*me).rest).waiter_count = count as u32;
            (*me).loose |= loose::WAITERS;
            // From now on it can be woken: a descriptor may prove closed while the next ones are looked at.
            (*me).state = State::Waiting;
            let mut watched = false;
            for index in 0..count {
                let (fd, events) = each(index);
                (*waiters.add(index)).coroutine = me;
                if fd < 0 {
                    continue;
                }
                watched = true;
                let s = &mut *self.scheduler();
                match s.arm(fd, descriptors::get(fd), events) {
                    Ok((Armed::Yes, watch)) => s.hang(watch, waiters.add(index), events),
                    // It can always be read and written, and nothing else ever comes of it.
                    Ok((Armed::AlwaysReady, _)) if events & (libc::POLLIN | libc::POLLOUT) as u32 == 0 => {}
                    Ok((Armed::AlwaysReady, _)) | Err(Errno(libc::EBADF)) => {
                        self.drop_waiters();
                        return Ok(Wake::Ready);
                    }
                    Err(errno) => {
                        self.drop_waiters();
                        return Err(errno);
                    }
                }
            }
            let woken = (*me).state != State::Waiting;
            if woken || !watched {
                self.drop_waiters();
            }
            if woken {
                return Ok(Wake::Ready);
            }
            if !watched {
                self.sleep_until(deadline);
                return Ok(Wake::TimedOut);
            }
        }
        let woken = self.park_for_descriptors(deadline);
        self.drop_waiters();
        // A descriptor of several that is gone is for poll(2) to report.
        if woken == Err(Errno(libc::EBADF)) { Ok(Wake::Ready) } else { woken }
    }

    fn drop_waiters(self) {
        let me = self.coroutine();
        // SAFETY: the running coroutine's waiters are its own; off their lists, they can go. Woken before it parked, it is
        // on a ready queue.
        unsafe {
            (*self.scheduler()).detach(me);
            (*me).state = State::Running;
            let rest = (*me).rest;
            memory::free((*rest).waiters);
            (*rest).waiters = core::ptr::null_mut();
            (*rest).waiter_count = 0;
        }
    }
}
