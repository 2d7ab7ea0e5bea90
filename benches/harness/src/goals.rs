// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the library is to reach, and whether it does.

use std::fmt::Write;

use crate::data::Data;
use crate::run::threads_name;

const EPOLL: &str = "plain epoll";
const URING: &str = "plain io_uring";
const OWN: &str = "libdyco, own stacks";
const SHARED: &str = "libdyco, shared stacks";
const OWN_RING: &str = "libdyco, own stacks, io_uring";
const SHARED_RING: &str = "libdyco, shared stacks, io_uring";
const CALLS: &str = "libdyco, own stacks, dyco_* names";
const CPU: &str = "CPU us/request";
const CONNECTIONS: [&str; 4] = ["10", "100", "1000", "10000"];

struct Table {
    text: String,
    met: usize,
    all: usize,
}

impl Table {
    fn add(&mut self, goal: &str, limit: f64, measured: Option<f64>, at_least: bool) {
        let Some(measured) = measured else { return };
        let met = if at_least { measured >= limit } else { measured <= limit };
        self.all += 1;
        self.met += usize::from(met);
        let digits = if limit >= 100.0 { 0 } else { 3 - usize::from(limit >= 10.0) };
        let bound = if at_least { "≥" } else { "≤" };
        let word = if met { "yes" } else { "**no**" };
        writeln!(self.text, "| {goal} | {bound} {limit} | {measured:.digits$} | {word} |").unwrap();
    }

    fn most(&mut self, goal: &str, limit: f64, measured: Option<f64>) {
        self.add(goal, limit, measured, false);
    }

    fn least(&mut self, goal: &str, limit: f64, measured: Option<f64>) {
        self.add(goal, limit, measured, true);
    }
}

/// The table, and how many are met of how many.
pub fn table(data: &Data) -> (String, usize, usize) {
    let mut t = Table { text: String::new(), met: 0, all: 0 };
    echo(&mut t, data);
    alone(&mut t, data);
    t.text.insert_str(0, "| goal | limit | measured | met |\n| --- | --- | --- | --- |\n");
    (t.text, t.met, t.all)
}

fn echo(t: &mut Table, data: &Data) {
    for n in CONNECTIONS {
        let ratio = |row, to| data.ratio("echo", n, row, to, CPU);
        let calls = |row| data.median("echo", n, row, "calls/request");
        let per = |what: &str, row: &str| format!("echo, {n} connections, {}: {what}", &row["libdyco, ".len()..]);
        for row in [OWN, SHARED] {
            t.most(&per("server CPU per request / plain epoll", row), 1.05, ratio(row, EPOLL));
            let more = calls(row).zip(calls(EPOLL)).map(|(mine, theirs)| mine - theirs);
            t.most(&per("system calls per request more than plain epoll", row), 0.05, more);
        }
        for row in [OWN_RING, SHARED_RING] {
            t.most(&per("server CPU per request / plain epoll", row), 0.97, ratio(row, EPOLL));
            t.most(&per("server CPU per request / plain io_uring", row), 1.05, ratio(row, URING));
            t.most(&per("system calls per request", row), 0.35, calls(row));
        }
        t.most(&per("hooked names / dyco_* names, server CPU per request", OWN), 1.02, ratio(OWN, CALLS));
        for row in [OWN, SHARED, OWN_RING, SHARED_RING] {
            let share = data.median("echo", n, row, "slowest/fastest");
            t.least(&per("requests of the slowest / of the fastest connection", row), 0.5, share);
        }
    }
    for n in ["100", "1000"] {
        for row in [OWN, SHARED, OWN_RING, SHARED_RING] {
            let goal = format!("short sessions, {n} at a time, {}: CPU / plain epoll", &row["libdyco, ".len()..]);
            t.most(&goal, 1.10, data.ratio("session", n, row, EPOLL, CPU));
        }
    }
    for n in ["10", "100", "1000"] {
        for row in [OWN, SHARED, OWN_RING] {
            let goal = format!("TLS echo, {n} connections, {}: CPU / plain epoll", &row["libdyco, ".len()..]);
            t.most(&goal, 1.05, data.ratio("tls", n, row, "plain epoll + OpenSSL", CPU));
        }
    }
    for row in [OWN, SHARED, OWN_RING] {
        let (one, two) = (threads_name(row, 1), threads_name(row, 2));
        let ratio = data.ratio("threads", "500", &one, &two, "CPU us/request");
        let goal = format!("echo, 2 threads: 2 × CPU per request of 1 / of 2, {}", &row["libdyco, ".len()..]);
        t.least(&goal, 1.8, ratio.map(|ratio| 2.0 * ratio));
    }
}

fn alone(t: &mut Table, data: &Data) {
    let best = |section: &str, case: &str, row: &str| data.least(section, case, row, "best ns");
    let over = |mine: Option<f64>, theirs: Option<f64>| mine.zip(theirs).map(|(mine, theirs)| mine / theirs);

    let switch = best("switch", "resume or yield", "libdyco, resumed by a coroutine");
    let fcontext = best("switch", "resume or yield", "Boost.Context, fcontext");
    t.most("asymmetric switch / Boost fcontext", 1.3, over(switch, fcontext));
    t.most("asymmetric switch, ns (the aim)", 10.0, switch);
    for (n, limit) in [("2", 12.0), ("1000", 12.0), ("100000", 45.0)] {
        t.most(&format!("yield, {n} coroutines, own stacks, ns"), limit, best("yield", n, OWN));
    }
    for n in ["2", "8"] {
        let ratio = over(best("yield", n, SHARED), best("yield", n, OWN));
        t.most(&format!("yield, {n} coroutines, shared / own stacks"), 1.5, ratio);
    }
    t.most("create + finish, own stack, ns", 60.0, best("create", "create + finish", OWN));
    t.most("create + finish, from a pool, ns", 40.0, best("create", "create + finish", "libdyco, from a pool"));
    for row in [OWN, SHARED] {
        let stacks = &row["libdyco, ".len()..];
        t.most(&format!("channel message, in turn, {stacks}, ns"), 40.0, best("sync", "ping-pong", row));
        t.most(&format!("channel message, one way, {stacks}, ns"), 40.0, best("sync", "stream", row));
        t.most(&format!("semaphore hand-over, {stacks}, ns"), 30.0, best("sync", "hand-over", row));
    }
    let bytes = |row| data.median("crowd", "1000000", row, "bytes");
    t.most("bytes per parked coroutine of 1,000,000, shared stacks, page tables included", 700.0, bytes(SHARED));
    t.most("bytes per parked coroutine of 1,000,000, own stacks, page tables included", 4250.0, bytes(OWN));
    let resident = data.median("echo", "10000", SHARED, "resident MB");
    t.most("echo server with 10,000 connections, 1 KiB on each shared stack, MB", 20.0, resident);
    for row in [OWN, SHARED, OWN_RING] {
        let stacks = &row["libdyco, ".len()..];
        let of = |case, figure| data.median("timers", case, row, figure);
        t.most(&format!("100,000 timers, {stacks}: CPU us per wake-up"), 1.2, of("100000", "CPU us/wake-up"));
        t.most(&format!("100,000 timers, {stacks}: late by, p99, ms"), 2.0, of("100000", "late p99 ms"));
        t.most(&format!("1,000 timers, {stacks}: late by, p99, ms"), 0.3, of("1000", "late p99 ms"));
        t.most(&format!("1,000 timers, {stacks}: CPU s in 5 s"), 0.2, of("1000", "CPU s"));
    }
}
