// SPDX-License-Identifier: MIT OR Apache-2.0
//! crowd_tokio COUNT: as crowd/dyco.c, once, on the runtime of one thread. Tasks have no stacks.
use std::cell::Cell;
use std::rc::Rc;

use dyco_bench_peers::{argument, cpu_ns, figure, resident};
use tokio::sync::Semaphore;

fn main() {
    let count = argument(1);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        let crowd = Rc::new((Semaphore::new(0), Cell::new(0), Cell::new(0)));
        let before = resident();
        let begin = cpu_ns();
        for _ in 0..count {
            let crowd = crowd.clone();
            tokio::task::spawn_local(async move {
                let (gate, arrived, gone) = &*crowd;
                arrived.set(arrived.get() + 1);
                gate.acquire().await.unwrap().forget();
                gone.set(gone.get() + 1);
            });
        }
        let created = cpu_ns();
        let (gate, arrived, gone) = &*crowd;
        while arrived.get() < count {
            tokio::task::yield_now().await;
        }
        figure("create ns", (created - begin) as f64 / count as f64);
        figure("wait ns", (cpu_ns() - created) as f64 / count as f64);
        figure("bytes", (resident() - before) / count as f64);
        let begin = cpu_ns();
        gate.add_permits(count);
        while gone.get() < count {
            tokio::task::yield_now().await;
        }
        figure("wake and end ns", (cpu_ns() - begin) as f64 / count as f64);
    });
}
