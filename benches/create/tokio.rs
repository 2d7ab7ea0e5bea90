// SPDX-License-Identifier: MIT OR Apache-2.0
//! As create/dyco.c, on the runtime of one thread. Tasks have no stacks.
use std::cell::Cell;
use std::rc::Rc;

use dyco_bench_peers::Batches;

const CROWD: u64 = 1000;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let finished = Rc::new(Cell::new(0u64));
        let mut batches = Batches::new(CROWD as usize);
        while let Some(loops) = batches.next() {
            for _ in 0..loops {
                let before = finished.get();
                for _ in 0..CROWD {
                    let finished = finished.clone();
                    tokio::task::spawn_local(async move { finished.set(finished.get() + 1) });
                }
                while finished.get() < before + CROWD {
                    tokio::task::yield_now().await;
                }
            }
        }
    });
}
