// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs the sections: rows take turns, in each round in another order, each pinned to a CPU.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::{fs, io};

use crate::build::Place;
use crate::contestants::{Case, Kind, Row, Section};
use crate::{data, path};

/// Seconds that a program may take for one case.
const PATIENCE: &str = "60";

pub struct Runner {
    pub place: Place,
    pub quick: bool,
    knows_poller: bool,
    cpus: usize,
}

impl Runner {
    pub fn new(place: Place, quick: bool) -> io::Result<Runner> {
        let library = fs::read(place.programs.join("libdyco.so.3"))?;
        let name = b"DYCO_POLLER";
        let knows_poller = library.windows(name.len()).any(|window| window == name);
        let cpus = std::thread::available_parallelism()?.get();
        Ok(Runner { place, quick, knows_poller, cpus })
    }

    /// Measures a case of a section and saves it.
    pub fn run(&self, section: &Section, case: &Case) -> io::Result<()> {
        let rounds = if self.quick { case.rounds.div_ceil(6) } else { case.rounds };
        let there = |row: &&Row| {
            self.place.program(section.work, row.program).exists() && (row.poller == "epoll" || self.knows_poller)
        };
        let rows: Vec<&Row> = section.rows.iter().filter(there).collect();
        eprintln!("bench: {} {}: {} contestants, {rounds} rounds", section.name, case.name, rows.len());
        let turns = match section.kind {
            Kind::Program => self.programs(section, case, &rows, rounds),
            Kind::Path => self.paths(section, &rows)?,
            Kind::Servers(work) => {
                let seats: Vec<Seat> = rows.iter().map(|row| Seat::alone(row, case, self.cpus)).collect();
                self.servers(section, work, case, seats, rounds, case.name)?
            }
            Kind::Threads => {
                let counts = (1..=self.cpus).filter(|threads| threads.is_power_of_two());
                let seats = counts.flat_map(|threads| rows.iter().map(move |row| Seat::threads(row, threads)));
                self.servers(section, "echo", case, seats.collect(), rounds, case.name)?
            }
        };
        data::save(&self.place.data, section.name, case.name, &turns)
    }

    fn programs(&self, section: &Section, case: &Case, rows: &[&Row], rounds: usize) -> String {
        let mut turns = String::new();
        let mut failed = Vec::new();
        for round in 0..rounds {
            for i in 0..rows.len() {
                let row = rows[(i + round) % rows.len()];
                if failed.contains(&row.name) {
                    continue;
                }
                let mut command = self.pinned("0", row);
                command.arg("timeout").arg(PATIENCE).arg(self.place.program(section.work, row.program));
                let output = command.args(self.arguments(row, case.name)).stderr(Stdio::null()).output();
                match output {
                    Ok(output) if output.status.success() => {
                        for line in String::from_utf8_lossy(&output.stdout).lines() {
                            if let Some((figure, value)) = line.rsplit_once(' ') {
                                turns += &format!("{}\t{figure}\t{value}\n", row.name);
                            }
                        }
                    }
                    _ => {
                        eprintln!("bench: {} {}: {} cannot", section.name, case.name, row.name);
                        failed.push(row.name);
                    }
                }
            }
        }
        turns
    }

    fn paths(&self, section: &Section, rows: &[&Row]) -> io::Result<String> {
        let mut counts = String::new();
        for row in rows {
            let command = |trace: &Path, port: u16| {
                let mut command = self.pinned("0", row);
                command.args(["valgrind", "--tool=lackey", "--trace-mem=yes"]);
                command.arg(format!("--log-file={}", trace.display()));
                command.arg(self.place.program(section.work, row.program)).args(self.arguments(row, ""));
                command.arg(port.to_string()).stderr(Stdio::null());
                command
            };
            match path::measure(&command, free_port(), &self.place.data.with_file_name("path")) {
                Ok(costs) => {
                    counts += &format!("{}\tinstructions/request\t{}\n", row.name, costs.instructions);
                    counts += &format!("{}\tcache lines/request\t{}\n", row.name, costs.lines);
                }
                Err(error) => eprintln!("bench: path: {} cannot: {error}", row.name),
            }
        }
        Ok(counts)
    }

    fn servers(
        &self,
        section: &Section,
        work: &str,
        case: &Case,
        seats: Vec<Seat>,
        rounds: usize,
        connections: &str,
    ) -> io::Result<String> {
        let port = free_port();
        let mut servers = Servers(Vec::new());
        let mut targets = Vec::new();
        for (seat, port) in seats.iter().zip(port..) {
            let mut command = self.pinned(&seat.server_cpus, seat.row);
            command.arg(self.place.program(section.work, seat.row.program));
            let server = command.args(self.arguments(seat.row, &seat.argument)).arg(port.to_string()).spawn()?;
            targets.push(format!("{}:{port}:{}:{}", seat.name, server.id(), seat.load_cpus));
            servers.0.push(server);
        }
        let tls = work == "tls";
        let mut load = Command::new("nice");
        load.args(["-n", "-10"]).arg(self.place.programs.join(if tls { "load_tls" } else { "load" }));
        load.args([if tls { "echo" } else { work }, connections, &rounds.to_string(), &case.slice_ms.to_string()]);
        load.args(targets);
        let output = load.stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(io::Error::other(format!("{} {}: the load failed", section.name, case.name)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The beginning of a command on these CPUs, before others of the machine as far as that is allowed.
    fn pinned(&self, cpus: &str, row: &Row) -> Command {
        let mut command = Command::new("nice");
        command.args(["-n", "-10"]);
        if self.cpus > 1 {
            command.args(["taskset", "-c", cpus]);
        }
        command.env("DYCO_POLLER", row.poller).stdin(Stdio::null());
        command
    }

    fn arguments(&self, row: &Row, argument: &str) -> Vec<String> {
        let certificate = self.place.certificate().display().to_string();
        let filled = |word: &str| word.replace("{certificate}", &certificate).replace("{}", argument);
        row.arguments.split_whitespace().map(filled).collect()
    }
}

/// The first of some that most likely nobody has.
fn free_port() -> u16 {
    10000 + (std::process::id() % 20000) as u16
}

/// A server's place among the others: its name in the results, and the CPUs.
struct Seat<'a> {
    row: &'a Row,
    name: String,
    argument: String,
    server_cpus: String,
    load_cpus: String,
}

impl<'a> Seat<'a> {
    /// On a CPU of its own, the load on another.
    fn alone(row: &'a Row, case: &Case, cpus: usize) -> Seat<'a> {
        let load_cpus = if cpus > 1 { "1" } else { "0" }.into();
        Seat { row, name: row.name.into(), argument: case.name.into(), server_cpus: "0".into(), load_cpus }
    }

    /// As many threads on as many CPUs, and the load there as well.
    fn threads(row: &'a Row, threads: usize) -> Seat<'a> {
        let cpus = (0..threads).map(|cpu| cpu.to_string()).collect::<Vec<_>>().join(",");
        let name = threads_name(row.name, threads);
        Seat { row, name, argument: threads.to_string(), server_cpus: cpus.clone(), load_cpus: cpus }
    }
}

/// What a row is called in the data when threads are counted.
pub fn threads_name(row: &str, threads: usize) -> String {
    format!("{row} ({threads})")
}

/// Ends them when it goes.
struct Servers(Vec<Child>);

impl Drop for Servers {
    fn drop(&mut self) {
        for server in &mut self.0 {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}
