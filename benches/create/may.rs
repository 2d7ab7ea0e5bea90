// SPDX-License-Identifier: MIT OR Apache-2.0
//! As create/dyco.c, on one worker thread. Who gives way is first again, so the last to finish wakes who waits.
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use dyco_bench_peers::{Batches, in_may};
use may::sync::Semphore;

const CROWD: u64 = 1000;
static FINISHED: AtomicU64 = AtomicU64::new(0);

fn main() {
    in_may(0x800, || {
        let all: &'static Semphore = Box::leak(Box::new(Semphore::new(0)));
        let mut batches = Batches::new(CROWD as usize);
        while let Some(loops) = batches.next() {
            for _ in 0..loops {
                for _ in 0..CROWD {
                    let nothing = || {
                        if FINISHED.fetch_add(1, Relaxed) % CROWD == CROWD - 1 {
                            all.post();
                        }
                    };
                    // SAFETY: uses little of its stack.
                    unsafe { may::coroutine::spawn(nothing) };
                }
                all.wait();
            }
        }
        std::process::exit(0);
    });
}
