// SPDX-License-Identifier: MIT OR Apache-2.0
//! select(2) and pselect(2). The kernel overwrites the sets it is given, so the program's are copied first, and put back
//! when nothing is ready.

use core::cell::Cell;
use core::ffi::c_int;
use core::{ptr, slice};

use libc::{POLLIN, POLLOUT, POLLPRI, fd_set, sigset_t, timespec, timeval};

use super::level::{self, Limit};
use super::signal_mask::{SignalMask, Signals};
use crate::scheduler::{Current, Wake};
use crate::sys::clock::{self, Instant, NEVER};
use crate::sys::{Errno, Result, memory};
use crate::syscall;

/// The program's sets of descriptors to read, to write, and with exceptional conditions; null for none.
pub type Sets = [*mut fd_set; 3];

const EVENTS: [u32; 3] = [POLLIN as u32, POLLOUT as u32, POLLPRI as u32];
const BITS: usize = u64::BITS as usize;
/// The words of an `fd_set`.
const FD_SET: usize = size_of::<fd_set>() / size_of::<u64>();

/// `select` inside a coroutine. Writes what is left to `timeout`, as Linux does.
///
/// # Safety
/// As libc's.
pub unsafe fn select(current: Current, count: c_int, sets: Sets, timeout: *mut timeval) -> Result<usize> {
    // SAFETY: the caller's promise.
    let Some(timeout) = (unsafe { timeout.as_mut() }) else {
        // SAFETY: as above.
        return unsafe { wait(current, count, sets, None, SignalMask::none()) };
    };
    if timeout.tv_sec < 0 || timeout.tv_usec < 0 {
        return Err(Errno(libc::EINVAL));
    }
    let limit = (timeout.tv_sec as u64)
        .saturating_mul(1_000_000_000)
        .saturating_add((timeout.tv_usec as u64).saturating_mul(1000));
    let deadline = clock::after(limit);
    // SAFETY: as above.
    let result = unsafe { wait(current, count, sets, Some(limit), SignalMask::none()) };
    if deadline != NEVER {
        let left = deadline.saturating_sub(clock::now());
        *timeout = timeval { tv_sec: (left / 1_000_000_000) as i64, tv_usec: (left % 1_000_000_000 / 1000) as i64 };
    }
    result
}

/// `pselect` inside a coroutine.
///
/// # Safety
/// As libc's.
pub unsafe fn pselect(
    current: Current,
    count: c_int,
    sets: Sets,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> Result<usize> {
    // SAFETY: the caller's promise.
    unsafe { wait(current, count, sets, level::limit(timeout)?, SignalMask::new(mask)) }
}

unsafe fn wait(current: Current, count: c_int, sets: Sets, limit: Limit, mask: SignalMask) -> Result<usize> {
    // SAFETY: the caller's promise.
    let selection = unsafe { Selection::new(sets, count) }?;
    let ready =
        level::wait(limit, mask, || selection.ask(), |signals, deadline| selection.park(current, signals, deadline))?;
    if ready == 0 {
        selection.overwrite(|_| 0);
    }
    Ok(ready)
}

/// The program's sets, and on the heap copies of them one after the other; an absent set has an empty copy.
struct Selection {
    sets: [*mut u64; 3],
    count: c_int,
    words: usize,
    /// Null before the first wait; until then small sets are copied into a frame.
    copies: Cell<*mut u64>,
}

impl Selection {
    /// # Safety
    /// Each set is null or has `count` bits, while the selection lives.
    unsafe fn new(sets: Sets, count: c_int) -> Result<Selection> {
        let words = usize::try_from(count).map_err(|_| Errno(libc::EINVAL))?.div_ceil(BITS);
        let sets = sets.map(|set| set.cast());
        let mut selection = Selection { sets, count, words, copies: Cell::new(ptr::null_mut()) };
        if words > FD_SET {
            // Programs pass a count of all that could be open together with sets of the usual size. The kernel looks no
            // further than the process's table of descriptors, and so do we.
            selection.words = words.min(table_size().div_ceil(BITS));
            selection.count = count.min((selection.words * BITS) as c_int);
            selection.make_copies()?;
        }
        Ok(selection)
    }

    fn make_copies(&self) -> Result<()> {
        let copies = memory::array_zeroed(3 * self.words.max(1))?.as_ptr();
        // SAFETY: fresh memory, zeroed, with room for as many.
        self.save(unsafe { slice::from_raw_parts_mut(copies, 3 * self.words) });
        self.copies.set(copies);
        Ok(())
    }

    /// The copies that `make_copies` has made; they do not change.
    fn copies(&self) -> &[u64] {
        // SAFETY: they are as long as three sets, and ours until we are dropped.
        unsafe { slice::from_raw_parts(self.copies.get(), 3 * self.words) }
    }

    fn save(&self, copies: &mut [u64]) {
        for (which, set) in self.sets.iter().enumerate().filter(|(_, set)| !set.is_null()) {
            // SAFETY: the promise made to `new`; `copies` is three sets long, and elsewhere.
            unsafe { ptr::copy_nonoverlapping(*set, copies[which * self.words..].as_mut_ptr(), self.words) };
        }
    }

    /// What is ready now; the sets are put back when nothing is.
    fn ask(&self) -> Result<usize> {
        if self.copies.get().is_null() {
            return self.ask_first();
        }
        let ready = self.look()?;
        if ready == 0 {
            self.overwrite(|index| self.copies()[index]);
        }
        Ok(ready)
    }

    /// As `ask`, before there are copies. Its large frame is gone when the coroutine waits.
    #[inline(never)]
    fn ask_first(&self) -> Result<usize> {
        let mut copies = [0; 3 * FD_SET];
        self.save(&mut copies);
        let ready = self.look()?;
        if ready == 0 {
            self.overwrite(|index| copies[index]);
        }
        Ok(ready)
    }

    /// What is ready now. The kernel overwrites the sets, unless it fails. A signal handler that happens to run is no
    /// answer.
    fn look(&self) -> Result<usize> {
        let [reads, writes, exceptions] = self.sets;
        loop {
            // The kernel writes what is left of it.
            let mut zero = timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: the promise made to `new`; `zero` is valid for the call.
            match unsafe { syscall!(SYS_pselect6, self.count, reads, writes, exceptions, &raw mut zero, 0) } {
                Err(Errno(libc::EINTR)) => {}
                answer => return answer,
            }
        }
    }

    /// Writes `word` of its index in `copies` to each word of the program's sets.
    fn overwrite(&self, word: impl Fn(usize) -> u64) {
        for (which, set) in self.sets.iter().enumerate().filter(|(_, set)| !set.is_null()) {
            for index in 0..self.words {
                // SAFETY: the promise made to `new`.
                unsafe { set.add(index).write(word(which * self.words + index)) };
            }
        }
    }

    fn park(&self, current: Current, signals: &Signals, deadline: Instant) -> Result<Wake> {
        if self.copies.get().is_null() {
            self.make_copies()?;
        }
        let copies = self.copies();
        let asked = |index: usize| [0, 1, 2].map(|which| copies[which * self.words + index]);
        let any = |index: usize| asked(index).iter().fold(0, |all, word| all | word);
        let count: usize = (0..self.words).map(|index| any(index).count_ones() as usize).sum();
        // Each descriptor in turn: the word it is in, and those of this word that are still to come.
        let (mut index, mut rest) = (0, if self.words == 0 { 0 } else { any(0) });
        let mut each = |turn: usize| {
            if turn == count {
                return signals.event();
            }
            while rest == 0 {
                index += 1;
                rest = any(index);
            }
            let bit = rest.trailing_zeros();
            rest &= rest - 1;
            let events = asked(index).into_iter().zip(EVENTS).filter(|(word, _)| word >> bit & 1 != 0);
            ((index * BITS) as c_int + bit as c_int, events.fold(0, |all, (_, events)| all | events))
        };
        current.wait_fds(count + signals.count(), &mut each, deadline)
    }
}

impl Drop for Selection {
    fn drop(&mut self) {
        // SAFETY: null or ours.
        unsafe { memory::free(self.copies.get()) };
    }
}

/// How many descriptors the kernel's table has room for; all there can be when it does not tell.
fn table_size() -> usize {
    const TOLD: &[u8] = b"\nFDSize:\t";
    let Ok(memory) = memory::array_zeroed::<[u8; 512]>(1) else { return usize::MAX };
    // SAFETY: `memory` is ours and zeroed; the path is a C string; the descriptor is closed before anybody sees it.
    unsafe {
        let mut size = usize::MAX;
        if let Ok(fd) = syscall!(SYS_openat, libc::AT_FDCWD, c"/proc/thread-self/status".as_ptr(), libc::O_CLOEXEC) {
            let _ = syscall!(SYS_read, fd, memory.as_ptr(), 512);
            let _ = syscall!(SYS_close, fd);
            let text = memory.as_ref();
            if let Some(start) = text.windows(TOLD.len()).position(|window| window == TOLD) {
                let digits = text[start + TOLD.len()..].iter().take_while(|byte| byte.is_ascii_digit());
                size = digits.fold(0, |size, digit| size * 10 + usize::from(digit - b'0'));
            }
        }
        memory::free(memory.as_ptr());
        size
    }
}
