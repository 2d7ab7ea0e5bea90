// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting for children: dyco_signal_waitchild, waitpid(2), waitid(2) and their kin.
//!
//! The end of one child is told by a pidfd, that of any child by a helper thread (`scheduler::children`). Nothing tells of
//! stops and continuations, of process groups, of clone children (`__WALL`, `__WCLONE`), or of anything where descriptors
//! or threads have run out: then the kernel is asked again and again, at growing intervals of up to [`LONGEST_PAUSE`].

use core::ffi::c_int;

use libc::{id_t, pid_t, rusage, siginfo_t, timespec};

use super::pointers;
use crate::poller::descriptors::{self, flag};
#[cfg(feature = "hook")]
use crate::scheduler::children::kept::{self, Kept};
use crate::scheduler::children::{self, Report, Wanted};
use crate::scheduler::{self, Current};
use crate::sys::clock::{self, Instant, MS, NEVER, deadline_ms};
use crate::sys::{Errno, Result};
use crate::{syscall, syscall_raw};

#[cfg(feature = "hook")]
pub use children::are_claimed;

/// The longest pause between two looks.
const LONGEST_PAUSE: Instant = 16 * MS;

/// The options of wait4(2), and those of waitid(2).
const WAIT4_OPTIONS: c_int = libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED | CLONE_OPTIONS | libc::__WNOTHREAD;
const WAITID_OPTIONS: c_int = WAIT4_OPTIONS | libc::WEXITED | libc::WNOWAIT;
const CLONE_OPTIONS: c_int = libc::__WALL | libc::__WCLONE;
const STATES: c_int = libc::WEXITED | libc::WSTOPPED | libc::WCONTINUED;

/// `dyco_signal_waitchild`: the child that has ended and its status; `None` when the time is up.
pub fn wait_child(pid: pid_t, timeout: c_int) -> Result<Option<(pid_t, c_int)>> {
    let wanted = of_pid(pid, libc::WEXITED)?;
    let deadline = if timeout == 0 { 0 } else { deadline_ms(timeout) };
    with_report(deadline, |report| {
        let told = wait(&wanted, deadline, report)?;
        Ok(told.then(|| (report.pid(), status(report))))
    })
}

/// `wait4`, and so `waitpid` and `wait`; 0: WNOHANG, and there is nothing to tell.
///
/// # Safety
/// As libc's.
pub unsafe fn wait4(pid: pid_t, status_out: *mut c_int, options: c_int, usage: *mut rusage) -> Result<usize> {
    if options & !WAIT4_OPTIONS != 0 {
        return Err(Errno(libc::EINVAL));
    }
    let wanted = of_pid(pid, options & !libc::WNOHANG | libc::WEXITED)?;
    let deadline = deadline(options);
    with_report(deadline, |report| {
        if !wait(&wanted, deadline, report)? {
            return Ok(0);
        }
        // SAFETY: the caller's promise: null or valid.
        unsafe {
            pointers::write(status_out, &status(report))?;
            pointers::write(usage, &report.usage)?;
        }
        Ok(report.pid() as usize)
    })
}

/// `waitid`.
///
/// # Safety
/// As libc's.
pub unsafe fn waitid(kind: libc::idtype_t, id: id_t, info: *mut siginfo_t, options: c_int) -> Result<usize> {
    if options & !WAITID_OPTIONS != 0 || options & STATES == 0 {
        return Err(Errno(libc::EINVAL));
    }
    let deadline = deadline(options);
    with_report(deadline, |report| {
        if !wait(&Wanted { kind, id, options: options & !libc::WNOHANG }, deadline, report)? {
            report.clear();
        }
        // SAFETY: the caller's promise: null or valid.
        unsafe { pointers::write(info, &report.info) }?;
        Ok(0)
    })
}

/// Calls `action`, which waits until `deadline`, with a place for a report: not on the stack of a coroutine that waits, if
/// it can be had elsewhere. Who does not wait may be a signal handler, which must not ask for memory.
fn with_report<T>(deadline: Instant, action: impl FnOnce(&mut Report) -> T) -> T {
    #[cold]
    #[inline(never)]
    fn on_the_stack<T>(action: impl FnOnce(&mut Report) -> T) -> T {
        action(&mut Report::none())
    }
    match scheduler::current().filter(|_| deadline != 0).and_then(Current::report_place) {
        // SAFETY: the coroutine's own, of which one call at a time makes use.
        Some(place) => action(unsafe { &mut *place }),
        None => on_the_stack(action),
    }
}

fn deadline(options: c_int) -> Instant {
    if options & libc::WNOHANG != 0 { 0 } else { NEVER }
}

/// What wait4(2) means by `pid`.
fn of_pid(pid: pid_t, options: c_int) -> Result<Wanted> {
    let (kind, id) = match pid {
        pid_t::MIN => return Err(Errno(libc::ESRCH)),
        -1 => (libc::P_ALL, 0),
        1.. => (libc::P_PID, pid),
        // SAFETY: no preconditions.
        0 => (libc::P_PGID, unsafe { syscall!(SYS_getpgid, 0) }? as pid_t),
        group => (libc::P_PGID, -group),
    };
    Ok(Wanted { kind, id: id as id_t, options })
}

/// A report as the status of wait(2).
fn status(report: &Report) -> c_int {
    // SAFETY: reports are of children.
    let value = unsafe { report.info.si_status() };
    match report.info.si_code {
        libc::CLD_EXITED => (value & 0xff) << 8,
        libc::CLD_KILLED => value & 0x7f,
        libc::CLD_DUMPED => value & 0x7f | 0x80,
        libc::CLD_CONTINUED => 0xffff,
        _ => value << 8 | 0x7f,
    }
}

/// Waits until there is something to tell, which goes into `report`; false when there is nothing until the deadline.
fn wait(wanted: &Wanted, deadline: Instant, report: &mut Report) -> Result<bool> {
    let told = children::take(wanted, report)?;
    if told || deadline == 0 {
        return Ok(told);
    }
    match scheduler::current() {
        Some(current) => park(current, wanted, deadline, report),
        None => block(wanted, deadline, report),
    }
}

/// A coroutine's wait for a child, which ends when this is dropped, or with the coroutine.
struct Wait {
    current: Current,
    pause: Instant,
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.current.end_claim();
    }
}

fn park(current: Current, wanted: &Wanted, deadline: Instant, report: &mut Report) -> Result<bool> {
    if wanted.kind == libc::P_PIDFD && is_nonblocking(wanted.id as c_int) {
        return Err(Errno(libc::EAGAIN));
    }
    current.begin_claim(wanted)?;
    let mut wait = Wait { current, pause: MS };
    wait.prepare(wanted);
    loop {
        let told = current.take_claimed(wanted, report)?;
        if told || deadline <= clock::now() {
            return Ok(told);
        }
        wait.park(wanted, deadline)?;
    }
}

impl Wait {
    /// A pidfd has to be opened before the look that finds the child still there: then it is the child's.
    fn prepare(&self, wanted: &Wanted) {
        if wanted.kind == libc::P_PID {
            self.current.claim_pidfd(|| open_pidfd(wanted.id));
        }
    }

    /// Parks until another look may find something, or the deadline.
    fn park(&mut self, wanted: &Wanted, deadline: Instant) -> Result<()> {
        let only_ends = wanted.options & STATES == libc::WEXITED;
        let until = if only_ends { deadline } else { deadline.min(self.next_look()) };
        let readable = libc::POLLIN as u32;
        let told = match wanted.kind {
            libc::P_PIDFD => return self.current.wait_fd(wanted.id as c_int, readable, until).map(|_| ()),
            // Without a descriptor, or when the program has closed it: ask.
            libc::P_PID => {
                let pidfd = self.current.claim_pidfd(|| -1);
                pidfd.is_some_and(|fd| self.current.wait_fd(fd, readable, until).is_ok())
            }
            libc::P_ALL if wanted.options & CLONE_OPTIONS == 0 => self.current.park_for_any(until).is_ok(),
            _ => false,
        };
        if !told {
            self.current.sleep_until(if only_ends { deadline.min(self.next_look()) } else { until });
        }
        Ok(())
    }

    fn next_look(&mut self) -> Instant {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        clock::after(pause)
    }
}

/// Outside coroutines, the thread waits: for ever in the kernel, else by asking. Not inlined: coroutines have no room for it.
#[inline(never)]
fn block(wanted: &Wanted, deadline: Instant, report: &mut Report) -> Result<bool> {
    let mut pause = MS;
    loop {
        if deadline == NEVER {
            children::wait(wanted)?;
        } else {
            let left = deadline.saturating_sub(clock::now());
            let time = timespec { tv_sec: 0, tv_nsec: left.min(pause) as libc::c_long };
            // SAFETY: the time is valid for the call.
            unsafe { syscall!(SYS_nanosleep, &raw const time, 0) }?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        let told = children::take(wanted, report)?;
        if told || deadline <= clock::now() {
            return Ok(told);
        }
    }
}

/// Waits for the end of a child that the library keeps: its status.
#[cfg(feature = "hook")]
pub fn wait_kept(kept: *mut Kept) -> Result<c_int> {
    // SAFETY: the caller's child, until it lets it go.
    let wanted = unsafe { kept::wanted(kept)? };
    with_report(NEVER, |report| {
        loop {
            match wait(&wanted, NEVER, report) {
                Ok(true) => return Ok(status(report)),
                Ok(false) | Err(Errno(libc::EINTR)) => {}
                // SAFETY: as above. Somebody else has reaped it.
                Err(Errno(libc::ECHILD)) if unsafe { kept::report(kept, report) } => return Ok(status(report)),
                Err(error) => return Err(error),
            }
        }
    })
}

/// A pidfd, or -1.
fn open_pidfd(pid: id_t) -> c_int {
    // SAFETY: no pointers. Every pidfd is closed on exec.
    match unsafe { syscall!(SYS_pidfd_open, pid, 0) } {
        Ok(fd) => {
            descriptors::born(fd as c_int, flag::INTERNAL);
            fd as c_int
        }
        Err(_) => -1,
    }
}

fn is_nonblocking(fd: c_int) -> bool {
    // SAFETY: no pointers.
    let flags = unsafe { syscall_raw!(SYS_fcntl, fd, libc::F_GETFL) };
    flags >= 0 && flags as c_int & libc::O_NONBLOCK != 0
}
