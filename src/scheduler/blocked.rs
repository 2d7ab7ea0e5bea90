// SPDX-License-Identifier: MIT OR Apache-2.0
//! Telling what has held up a thread although its coroutines could have run: with the environment variable DYCO_BLOCKED_MS,
//! a line on stderr for each hooked call that did, and for each coroutine that kept the thread for so long between two
//! switches. Every switch then goes by the loop, which looks at the clock.

// Without the hooks there are no calls to watch.
#![cfg_attr(not(feature = "hook"), allow(dead_code))]

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use libc::c_int;

use super::{Scheduler, this};
use crate::sys::clock::{self, Instant, MS};
use crate::sys::environment;
use crate::sys::message::Line;

/// What is too long, in nanoseconds; 0: nobody wants to know.
static LIMIT: AtomicU64 = AtomicU64::new(0);

#[used]
#[unsafe(link_section = ".init_array")]
static READ_LIMIT: extern "C" fn() = read_limit;

extern "C" fn read_limit() {
    let ms = environment::number(c"DYCO_BLOCKED_MS", 1, c_int::MAX).unwrap_or(0);
    LIMIT.store(ms as Instant * MS, Relaxed);
}

/// Whether somebody wants to know.
#[inline(always)]
pub(super) fn is_on() -> bool {
    LIMIT.load(Relaxed) != 0
}

/// Makes a hooked call, and tells if it holds up the thread.
#[inline(always)]
pub fn watched<T>(name: &'static str, call: impl FnOnce() -> T) -> T {
    if is_on() { watch(name, call) } else { call() }
}

#[cold]
#[inline(never)]
fn watch<T>(name: &'static str, call: impl FnOnce() -> T) -> T {
    // SAFETY: this thread's scheduler and its running coroutine are valid.
    let switches = this().map_or(0, |s| unsafe { (*s.as_ptr()).running.as_ref().map_or(0, |me| me.switches) });
    let watch = Watch { name, began: clock::now(), switches };
    let result = call();
    watch.end();
    result
}

/// A hooked call.
struct Watch {
    name: &'static str,
    began: Instant,
    switches: u32,
}

impl Watch {
    fn end(&self) {
        let took = clock::now().saturating_sub(self.began);
        let Some(scheduler) = this() else { return };
        // SAFETY: this thread's scheduler and its running coroutine are valid.
        unsafe {
            let s = &mut *scheduler.as_ptr();
            if took <= LIMIT.load(Relaxed) || s.coroutines.live() == 0 {
                return;
            }
            let mut line = Line::new();
            line.text("libdyco: ").text(self.name).text("() held up its thread for ").number(took / MS).text(" ms");
            match s.running.as_ref() {
                // It has parked: others could run.
                Some(me) if me.switches != self.switches => return,
                Some(me) => {
                    s.told_blocked = s.told_blocked.saturating_add(took);
                    line.text(" in coroutine ").number(me.cid as u64)
                }
                None => line.text(" outside coroutines, of which there are ").number(s.coroutines.live() as u64),
            };
            line.print();
        }
    }
}

impl Scheduler {
    /// A coroutine has had the thread since `began`; what its hooked calls have told already is not told again.
    #[cold]
    pub(super) fn tell_kept(&mut self, cid: i32, began: Instant) {
        let took = clock::now().saturating_sub(began);
        let told = core::mem::replace(&mut self.told_blocked, 0);
        if took.saturating_sub(told) > LIMIT.load(Relaxed) {
            let mut line = Line::new();
            line.text("libdyco: coroutine ").number(cid as u64).text(" kept its thread for ").number(took / MS);
            line.text(" ms without waiting in the library").print();
        }
    }
}
