// SPDX-License-Identifier: MIT OR Apache-2.0
//! echo_may PORT: on one worker thread.
use std::io::{Read, Write};

use dyco_bench_peers::{argument, end_with_parent};
use may::net::{TcpListener, TcpStream};

fn serve(mut peer: TcpStream) {
    let mut buffer = [0; 1024];
    while let Ok(got) = peer.read(&mut buffer) {
        if got == 0 || peer.write_all(&buffer[..got]).is_err() {
            break;
        }
    }
}

fn main() {
    end_with_parent();
    may::config().set_workers(1).set_stack_size(0x2000);
    let listener = TcpListener::bind(("127.0.0.1", argument(1) as u16)).unwrap();
    let all = may::go!(move || {
        for peer in listener.incoming() {
            let peer = peer.unwrap();
            may::go!(move || serve(peer));
        }
    });
    all.join().unwrap();
}
