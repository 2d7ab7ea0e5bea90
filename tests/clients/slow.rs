// SPDX-License-Identifier: MIT OR Apache-2.0
//! Slowness to put behind or before servers that have none of their own.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// WAIT_MS of client.h.
const PAUSE: Duration = Duration::from_millis(500);

/// Calls `serve` on a thread for each connection, and returns the port.
fn listen(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    port
}

/// Passes on all that it reads; what has the word in it, after a pause.
fn pass(mut from: TcpStream, mut to: TcpStream, slow: &[u8]) {
    let mut buffer = vec![0; 65536];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if !slow.is_empty() && buffer[..n].windows(slow.len()).any(|word| word == slow) {
            thread::sleep(PAUSE);
        }
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Stands before the server with that port, and takes its time with what has "slow" in it.
pub fn proxy(port: u16) -> u16 {
    listen(move |client| {
        let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (Ok(answers), Ok(back)) = (server.try_clone(), client.try_clone()) else { return };
        thread::spawn(move || pass(answers, back, b""));
        pass(client, server, b"slow");
    })
}

/// An HTTP server: `/slow/N` answers after a pause, `/length/N` with the number of bytes that came and their digest.
pub fn upstream() -> u16 {
    listen(|stream| {
        let _ = answer(stream);
    })
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut request, mut line, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut request)?;
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if let Some(number) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = number.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let path = request.split(' ').nth(1).unwrap_or("");
    let text = if path.starts_with("/slow/") {
        thread::sleep(PAUSE);
        format!("{path}\n")
    } else {
        let sum = body.iter().fold(0u32, |sum, &byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
        format!("{length} bytes, digest {sum}\n")
    };
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len())
}
