// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way of a request through the server's own code, counted by valgrind: figures that nothing else on the machine changes.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

/// Their messages come in turn.
const CONNECTIONS: usize = 128;
/// What the server does besides is the same with few rounds of them and with many.
const FEW: usize = 5;
const MANY: usize = 20;
/// A line that was not touched during so many requests is not at hand any more.
const FORGOTTEN: u64 = CONNECTIONS as u64 / 2;
const LINE: u64 = 64;
const MESSAGE: [u8; 64] = [b'm'; 64];

/// Instructions of a request, and how many cache lines it touches that were not touched lately.
pub struct Costs {
    pub instructions: f64,
    pub lines: f64,
}

/// Measures the server that `command` makes valgrind run; `log` is a file for its trace.
pub fn measure(command: &dyn Fn(&Path, u16) -> Command, port: u16, log: &Path) -> io::Result<Costs> {
    let requests = ((MANY - FEW) * CONNECTIONS) as f64;
    let mut accesses = [0; 2];
    let mut traces = Vec::new();
    for (index, rounds) in [FEW, MANY].into_iter().enumerate() {
        let trace = log.with_extension(rounds.to_string());
        let mut server = command(&trace, port + index as u16).spawn()?;
        let driven = drive(port + index as u16, rounds);
        end(&mut server)?;
        driven?;
        accesses[index] = read(&trace, u64::MAX)?.accesses;
        traces.push(trace);
    }
    let forgotten = (accesses[1] - accesses[0]) * FORGOTTEN / requests as u64;
    let (few, many) = (read(&traces[0], forgotten)?, read(&traces[1], forgotten)?);
    for trace in traces {
        std::fs::remove_file(trace)?;
    }
    let each = |few: u64, many: u64| many.saturating_sub(few) as f64 / requests;
    Ok(Costs { instructions: each(few.instructions, many.instructions), lines: each(few.lines, many.lines) })
}

/// Has the server answer each connection so many times.
fn drive(port: u16, rounds: usize) -> io::Result<()> {
    let mut connections = vec![patiently(port)?];
    for _ in 1..CONNECTIONS {
        connections.push(TcpStream::connect(("127.0.0.1", port))?);
    }
    for _ in 0..rounds {
        for connection in &mut connections {
            connection.write_all(&MESSAGE)?;
        }
        for connection in &mut connections {
            connection.read_exact(&mut [0; MESSAGE.len()])?;
        }
    }
    Ok(())
}

fn patiently(port: u16) -> io::Result<TcpStream> {
    let mut tries = 0;
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && tries < 200 => tries += 1,
            result => return result,
        }
        sleep(Duration::from_millis(100));
    }
}

/// Ends it such that its trace is whole.
fn end(server: &mut Child) -> io::Result<()> {
    Command::new("kill").arg(server.id().to_string()).status()?;
    server.wait().map(drop)
}

#[derive(Default)]
struct Trace {
    instructions: u64,
    accesses: u64,
    lines: u64,
}

/// Reads a trace of valgrind's tool lackey. Counts the lines that were not touched during the last `forgotten` accesses.
fn read(trace: &Path, forgotten: u64) -> io::Result<Trace> {
    let mut counts = Trace::default();
    let mut touched: HashMap<u64, u64> = HashMap::new();
    for line in BufReader::new(File::open(trace)?).split(b'\n') {
        let line = line?;
        if line.starts_with(b"I  ") {
            counts.instructions += 1;
        }
        let [b' ', b'L' | b'S' | b'M', b' ', rest @ ..] = line.as_slice() else { continue };
        let text = String::from_utf8_lossy(rest);
        let Some((address, size)) = text.split_once(',') else { continue };
        let (Ok(address), Ok(size)) = (u64::from_str_radix(address, 16), size.trim().parse::<u64>()) else { continue };
        counts.accesses += 1;
        for place in address / LINE..=(address + size.max(1) - 1) / LINE {
            let last = touched.insert(place, counts.accesses);
            counts.lines += u64::from(last.is_none_or(|last| counts.accesses - last > forgotten));
        }
    }
    Ok(counts)
}
