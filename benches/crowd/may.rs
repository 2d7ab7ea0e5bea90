// SPDX-License-Identifier: MIT OR Apache-2.0
//! crowd_may COUNT: as crowd/dyco.c, once, on one worker thread. Who gives way is first again, so the last one wakes who
//! waits for all.
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use dyco_bench_peers::{argument, cpu_ns, figure, in_may, resident};
use may::sync::Semphore;

static ARRIVED: AtomicUsize = AtomicUsize::new(0);
static GONE: AtomicUsize = AtomicUsize::new(0);

fn main() {
    let count = argument(1);
    in_may(0x800, move || {
        let gate: &'static Semphore = Box::leak(Box::new(Semphore::new(0)));
        let all: &'static Semphore = Box::leak(Box::new(Semphore::new(0)));
        let before = resident();
        let begin = cpu_ns();
        for _ in 0..count {
            // SAFETY: uses little of its stack.
            unsafe {
                may::coroutine::spawn(move || {
                    if ARRIVED.fetch_add(1, Relaxed) == count - 1 {
                        all.post();
                    }
                    gate.wait();
                    if GONE.fetch_add(1, Relaxed) == count - 1 {
                        all.post();
                    }
                })
            };
        }
        let created = cpu_ns();
        all.wait();
        figure("create ns", (created - begin) as f64 / count as f64);
        figure("wait ns", (cpu_ns() - created) as f64 / count as f64);
        figure("bytes", (resident() - before) / count as f64);
        let begin = cpu_ns();
        for _ in 0..count {
            gate.post();
        }
        all.wait();
        figure("wake and end ns", (cpu_ns() - begin) as f64 / count as f64);
        std::process::exit(0);
    });
}
