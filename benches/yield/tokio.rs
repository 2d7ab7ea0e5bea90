// SPDX-License-Identifier: MIT OR Apache-2.0
//! yield_tokio COUNT: as yield/dyco.c, on the runtime of one thread. Tasks have no stacks.
use dyco_bench_peers::{Batches, argument};

async fn timekeeper(count: usize) {
    let mut batches = Batches::new(count);
    while let Some(loops) = batches.next() {
        for _ in 0..loops {
            tokio::task::yield_now().await;
        }
    }
    std::process::exit(0);
}

fn main() {
    let count = argument(1);
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        for _ in 1..count {
            tokio::spawn(async {
                loop {
                    tokio::task::yield_now().await;
                }
            });
        }
        tokio::spawn(timekeeper(count)).await.unwrap();
    });
}
