// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting for descriptors, for time to pass, for children.

use core::ffi::{c_int, c_long, c_uint};
use core::ptr;

use libc::{epoll_event, fd_set, nfds_t, pollfd, sigset_t, timespec, timeval};

use super::int;
use crate::sys::syscall::KERNEL_SIGSET;
use crate::syscall_raw;

/// A copy of the caller's timeout: the kernel writes what is left into the one it is given, libc's functions do not.
unsafe fn copy(timeout: *const timespec) -> Option<timespec> {
    // SAFETY: null, or the caller's valid timeout.
    unsafe { timeout.as_ref().copied() }
}

fn or_null(timeout: &mut Option<timespec>) -> *mut timespec {
    timeout.as_mut().map_or(ptr::null_mut(), ptr::from_mut)
}

next_definitions! {
    fn poll(fds: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int {
        let limit = timespec { tv_sec: (timeout / 1000).into(), tv_nsec: (timeout % 1000 * 1_000_000).into() };
        let mut limit = (timeout >= 0).then_some(limit);
        int(syscall_raw!(SYS_ppoll, fds, count, or_null(&mut limit), 0, KERNEL_SIGSET))
    }
    fn ppoll(fds: *mut pollfd, count: nfds_t, timeout: *const timespec, mask: *const sigset_t) -> c_int {
        int(syscall_raw!(SYS_ppoll, fds, count, or_null(&mut copy(timeout)), mask, KERNEL_SIGSET))
    }
    fn select(
        count: c_int, reads: *mut fd_set, writes: *mut fd_set, exceptions: *mut fd_set, timeout: *mut timeval,
    ) -> c_int {
        let mut limit = timeout.as_ref().map(|t| timespec {
            tv_sec: t.tv_sec.saturating_add(t.tv_usec / 1_000_000),
            tv_nsec: t.tv_usec % 1_000_000 * 1000,
        });
        let word = syscall_raw!(SYS_pselect6, count, reads, writes, exceptions, or_null(&mut limit), 0);
        // Unlike pselect, select tells what was left of the timeout.
        if let (Some(left), Some(timeout)) = (limit, timeout.as_mut()) {
            *timeout = timeval { tv_sec: left.tv_sec, tv_usec: left.tv_nsec / 1000 };
        }
        int(word)
    }
    fn pselect(
        count: c_int, reads: *mut fd_set, writes: *mut fd_set, exceptions: *mut fd_set, timeout: *const timespec,
        mask: *const sigset_t,
    ) -> c_int {
        let mask = [mask as usize, KERNEL_SIGSET];
        int(syscall_raw!(SYS_pselect6, count, reads, writes, exceptions, or_null(&mut copy(timeout)), &raw const mask))
    }
    fn epoll_wait(set: c_int, events: *mut epoll_event, count: c_int, timeout: c_int) -> c_int {
        int(syscall_raw!(SYS_epoll_pwait, set, events, count, timeout, 0, KERNEL_SIGSET))
    }
    fn epoll_pwait(set: c_int, events: *mut epoll_event, count: c_int, timeout: c_int, mask: *const sigset_t) -> c_int {
        int(syscall_raw!(SYS_epoll_pwait, set, events, count, timeout, mask, KERNEL_SIGSET))
    }
    fn epoll_pwait2(
        set: c_int, events: *mut epoll_event, count: c_int, timeout: *const timespec, mask: *const sigset_t,
    ) -> c_int {
        int(syscall_raw!(SYS_epoll_pwait2, set, events, count, timeout, mask, KERNEL_SIGSET))
    }

    fn sleep(seconds: c_uint) -> c_uint {
        let mut time = timespec { tv_sec: seconds.into(), tv_nsec: 0 };
        match syscall_raw!(SYS_nanosleep, &raw mut time, &raw mut time) {
            0 => 0,
            word => {
                int(word);
                time.tv_sec as c_uint
            }
        }
    }
    fn usleep(microseconds: c_uint) -> c_int {
        let microseconds = c_long::from(microseconds);
        let time = timespec { tv_sec: microseconds / 1_000_000, tv_nsec: microseconds % 1_000_000 * 1000 };
        int(syscall_raw!(SYS_nanosleep, &raw const time, 0))
    }
    fn nanosleep(time: *const timespec, left: *mut timespec) -> c_int { int(syscall_raw!(SYS_nanosleep, time, left)) }
    // Returns the error number itself.
    fn clock_nanosleep(clock: libc::clockid_t, flags: c_int, time: *const timespec, left: *mut timespec) -> c_int {
        if clock == libc::CLOCK_THREAD_CPUTIME_ID {
            return libc::EINVAL;
        }
        -syscall_raw!(SYS_clock_nanosleep, clock, flags, time, left) as c_int
    }

    fn wait(status: *mut c_int) -> libc::pid_t { int(syscall_raw!(SYS_wait4, -1isize, status, 0, 0)) }
    fn waitpid(pid: libc::pid_t, status: *mut c_int, options: c_int) -> libc::pid_t {
        int(syscall_raw!(SYS_wait4, pid, status, options, 0))
    }
    fn wait3(status: *mut c_int, options: c_int, usage: *mut libc::rusage) -> libc::pid_t {
        int(syscall_raw!(SYS_wait4, -1isize, status, options, usage))
    }
    fn wait4(pid: libc::pid_t, status: *mut c_int, options: c_int, usage: *mut libc::rusage) -> libc::pid_t {
        int(syscall_raw!(SYS_wait4, pid, status, options, usage))
    }
    fn waitid(kind: libc::idtype_t, id: libc::id_t, info: *mut libc::siginfo_t, options: c_int) -> c_int {
        int(syscall_raw!(SYS_waitid, kind, id, info, options, 0))
    }

    fn sigtimedwait(set: *const sigset_t, info: *mut libc::siginfo_t, timeout: *const timespec) -> c_int {
        let word = syscall_raw!(SYS_rt_sigtimedwait, set, info, timeout, KERNEL_SIGSET);
        if word > 0 && !info.is_null() && (*info).si_code == libc::SI_TKILL {
            (*info).si_code = libc::SI_USER;
        }
        int(word)
    }
    fn sigwaitinfo(set: *const sigset_t, info: *mut libc::siginfo_t) -> c_int {
        sigtimedwait(set, info, ptr::null())
    }
    // Returns the error number itself.
    fn sigwait(set: *const sigset_t, signal: *mut c_int) -> c_int {
        loop {
            let word = syscall_raw!(SYS_rt_sigtimedwait, set, 0, 0, KERNEL_SIGSET);
            if word > 0 {
                *signal = word as c_int;
                return 0;
            }
            if word != -libc::EINTR as isize {
                return -word as c_int;
            }
        }
    }

    fn pause() -> c_int { int(syscall_raw!(SYS_ppoll, 0, 0, 0, 0, KERNEL_SIGSET)) }
    fn sigsuspend(mask: *const sigset_t) -> c_int { int(syscall_raw!(SYS_rt_sigsuspend, mask, KERNEL_SIGSET)) }
}
