// SPDX-License-Identifier: MIT OR Apache-2.0
//! echo_tokio PORT: on the runtime of one thread.
use dyco_bench_peers::{argument, end_with_parent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn serve(mut peer: TcpStream) {
    let mut buffer = [0; 1024];
    while let Ok(got) = peer.read(&mut buffer).await {
        if got == 0 || peer.write_all(&buffer[..got]).await.is_err() {
            break;
        }
    }
}

fn main() {
    end_with_parent();
    tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap().block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", argument(1) as u16)).await.unwrap();
        loop {
            let (peer, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(peer));
        }
    });
}
