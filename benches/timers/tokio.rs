// SPDX-License-Identifier: MIT OR Apache-2.0
//! timers_tokio COUNT SECONDS: as timers/storm.h, on the runtime of one thread. Its clock is one of whole milliseconds.
use std::sync::Arc;

use dyco_bench_peers::{Sleeper, Storm, argument};

fn main() {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
        let storm = Arc::new(Storm::new(argument(2)));
        for i in 0..argument(1) {
            let storm = storm.clone();
            tokio::spawn(async move {
                let mut sleeper = Sleeper::new(i);
                loop {
                    tokio::time::sleep(storm.next(&mut sleeper)).await;
                }
            });
        }
        std::future::pending::<()>().await;
    });
}
