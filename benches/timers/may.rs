// SPDX-License-Identifier: MIT OR Apache-2.0
//! timers_may COUNT SECONDS: as timers/storm.h, on one worker thread.
use std::sync::OnceLock;

use dyco_bench_peers::{Sleeper, Storm, argument, in_may};

static STORM: OnceLock<Storm> = OnceLock::new();

fn main() {
    let count = argument(1);
    in_may(0x1000, move || {
        STORM.get_or_init(|| Storm::new(argument(2)));
        for i in 0..count {
            // SAFETY: uses little of its stack but at its end, which there is only one of.
            unsafe {
                may::coroutine::spawn(move || {
                    let mut sleeper = Sleeper::new(i);
                    loop {
                        may::coroutine::sleep(STORM.get().unwrap().next(&mut sleeper));
                    }
                })
            };
        }
    });
    std::thread::sleep(std::time::Duration::from_secs(3600));
}
