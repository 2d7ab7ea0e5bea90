// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TLS calls against real peers: OpenSSL's own client and server, curl, and 500 clients at once. All of it by either
//! poller.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use harness::run::{limit_descriptors, run};
use harness::{certificate, has_command, library_dir, root, scratch};

/// Where the programs are, and a certificate with its key.
struct Setup {
    folder: PathBuf,
    certificate: String,
    key: String,
}

fn setup() -> &'static Setup {
    static SETUP: OnceLock<Setup> = OnceLock::new();
    SETUP.get_or_init(|| {
        let folder = scratch("tls");
        for (name, archive) in [
            ("sessions", false),
            ("sessions", true),
            ("inside", false),
            ("inside", true),
            ("records", false),
            ("crowd", false),
            ("https", false),
            ("client", false),
        ] {
            let mut gcc = Command::new("gcc");
            gcc.args(["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", "-I"]);
            gcc.arg(root().join("include")).arg(root().join(format!("tests/tls/{name}.c")));
            gcc.arg("-o").arg(folder.join(if archive { format!("{name}_archive") } else { name.to_string() }));
            if archive {
                gcc.arg(library_dir().join("libdyco.a"));
            } else {
                gcc.arg("-L").arg(library_dir()).arg(format!("-Wl,-rpath,{}", library_dir().display())).arg("-ldyco");
            }
            let output = gcc.args(["-lssl", "-lcrypto", "-ldl", "-lm"]).output().expect("gcc runs");
            assert!(output.status.success(), "{name}.c:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        let (certificate, key) = certificate(&folder);
        Setup { folder, certificate, key }
    })
}

/// What DYCO_POLLER is.
const POLLERS: [&str; 2] = ["epoll", "io_uring"];

/// Runs a test program to its end, by each poller.
fn test_program(name: &str, args: &[&str]) {
    for poller in POLLERS {
        test_program_by(name, args, poller);
    }
}

fn test_program_by(name: &str, args: &[&str], poller: &str) {
    let setup = setup();
    let mut command = Command::new(setup.folder.join(name));
    command.args([&setup.certificate, &setup.key]).args(args).env("DYCO_POLLER", poller);
    assert!(limit_descriptors(&mut command, Some(4096)), "4096 descriptors");
    let log = setup.folder.join(format!("{name}{}-{poller}.log", args.concat()));
    let ended = run(&mut command, Duration::from_secs(60), &log).expect("it starts");
    let done = ended.output.lines().any(|line| line == "test_done");
    assert!(done && ended.status.is_some_and(|status| status.success()), "{:?}\n{}", ended.status, ended.output);
}

/// A process that is killed when this is dropped.
struct Peer {
    process: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Peer {
    fn start(command: &mut Command) -> Peer {
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let output = BufReader::new(process.stdout.take().expect("piped"));
        Peer { process, output }
    }

    /// Reads lines until one begins so, and returns its rest.
    fn line(&mut self, start: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.output.read_line(&mut line).expect("text") > 0, "ended before {start:?}");
            if let Some(rest) = line.trim_end().strip_prefix(start) {
                return rest.to_string();
            }
        }
    }

    fn say(&mut self, text: &str) {
        self.process.stdin.as_mut().expect("piped").write_all(text.as_bytes()).expect("it listens");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Our server, and its port.
fn https(poller: &str) -> (Peer, String) {
    let setup = setup();
    let mut server = Command::new(setup.folder.join("https"));
    let mut server = Peer::start(server.args([&setup.certificate, &setup.key]).env("DYCO_POLLER", poller));
    let port = server.line("port ");
    (server, port)
}

#[test]
fn sessions() {
    test_program("sessions", &[]);
}

#[test]
fn sessions_with_the_archive() {
    test_program("sessions_archive", &[]);
}

#[test]
fn nobody_waits_inside_openssl() {
    test_program("inside", &[]);
    test_program("inside_archive", &[]);
}

#[test]
fn records() {
    test_program("records", &[]);
}

#[test]
fn five_hundred_clients() {
    test_program("crowd", &[]);
}

#[test]
fn curl() {
    if !has_command("curl") {
        println!("skipped: needs curl");
        return;
    }
    for poller in POLLERS {
        curl_by(poller);
    }
}

fn curl_by(poller: &str) {
    let (_server, port) = https(poller);
    // Connected, and silent for ever.
    let _silent: Vec<_> = (0..10).map(|_| std::net::TcpStream::connect(format!("127.0.0.1:{port}"))).collect();
    let fetch = |args: &[&str], path: &str| {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "60", "--cacert", &setup().certificate]).args(args);
        let output = curl.arg(format!("https://localhost:{port}/{path}")).output().expect("curl runs");
        assert!(output.status.success(), "{args:?} {path}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    for version in ["--tls-max=1.2", "--tls-max=1.3"] {
        let args: Vec<&str> = version.split('=').collect();
        for size in [0, 1, 100_000, 20_000_000] {
            let body = fetch(&[&format!("--{}", args[0].trim_start_matches('-')), args[1]], &size.to_string());
            assert!(body.len() == size && body.iter().all(|&byte| byte == b'b'), "{version} {size}: {}", body.len());
        }
    }
    let upload = setup().folder.join(format!("upload-{poller}"));
    let bytes: Vec<u8> = (0..3_000_000u32).map(|i| ((i * 31) >> 5) as u8).collect();
    std::fs::write(&upload, &bytes).expect("a file");
    let body = fetch(&["-X", "POST", "-H", "Expect:", "--data-binary", &format!("@{}", upload.display())], "");
    assert!(body == bytes, "{} bytes came back", body.len());
}

#[test]
fn s_client() {
    for poller in POLLERS {
        s_client_by(poller);
    }
}

fn s_client_by(poller: &str) {
    let (_server, port) = https(poller);
    // What the line `k`, `K` or `R` makes it do: a key update, one for both sides, a renegotiation.
    for (version, commands) in [("-tls1_3", &["k", "K"][..]), ("-tls1_2", &["R"])] {
        let mut peer = Peer::start(
            Command::new("openssl")
                .args(["s_client", "-connect", &format!("127.0.0.1:{port}"), version, "-verify_return_error"])
                .args(["-CAfile", &setup().certificate]),
        );
        peer.line("SSL handshake has read");
        for (round, command) in commands.iter().cycle().take(6).enumerate() {
            peer.say(&format!("hello {round}\n"));
            assert_eq!(peer.line("hello "), round.to_string(), "{version}");
            peer.say(&format!("{command}\n"));
            // A command is one only at the start of what it reads at a time.
            std::thread::sleep(Duration::from_millis(100));
        }
        peer.say("goodbye\n");
        peer.line("goodbye");
        drop(peer.process.stdin.take());
        let mut rest = String::new();
        peer.output.read_to_string(&mut rest).expect("text");
        assert!(peer.process.wait().expect("wait").success(), "{version}: {rest}");
    }
}

#[test]
fn s_server() {
    for (version, poller) in ["2", "3"].into_iter().flat_map(|version| POLLERS.map(|poller| (version, poller))) {
        let setup = setup();
        let mut server = Peer::start(
            Command::new("openssl")
                .args(["s_server", "-accept", "127.0.0.1:0", "-rev", "-client_renegotiation"])
                .args(["-cert", &setup.certificate, "-key", &setup.key]),
        );
        let port = server.line("ACCEPT 127.0.0.1:");
        test_program_by("client", &[&port, "5", version], poller);
    }
}
