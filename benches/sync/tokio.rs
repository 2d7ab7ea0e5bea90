// SPDX-License-Identifier: MIT OR Apache-2.0
//! sync_tokio ping-pong|stream|hand-over: as sync/dyco.c, on the runtime of one thread.
use std::sync::Arc;

use dyco_bench_peers::Batches;
use tokio::sync::{Semaphore, mpsc};

type Message = [u8; 64];

async fn ping_pong() {
    let (send_there, mut there) = mpsc::channel::<Message>(1);
    let (send_back, mut back) = mpsc::channel::<Message>(1);
    tokio::spawn(async move {
        while let Some(message) = there.recv().await {
            let _ = send_back.send(message).await;
        }
    });
    let mut batches = Batches::new(2);
    while let Some(loops) = batches.next() {
        for _ in 0..loops {
            send_there.send([0; 64]).await.unwrap();
            back.recv().await.unwrap();
        }
    }
}

async fn stream() {
    let (send, mut receive) = mpsc::channel::<Message>(1);
    tokio::spawn(async move { while receive.recv().await.is_some() {} });
    let mut batches = Batches::new(1);
    while let Some(loops) = batches.next() {
        for _ in 0..loops {
            send.send([0; 64]).await.unwrap();
        }
    }
}

async fn hand_over() {
    let mine = Arc::new(Semaphore::new(0));
    let theirs = Arc::new(Semaphore::new(0));
    let (give, take) = (mine.clone(), theirs.clone());
    tokio::spawn(async move {
        loop {
            take.acquire().await.unwrap().forget();
            give.add_permits(1);
        }
    });
    let mut batches = Batches::new(2);
    while let Some(loops) = batches.next() {
        for _ in 0..loops {
            theirs.add_permits(1);
            mine.acquire().await.unwrap().forget();
        }
    }
}

fn main() {
    let work = std::env::args().nth(1).unwrap();
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let all = match work.as_str() {
            "ping-pong" => tokio::spawn(ping_pong()),
            "stream" => tokio::spawn(stream()),
            "hand-over" => tokio::spawn(hand_over()),
            other => panic!("{other}"),
        };
        all.await.unwrap();
        std::process::exit(0);
    });
}
