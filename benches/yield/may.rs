// SPDX-License-Identifier: MIT OR Apache-2.0
//! yield_may COUNT: as yield/dyco.c, on one worker thread. All turns are counted, for they are not taken in order.
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use dyco_bench_peers::{Batches, argument, in_may};
use may::coroutine::yield_now;

static TURNS: AtomicU64 = AtomicU64::new(0);

fn turn() {
    TURNS.store(TURNS.load(Relaxed) + 1, Relaxed);
    yield_now();
}

fn main() {
    let count = argument(1);
    in_may(0x800, move || {
        for _ in 1..count {
            // SAFETY: uses little of its stack.
            unsafe {
                may::coroutine::spawn(|| {
                    loop {
                        turn();
                    }
                })
            };
        }
        let mut batches = Batches::new(count);
        while let Some(loops) = batches.next() {
            let end = TURNS.load(Relaxed) + loops * count as u64;
            while TURNS.load(Relaxed) < end {
                turn();
            }
        }
        std::process::exit(0);
    });
}
