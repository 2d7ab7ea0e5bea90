// SPDX-License-Identifier: MIT OR Apache-2.0
//! The report of a deadlock: one line on stderr that names who waits.

use super::Scheduler;
use crate::sys::message::Line;

/// How many coroutines the line names.
const NAMED: usize = 8;

/// Reports that every coroutine left waits for something that nothing can signal.
pub fn report(scheduler: &mut Scheduler) {
    let live = scheduler.coroutines.live();
    let mut line = Line::new();
    line.text("libdyco: deadlock: nothing can wake the ").number(live as u64).text(" coroutines left: ");
    let mut named = 0;
    scheduler.coroutines.for_each(&mut |coroutine| {
        if named < NAMED {
            line.text(if named == 0 { "" } else { ", " });
            // SAFETY: the table holds live coroutines.
            unsafe {
                line.number((*coroutine).cid as u64);
                line.text(" (function ").hex((*(*coroutine).rest).entry.map_or(0, |entry| entry as usize)).text(")");
            }
        }
        named += 1;
    });
    if named > NAMED {
        line.text(", …");
    }
    line.print();
}
