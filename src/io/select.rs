// SPDX-License-Identifier: MIT OR Apache-2.0
//! select(2) and pselect(2). The kernel overwrites the sets it is given, so the program's are copied before each question,
//! and put back when nothing is ready.

use core::ffi::c_int;
use core::slice;

use libc::{POLLIN, POLLOUT, POLLPRI, fd_set, sigset_t, timespec, timeval};

use super::level::{self, Limit};
use super::pointers;
use super::signal_mask::{SignalMask, Signals};
use crate::scheduler::{Current, Wake};
use crate::sys::clock::{self, Instant, NEVER, SECOND};
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
    // SAFETY: plain data.
    let Some(time) = (unsafe { pointers::read_any(timeout.cast_const()) })? else {
        // SAFETY: the caller's promise.
        return unsafe { wait(current, count, sets, None, SignalMask::none()) };
    };
    if time.tv_sec < 0 || time.tv_usec < 0 {
        return Err(Errno(libc::EINVAL));
    }
    let limit = clock::of_timeval(&time);
    let deadline = clock::after(limit);
    // SAFETY: as above.
    let result = unsafe { wait(current, count, sets, Some(limit), SignalMask::none()) };
    if deadline != NEVER {
        let left = deadline.saturating_sub(clock::now());
        let left = timeval { tv_sec: (left / SECOND) as i64, tv_usec: (left % SECOND / 1000) as i64 };
        // As Linux, which does not mind a time that can only be read.
        // SAFETY: the caller's promise.
        let _ = unsafe { pointers::write(timeout, &left) };
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
    unsafe { wait(current, count, sets, level::limit(timeout)?, SignalMask::new(mask)?) }
}

unsafe fn wait(current: Current, count: c_int, sets: Sets, limit: Limit, mask: SignalMask) -> Result<usize> {
    // SAFETY: the caller's promise.
    let selection = unsafe { Selection::new(sets, count) }?;
    let ready =
        level::wait(limit, mask, || selection.ask(), |signals, deadline| selection.park(current, signals, deadline))?;
    if ready == 0 {
        selection.each_word(|_, _, word| *word = 0);
    }
    Ok(ready)
}

/// The program's sets, as words.
struct Selection {
    sets: [*mut u64; 3],
    count: c_int,
    words: usize,
}

impl Selection {
    /// # Safety
    /// Each set is null or has `count` bits, while the selection lives.
    unsafe fn new(sets: Sets, count: c_int) -> Result<Selection> {
        let words = usize::try_from(count).map_err(|_| Errno(libc::EINVAL))?.div_ceil(BITS);
        let sets = sets.map(|set| set.cast());
        if words <= FD_SET {
            return Selection { sets, count, words }.if_there();
        }
        // Programs pass a count of all that could be open together with sets of the usual size. The kernel looks no
        // further than the process's table of descriptors, and so do we.
        let words = looked_at(words)?;
        Selection { sets, count: count.min(c_int::try_from(words * BITS).unwrap_or(count)), words }.if_there()
    }

    /// EFAULT when one of the sets is not there. That they can be written is seen when the kernel does so.
    fn if_there(self) -> Result<Selection> {
        for set in self.sets.iter().filter(|set| !set.is_null()) {
            pointers::check_readable(set.cast(), self.words * size_of::<u64>())?;
        }
        Ok(self)
    }

    /// What is ready now. When nothing is, the sets are as before: nothing else has to be kept while the coroutine waits.
    fn ask(&self) -> Result<usize> {
        if self.words <= FD_SET {
            return self.ask_small();
        }
        let copies = memory::array_zeroed::<u64>(3 * self.words)?.as_ptr();
        // SAFETY: `copies` is zeroed, ours, and has room for as many.
        unsafe {
            let ready = self.ask_with(slice::from_raw_parts_mut(copies, 3 * self.words));
            memory::free(copies);
            ready
        }
    }

    /// Its large frame is gone when the coroutine waits.
    #[inline(never)]
    fn ask_small(&self) -> Result<usize> {
        self.ask_with(&mut [0; 3 * FD_SET])
    }

    /// With room for copies of the sets, one after the other.
    fn ask_with(&self, copies: &mut [u64]) -> Result<usize> {
        self.each_word(|which, index, word| copies[which * self.words + index] = *word);
        let ready = self.look()?;
        if ready == 0 {
            self.each_word(|which, index, word| *word = copies[which * self.words + index]);
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

    /// Visits each word of each set there is.
    fn each_word(&self, mut visit: impl FnMut(usize, usize, &mut u64)) {
        for (which, set) in self.sets.iter().enumerate().filter(|(_, set)| !set.is_null()) {
            for index in 0..self.words {
                // SAFETY: the promise made to `new`.
                visit(which, index, unsafe { &mut *set.add(index) });
            }
        }
    }

    /// The word of each set; 0 of one that is absent.
    fn word(&self, index: usize) -> [u64; 3] {
        // SAFETY: the promise made to `new`; `index` is below `words`.
        self.sets.map(|set| if set.is_null() { 0 } else { unsafe { *set.add(index) } })
    }

    fn park(&self, current: Current, signals: &Signals, deadline: Instant) -> Result<Wake> {
        let any = |index: usize| self.word(index).iter().fold(0, |all, word| all | word);
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
            let events = self.word(index).into_iter().zip(EVENTS).filter(|(word, _)| word >> bit & 1 != 0);
            ((index * BITS) as c_int + bit as c_int, events.fold(0, |all, (_, events)| all | events))
        };
        current.wait_fds(count + signals.count(), &mut each, deadline)
    }
}

/// How many words of a set the kernel looks at, of so many: as many as its table of descriptors has room for. It tells itself,
/// without /proc and without a free descriptor, which a program at its limit has not got.
fn looked_at(words: usize) -> Result<usize> {
    let mut room = FD_SET;
    loop {
        room = (2 * room).min(words);
        // The kernel reads no more of the set than it looks at; so most of what is only room is never touched.
        let set = memory::array_zeroed::<u64>(room)?.as_ptr();
        // SAFETY: `set` is zeroed, ours, and has room for as many.
        let found = unsafe {
            let all = slice::from_raw_parts_mut(set, room);
            let (mut begin, mut end) = (0, if is_looked_at(all, room - 1) { 0 } else { room });
            while begin < end {
                let middle = begin.midpoint(end);
                if is_looked_at(all, middle) { begin = middle + 1 } else { end = middle }
            }
            memory::free(set);
            end
        };
        if found > 0 {
            return Ok(found);
        }
        if room == words {
            return Ok(words);
        }
    }
}

/// Whether the kernel looks at a word of a set, which is zero. A bit in it is of no descriptor then, of a ready one, or taken
/// back.
fn is_looked_at(set: &mut [u64], word: usize) -> bool {
    set[word] = 1;
    let count = word * BITS + 1;
    loop {
        // The kernel writes what is left of it.
        let mut zero = timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: a set of `count` bits and a time, both valid for the call.
        let answer = unsafe { syscall!(SYS_pselect6, count, set.as_mut_ptr(), 0, 0, &raw mut zero, 0) };
        if answer != Err(Errno(libc::EINTR)) {
            return core::mem::take(&mut set[word]) == 0 || answer != Ok(0);
        }
    }
}
