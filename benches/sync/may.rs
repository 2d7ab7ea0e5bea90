// SPDX-License-Identifier: MIT OR Apache-2.0
//! sync_may ping-pong|stream|hand-over: as sync/dyco.c, on one worker thread. Its channels have no bound.
use std::sync::Arc;

use dyco_bench_peers::{Batches, in_may};
use may::sync::{Semphore, mpsc};

type Message = [u8; 64];

fn ping_pong() {
    let (send_there, there) = mpsc::channel::<Message>();
    let (send_back, back) = mpsc::channel();
    may::go!(move || while send_back.send(there.recv().unwrap()).is_ok() {});
    let mut batches = Batches::new(2);
    while let Some(loops) = batches.next() {
        for _ in 0..loops {
            send_there.send([0; 64]).unwrap();
            back.recv().unwrap();
        }
    }
}

fn hand_over() {
    let mine = Arc::new(Semphore::new(0));
    let theirs = Arc::new(Semphore::new(0));
    let (give, take) = (mine.clone(), theirs.clone());
    may::go!(move || loop {
        take.wait();
        give.post();
    });
    let mut batches = Batches::new(2);
    while let Some(loops) = batches.next() {
        for _ in 0..loops {
            theirs.post();
            mine.wait();
        }
    }
}

fn main() {
    let work = std::env::args().nth(1).unwrap();
    in_may(0x1000, move || {
        match work.as_str() {
            "ping-pong" => ping_pong(),
            "hand-over" => hand_over(),
            other => panic!("{other}"),
        }
        std::process::exit(0);
    });
}
