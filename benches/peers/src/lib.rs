// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the contestants in Rust share: common/bench.h and timers/storm.h once more.

use std::sync::Mutex;
use std::time::{Duration, Instant};

const BATCHES: usize = 21;
const BATCH_NS: u64 = 5_000_000;
const PATIENCE_NS: u64 = 1_000_000_000;

/// The process's CPU time.
pub fn cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid place for the result.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) }, 0);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

pub fn figure(name: &str, value: f64) {
    println!("{name} {value:.4}");
}

/// The batches of a measurement: `while let Some(loops) = batches.next() { do it loops times }`. A loop rather than a
/// closure, so that the work may await.
pub struct Batches {
    per_loop: f64,
    loops: u64,
    begin: Option<u64>,
    sum: u64,
    calibrated: bool,
    each: Vec<f64>,
}

impl Batches {
    pub fn new(per_loop: usize) -> Batches {
        Batches { per_loop: per_loop as f64, loops: 1, begin: None, sum: 0, calibrated: false, each: Vec::new() }
    }

    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<u64> {
        if let Some(begin) = self.begin {
            let ns = cpu_ns() - begin;
            self.sum += ns;
            if self.calibrated {
                self.each.push(ns as f64 / self.loops as f64 / self.per_loop);
            } else if ns < BATCH_NS / 4 {
                self.loops *= 2;
            } else {
                self.loops = 1 + self.loops * BATCH_NS / ns;
                self.calibrated = true;
            }
        }
        let enough = self.each.len() == BATCHES || self.sum > PATIENCE_NS;
        if enough && self.each.len() >= 3 {
            self.each.sort_by(f64::total_cmp);
            figure("best ns", self.each[0]);
            figure("median ns", self.each[self.each.len() / 2]);
            return None;
        }
        self.begin = Some(cpu_ns());
        Some(self.loops)
    }
}

/// Resident bytes and page tables of this process.
pub fn resident() -> f64 {
    let sum = |path: &str, name: &str| -> f64 {
        let text = std::fs::read_to_string(path).unwrap();
        let kib =
            text.lines().filter_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<f64>().ok());
        kib.sum::<f64>() * 1024.0
    };
    sum("/proc/self/smaps_rollup", "Rss:") + sum("/proc/self/status", "VmPTE:")
}

/// Kills this process when the harness ends.
pub fn end_with_parent() {
    // SAFETY: no memory is passed.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

/// Numbers on the command line.
pub fn argument(index: usize) -> usize {
    std::env::args().nth(index).unwrap().parse().unwrap()
}

/// See timers/storm.h.
pub struct Storm {
    begin: Instant,
    end: Instant,
    late: Mutex<(Vec<u32>, u64)>,
}

pub struct Sleeper {
    due: Option<Instant>,
    random: u32,
}

impl Sleeper {
    pub fn new(index: usize) -> Sleeper {
        Sleeper { due: None, random: index as u32 }
    }
}

impl Storm {
    pub fn new(seconds: usize) -> Storm {
        let begin = Instant::now() + Duration::from_secs(1);
        Storm { begin, end: begin + Duration::from_secs(seconds as u64), late: Mutex::default() }
    }

    /// How long to sleep next. Ends the process when it is time.
    pub fn next(&self, sleeper: &mut Sleeper) -> Duration {
        let now = Instant::now();
        if now >= self.begin {
            let mut late = self.late.lock().unwrap();
            if late.1 == 0 {
                late.1 = cpu_ns();
            }
            if let Some(due) = sleeper.due.filter(|due| *due >= self.begin) {
                late.0.push((now.saturating_duration_since(due).as_nanos() / 100) as u32);
            }
            if now >= self.end {
                let cpu = (cpu_ns() - late.1) as f64;
                let count = late.0.len();
                figure("CPU s", cpu / 1e9);
                figure("CPU us/wake-up", cpu / 1e3 / count as f64);
                late.0.sort_unstable();
                figure("late p50 ms", f64::from(late.0[count / 2]) / 1e4);
                figure("late p99 ms", f64::from(late.0[count * 99 / 100]) / 1e4);
                std::process::exit(0);
            }
        }
        sleeper.random = sleeper.random.wrapping_mul(1664525).wrapping_add(1013904223);
        let time = Duration::from_millis(u64::from(1 + (sleeper.random >> 8) % 1000));
        sleeper.due = Some(now + time);
        time
    }
}

/// Runs `work` as a coroutine of may, on its one worker thread, with room to print.
pub fn in_may(stack_words: usize, work: impl FnOnce() + Send + 'static) {
    may::config().set_workers(1).set_stack_size(stack_words).set_pool_capacity(1000);
    let first = may::coroutine::Builder::new().stack_size(0x10000);
    // SAFETY: the stack is large.
    let all = unsafe { first.spawn(work) }.unwrap();
    all.join().unwrap();
}
