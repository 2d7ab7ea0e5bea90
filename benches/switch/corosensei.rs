// SPDX-License-Identifier: MIT OR Apache-2.0
use corosensei::{Coroutine, CoroutineResult};
use dyco_bench_peers::Batches;

fn main() {
    let mut generator = Coroutine::new(|yielder, ()| -> () {
        loop {
            yielder.suspend(());
        }
    });
    let mut batches = Batches::new(2);
    while let Some(loops) = batches.next() {
        for _ in 0..loops {
            assert!(matches!(generator.resume(()), CoroutineResult::Yield(())));
        }
    }
    std::process::exit(0);
}
