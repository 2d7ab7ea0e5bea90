// SPDX-License-Identifier: MIT OR Apache-2.0
//! Client libraries as the distribution ships them, against real servers: 50 coroutines on one thread make blocking
//! calls that take the server half a second, and all get their answers in little more than that. Outside coroutines,
//! with the library linked or preloaded, the same programs do and say what they do without it, and are as fast.
//! `cargo test -p dyco-tests --test clients -- redis rate` selects by words in the names.

#[path = "clients/servers.rs"]
mod servers;
#[path = "clients/slow.rs"]
mod slow;

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::RwLock;
use std::time::{Duration, Instant};

use harness::processor;
use harness::report::{Outcome, Report, Try};
use harness::run::{Patience, limit_descriptors, run};
use harness::server::find_command;
use harness::{library_dir, root, scratch};

use servers::Place;

struct Client {
    name: &'static str,
    /// tests/clients/PROGRAM.c
    program: &'static str,
    /// What pkg-config knows, and Debian's package of it; empty: libc.
    library: (&'static str, &'static str),
    /// The server's command, and Debian's package of it; empty where there is none.
    server: (&'static str, &'static str),
    start: Start,
}

type Start = fn(&Path) -> Result<Place, String>;

const fn client(
    name: &'static str,
    program: &'static str,
    library: (&'static str, &'static str),
    server: (&'static str, &'static str),
    start: Start,
) -> Client {
    Client { name, program, library, server, start }
}

const SQLITE: (&str, &str) = ("sqlite3", "libsqlite3-dev");

const CLIENTS: [Client; 13] = [
    client("redis", "redis", ("hiredis", "libhiredis-dev"), ("redis-server", "redis-server"), servers::redis),
    client("postgresql", "postgresql", ("libpq", "libpq-dev"), ("postgres", "postgresql"), servers::postgres),
    client("mariadb", "mariadb", ("libmariadb", "libmariadb-dev"), ("mariadbd", "mariadb-server"), servers::mariadb),
    client(
        "memcached",
        "memcached",
        ("libmemcached", "libmemcached-dev"),
        ("memcached", "memcached"),
        servers::memcached,
    ),
    client("curl-http", "curl", ("libcurl", "libcurl4-openssl-dev"), ("nginx", "nginx"), |folder| {
        servers::nginx_for_curl(folder, false)
    }),
    client("curl-https", "curl", ("libcurl", "libcurl4-openssl-dev"), ("nginx", "nginx"), |folder| {
        servers::nginx_for_curl(folder, true)
    }),
    client("bio-http", "openssl", ("openssl", "libssl-dev"), ("nginx", "nginx"), |folder| {
        servers::nginx_for_openssl(folder, false)
    }),
    client("bio-https", "openssl", ("openssl", "libssl-dev"), ("nginx", "nginx"), |folder| {
        servers::nginx_for_openssl(folder, true)
    }),
    client("stdio", "stdio", ("", ""), ("nginx", "nginx"), servers::nginx_for_stdio),
    client("sqlite-rollback", "sqlite", SQLITE, ("", ""), |folder| servers::file(folder, &["rollback"])),
    client("sqlite-wal", "sqlite", SQLITE, ("", ""), |folder| servers::file(folder, &["wal"])),
    client("sqlite-rollback-files", "sqlite", SQLITE, ("", ""), |folder| servers::file(folder, &["rollback", "files"])),
    client("sqlite-wal-files", "sqlite", SQLITE, ("", ""), |folder| servers::file(folder, &["wal", "files"])),
];

/// How a program meets the library.
#[derive(Clone, Copy, PartialEq)]
enum Link {
    /// Not at all.
    Plain,
    Shared,
    Archive,
    /// By LD_PRELOAD: the program of `Plain`.
    Preload,
    /// The program of `Shared`, with DYCO_POLLER=io_uring.
    Ring,
}

impl Link {
    const ALL: [(Link, &str); 5] = [
        (Link::Plain, "plain"),
        (Link::Shared, "shared"),
        (Link::Archive, "archive"),
        (Link::Preload, "preload"),
        (Link::Ring, "ring"),
    ];

    /// The program that is run.
    fn program(self) -> &'static str {
        match self {
            Link::Plain | Link::Preload => "plain",
            Link::Shared | Link::Ring => "shared",
            Link::Archive => "archive",
        }
    }
}

/// What is tried with each client.
const CASES: [&str; 10] = [
    "coroutines shared",
    "coroutines archive",
    "coroutines ring",
    "threads shared",
    "threads preload",
    "talk inside",
    "talk inside ring",
    "talk shared",
    "talk preload",
    "rate",
];

fn main() {
    let report = Report::from_args();
    // Its answers take a while; nobody has to wait for another's.
    Report::in_parallel(CLIENTS.len(), &CLIENTS, |client| test_client(&report, client));
    report.finish()
}

fn test_client(report: &Report, client: &Client) {
    /// Who compares times has the machine alone.
    static MACHINE: RwLock<()> = RwLock::new(());
    // The archive leaves fdopen and mutexes to libc.
    let has_archive = client.program != "stdio" && !client.name.ends_with("-files");
    let wanted: Vec<&str> = CASES
        .into_iter()
        .filter(|case| has_archive || !case.ends_with("archive"))
        .filter(|case| report.is_wanted(&format!("{} {case}", client.name)))
        .collect();
    if wanted.is_empty() {
        return;
    }
    if let Some(missing) = missing(client) {
        return report.add(client.name, Outcome::Skipped(format!("needs {missing}")), Duration::ZERO);
    }
    let folder = scratch(&format!("clients/{}", client.name));
    let began = Instant::now();
    let together = MACHINE.read().expect("no panic while held");
    let place = prepare(client, &folder);
    drop(together);
    let bench = match place {
        Ok(place) => Bench { name: client.name, folder, place, talk: OnceCell::new() },
        Err(why) => return report.add(client.name, Outcome::Failed(why), began.elapsed()),
    };
    for case in wanted {
        let alone = (case == "rate").then(|| MACHINE.write().expect("no panic while held"));
        let together = alone.is_none().then(|| MACHINE.read().expect("no panic while held"));
        report.try_twice(&format!("{} {case}", client.name), |this_try| bench.test(case, this_try));
        drop((alone, together));
    }
}

/// The package that is missing for this client.
fn missing(client: &Client) -> Option<&'static str> {
    let exists = || Command::new("pkg-config").args(["--exists", client.library.0]).status();
    if !client.library.0.is_empty() && !exists().is_ok_and(|status| status.success()) {
        return Some(client.library.1);
    }
    let server = client.server.0;
    (!server.is_empty() && find_command(server).or_else(|| servers::find_postgres(server)).is_none())
        .then_some(client.server.1)
}

/// Builds the programs, and starts the servers; a port that was free may be so no longer, so that is tried again.
fn prepare(client: &Client, folder: &Path) -> Result<Place, String> {
    for (link, name) in Link::ALL {
        if link.program() == name {
            build(client, link, &folder.join(name))?;
        }
    }
    (0..3)
        .find_map(|again| {
            let _turn = processor::take();
            let place = (client.start)(&scratch(&format!("clients/{}/server{again}", client.name)));
            if place.is_ok() || again == 2 { Some(place) } else { None }
        })
        .expect("the last one counts")
}

fn build(client: &Client, link: Link, program: &Path) -> Result<(), String> {
    let mut gcc = Command::new("gcc");
    gcc.args(["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"]);
    for folder in ["include", "tests/c"] {
        gcc.arg("-I").arg(root().join(folder));
    }
    gcc.arg(root().join(format!("tests/clients/{}.c", client.program))).arg("-o").arg(program);
    match link {
        Link::Shared | Link::Ring => {
            gcc.arg("-L").arg(library_dir()).arg(format!("-Wl,-rpath,{}", library_dir().display())).arg("-ldyco")
        }
        Link::Archive => gcc.arg(library_dir().join("libdyco.a")),
        Link::Plain | Link::Preload => gcc.arg("-DPLAIN"),
    };
    if !client.library.0.is_empty() {
        let flags = Command::new("pkg-config").args(["--cflags", "--libs", client.library.0]).output();
        let flags = flags.map_err(|error| format!("pkg-config: {error}"))?.stdout;
        gcc.args(String::from_utf8_lossy(&flags).split_whitespace());
    }
    gcc.args(["-ldl", "-lm"]);
    processor::compile(&mut gcc)
}

/// A client's programs and its servers.
struct Bench {
    name: &'static str,
    folder: PathBuf,
    place: Place,
    /// What the program says without the library.
    talk: OnceCell<Result<String, String>>,
}

impl Bench {
    fn test(&self, case: &str, this_try: Try) -> Outcome {
        let patience = Patience::now(1, this_try);
        let result = match case.split_once(' ') {
            Some(("coroutines", name)) => {
                self.run("coroutines", link(name), patience).map(|says| print!("{}: {says}", self.name))
            }
            Some(("threads", name)) => self.run("threads", link(name), patience).map(|_| ()),
            Some(("talk", "inside")) => self.talk("talk-inside", Link::Shared, patience),
            Some(("talk", "inside ring")) => self.talk("talk-inside", Link::Ring, patience),
            Some(("talk", name)) => self.talk("talk", link(name), patience),
            _ => self.rate(patience),
        };
        match result {
            Ok(()) => Outcome::Passed,
            Err(why) => Outcome::Doubtful(why),
        }
    }

    /// Runs a mode of the program, and returns what it says.
    fn run(&self, mode: &str, link: Link, patience: Patience) -> Result<String, String> {
        let name = Link::ALL.iter().find(|(other, _)| *other == link).expect("all are there").1;
        let mut command = Command::new(self.folder.join(link.program()));
        command.arg(mode).args(&self.place.args).current_dir(&self.folder);
        if link == Link::Preload {
            command.env("LD_PRELOAD", library_dir().join("libdyco.so"));
        }
        if link == Link::Ring {
            command.env("DYCO_POLLER", "io_uring");
        }
        patience.tell(&mut command);
        limit_descriptors(&mut command, Some(1024));
        let log = self.folder.join(format!("{mode}-{name}.log"));
        let ended = run(&mut command, patience.limit(Duration::from_secs(60)), &log)
            .map_err(|error| format!("{command:?}: {error}"))?;
        match ended.output.strip_suffix("test_done\n") {
            Some(says) if ended.status.is_some_and(|status| status.success()) => Ok(says.to_string()),
            _ => Err(format!("{}\n--- {:?}; to repeat: {command:?}", ended.output.trim_end(), ended.status)),
        }
    }

    /// Whether the program says what it says without the library.
    fn talk(&self, mode: &str, link: Link, patience: Patience) -> Result<(), String> {
        let wanted = self.talk.get_or_init(|| self.run("talk", Link::Plain, patience)).clone()?;
        let says = self.run(mode, link, patience)?;
        if says == wanted {
            return Ok(());
        }
        let differs = says.lines().zip(wanted.lines()).find(|(one, other)| one != other);
        Err(format!("{mode} differs, with and without the library: {differs:#?}\n{says}"))
    }

    /// Compares the times of quick calls in a thread, with and without the library: the best of several runs. What is
    /// allowed is the noise of a busy machine; the ratios are what to look at.
    fn rate(&self, patience: Patience) -> Result<(), String> {
        const LINKS: [Link; 3] = [Link::Plain, Link::Shared, Link::Preload];
        let mut best = [f64::INFINITY; 3];
        let mut ratios = [0.0; 2];
        // A busy machine gets some more rounds.
        for round in 0..10 {
            for turn in 0..LINKS.len() {
                // In turn, so that none has the better processor each time.
                let index = (turn + round) % LINKS.len();
                let says = self.run("rate", LINKS[index], patience)?;
                let time = says.split(' ').next().and_then(|number| number.parse::<f64>().ok());
                best[index] = best[index].min(time.ok_or(says)?);
            }
            ratios = [best[1] / best[0], best[2] / best[0]];
            if round >= 2 && ratios.iter().all(|ratio| (0.97..1.03).contains(ratio)) {
                break;
            }
        }
        let [shared, preload] = ratios;
        let plain = best[0];
        println!(
            "{}: a quick call in a thread: {plain:.0} ns; with the library {shared:.3} of that, preloaded {preload:.3}",
            self.name
        );
        if shared.max(preload) < 1.3 { Ok(()) } else { Err("slower with the library".to_string()) }
    }
}

fn link(name: &str) -> Link {
    Link::ALL.iter().find(|(_, other)| *other == name).expect("a case names a link").0
}
