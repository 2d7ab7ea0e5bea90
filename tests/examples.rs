// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every C example builds without a warning, does what its comment says, and the documents show it as it is.

#[path = "clients/slow.rs"]
#[allow(dead_code)]
mod slow;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use harness::{certificate, library_dir, read, root, scratch};

fn example_names() -> Vec<String> {
    let files = fs::read_dir(root().join("c_examples")).expect("c_examples");
    let mut names: Vec<String> = files
        .map(|file| file.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .map(|path| path.file_stem().expect("name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Builds all examples once and returns where one is.
fn example(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let folder = scratch("examples");
        for name in example_names() {
            let output = Command::new("gcc")
                .args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
                .arg(root().join("include"))
                .arg(root().join(format!("c_examples/{name}.c")))
                .arg("-o")
                .arg(folder.join(&name))
                .arg("-L")
                .arg(library_dir())
                .arg(format!("-Wl,-rpath,{}", library_dir().display()))
                .arg("-ldyco")
                .args(match &name[..] {
                    "network" => &["-lhiredis"][..],
                    "curl" => &["-lcurl"],
                    name if name.starts_with("ssl_") => &["-lssl", "-lcrypto"],
                    _ => &[],
                })
                .output()
                .expect("gcc runs");
            assert!(output.status.success(), "{name}.c:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        folder
    });
    folder.join(name)
}

/// Runs an example to its end, with a limit of two minutes.
fn run(name: &str, args: &[&str]) -> Output {
    Command::new("timeout").arg("120").arg(example(name)).args(args).output().expect("timeout(1) runs")
}

/// What an example printed, which must have gone well.
fn printed(name: &str, args: &[&str]) -> String {
    let output = run(name, args);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {args:?}: {}\n{text}\n{errors}", output.status);
    assert_eq!(errors, "", "{name} {args:?}");
    text
}

/// The same with sizes of stacks in whole pages: how much more of them can be used is the library's affair.
fn in_pages(text: &str) -> String {
    let in_pages = |word: &str| match word.parse::<usize>() {
        Ok(size) if size >= 4096 => (size & !4095).to_string(),
        _ => word.to_string(),
    };
    text.split(' ').map(in_pages).collect::<Vec<_>>().join(" ")
}

/// An example that runs until it is told to end, and in any case until this is dropped.
struct Server {
    process: Child,
    output: BufReader<ChildStdout>,
    port: u16,
}

impl Server {
    /// Starts it on a free port, with at most `descriptors` descriptors (0: as many as we have).
    fn start(name: &str, args: &[&str], descriptors: u64) -> Server {
        let mut command = Command::new(example(name));
        command.arg("0").args(args).stdout(Stdio::piped());
        if descriptors > 0 {
            let limit = libc::rlimit { rlim_cur: descriptors, rlim_max: descriptors };
            // SAFETY: setrlimit is async-signal-safe.
            unsafe {
                command.pre_exec(move || match libc::setrlimit(libc::RLIMIT_NOFILE, &limit) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                })
            };
        }
        let mut process = command.spawn().expect("server starts");
        let mut output = BufReader::new(process.stdout.take().expect("piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("first line");
        let port =
            line.split("port ").nth(1).and_then(|rest| rest.split_whitespace().next()).and_then(|n| n.parse().ok());
        let port = port.unwrap_or_else(|| panic!("no port in {line:?}"));
        Server { process, output, port }
    }

    fn port(&self) -> String {
        self.port.to_string()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connect");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("timeout");
        stream
    }

    /// A number of /proc/PID/status, in its unit.
    fn status(&self, key: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("status");
        let line = text.lines().find(|line| line.starts_with(key)).expect("key");
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("number")
    }

    fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.id())).expect("fd").count()
    }

    /// Waits until so many descriptors are open, or five seconds have gone.
    fn descriptors_become(&self, wanted: usize) -> usize {
        for _ in 0..500 {
            if self.descriptors() == wanted {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.descriptors()
    }

    /// Ends it with SIGTERM and returns what it printed since the first line.
    fn stop(mut self) -> String {
        // SAFETY: the process is our child and has not been waited for.
        unsafe { libc::kill(self.process.id() as i32, libc::SIGTERM) };
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("output");
        let status = self.process.wait().expect("wait");
        assert!(status.success(), "{status}: {rest}");
        rest
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn echo(mut stream: &TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).expect("write");
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).expect("the echo");
    assert_eq!(text.as_bytes(), answer);
}

#[test]
fn the_documents_know_every_example() {
    let index = read("c_examples/README.md");
    for name in example_names() {
        assert!(index.contains(&format!("[{name}.c]({name}.c)")), "{name}.c is not in c_examples/README.md");
    }
    let source = read("c_examples/quickstart.c");
    let (_, shown) = source.split_once('\n').expect("a licence line");
    assert!(read("README.md").contains(shown.trim()), "README.md does not show c_examples/quickstart.c as it is");
}

#[test]
fn the_documents_know_every_hook() {
    let document = read("docs/hooks.md");
    for name in [read("tools/hooks.list"), read("tools/hooks_shared.list")].concat().lines() {
        assert!(document.contains(&format!("`{name}`")), "{name} is not in docs/hooks.md");
    }
}

/// The README's first command.
#[test]
fn make_quickstart() {
    let output = Command::new("timeout")
        .args(["300", "make", "-C"])
        .arg(root())
        .arg("quickstart")
        .env("QUICKSTART_MESSAGES", "20")
        .output()
        .expect("timeout(1) runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for line in
        ["connections  501, 500 of them at the same time", "messages     10000,", "errors       0", "threads      1"]
    {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn offload() {
    let wanted = "\
with 0 ms: not begun
localhost has an address
with 30 ms: too late, the helper goes on
with 5000 ms: the sum is 500500
and a command has run
its status is 0
";
    // A look-up may take longer than the first limit.
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&printed("offload", &[])), sorted(wanted));
}

#[test]
fn sleep() {
    let text = printed("sleep", &[]);
    // The time when each line came at the earliest, and what it says. Each 100 ms apart, so the order is certain.
    let wanted = [
        (0, "the sum is 4995000, having given way 10 times"),
        (200, "dyco_coroutine_sleep(200), round 1"),
        (400, "dyco_coroutine_sleep(200), round 2"),
        (500, "nanosleep of half a second"),
        (600, "dyco_coroutine_sleep(200), round 3"),
        (1000, "sleep(1)"),
        (1000, "all done, dyco_schedule_run() returned 0"),
    ];
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), wanted.len(), "{text}");
    for (line, (earliest, what)) in lines.iter().zip(wanted) {
        let (time, said) = line.trim().split_once(" ms: ").expect("a time");
        assert_eq!(said, what, "{text}");
        assert!(time.parse::<u64>().expect("a number") >= earliest, "too early: {text}");
    }
    let took: u64 = lines[6].trim().split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
    assert!(took < 2000, "the sleeps did not overlap: {text}");
}

#[test]
fn setstack() {
    assert_eq!(
        in_pages(&printed("setstack", &[])),
        "default          shared stack\n\
         own              own stack of 65536 bytes\n\
         caller-supplied  own stack of 32768 bytes, in my_memory\n                 \
                          recursion stopped in time, deep down\n\
         cancelled        shared stack\n                 \
                          three others have counted up to 3 in a local of this one\n"
    );
}

#[test]
fn stop_abort() {
    assert_eq!(
        printed("stop_abort", &[]),
        "A coroutine ends itself; the other is not touched:\n  gives up, two calls deep\n  \
         other: 1\n  other: 2\n  other: 3\ndyco_schedule_run() returned 0, coroutines alive: 0\n\n\
         Stop, do something else, and run again:\n  counter: 1\n  counter: 2\n  stop!\n\
         dyco_schedule_run() returned 1, coroutines alive: 2\n\n(between the two runs)\n\n  \
         and on we go\n  counter: 3\ndyco_schedule_run() returned 0, coroutines alive: 0\n\n\
         Abort ends all coroutines of this thread:\n  counter: 1\n  counter: 2\n  abort!\n\
         dyco_schedule_run() returned -1, coroutines alive: 0\n\n\
         The scheduler is empty then and can be used anew:\n  again: 1\n  again: 2\n  again: 3\n\
         dyco_schedule_run() returned 0, coroutines alive: 0\n\n"
    );
}

#[test]
fn coropool() {
    assert_eq!(
        printed("coropool", &[]),
        "job 1 begins, 1 at work\njob 2 begins, 2 at work\njob 3 begins, 3 at work\njob 4 begins, 3 at work\n\
         job 5 begins, 3 at work\njob 6 begins, 3 at work\njob 7 would have to wait longer than 10 ms\n\
         after dyco_coropool_resize() job 8 begins at once\njob 8 begins, 4 at work\nfree at the end: 4\n"
    );
}

#[test]
fn channel() {
    assert_eq!(
        printed("channel", &[]),
        "consumer A: message 1\nconsumer B: message 2\nconsumer A: message 3\nconsumer B: message 4\n\
         consumer A: message 5\nconsumer B: message 6\nproducer: nobody sends anything to me\n\
         consumer A: the channel is closed\nconsumer B: the channel is closed\n"
    );
}

#[test]
fn pubsub() {
    assert_eq!(
        printed("pubsub", &[]),
        "Ann reads: rain\nBob reads: rain, and has no more time\nCid reads: rain\nAnn reads: still rain\n\
         Cid reads: still rain\nAnn reads: sun\nCid reads: sun\nAnn: no more news\nCid: no more news\n"
    );
}

#[test]
fn waitgroup() {
    assert_eq!(
        printed("waitgroup", &[]),
        "not all are done after 20 ms: 0\npart 1 is done\npart 2 is done\ntwo are done: 2\npart 3 is done\n\
         part 4 is done\nall are done: 4\n"
    );
}

#[test]
fn semaphore() {
    assert_eq!(
        printed("semaphore", &[]),
        "guest 1 sits down\nguest 2 sits down\nguest 4 gives up: no table within 10 ms\nguest 1 leaves\n\
         guest 3 sits down\nguest 2 leaves\nguest 5 sits down\nguest 3 leaves\nguest 5 leaves\n"
    );
}

#[test]
fn asymmetric() {
    assert_eq!(
        printed("asymmetric", &[]),
        "main: 0\nmain: 1\nmain: 1\nmain: 2\nmain: 3\nmain: 5\nmain: 8\nmain: 13\nslow: 0\n\
         meanwhile, another coroutine\nslow: 1\nslow: 1\n"
    );
}

#[test]
fn stack_dont_overflow() {
    assert_eq!(
        in_pages(&printed("stack_dont_overflow", &[])),
        "stack of   16384 bytes: turned back in time\nstack of   32768 bytes: turned back in time\n\
         stack of 1048576 bytes: all the way down\n"
    );
}

#[test]
fn network() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port().to_string();
    let mut redis = Command::new("redis-server")
        .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", "/tmp"])
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server starts");
    while TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
        assert!(redis.try_wait().expect("wait").is_none(), "redis-server has ended");
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = run("network", &[&port]);
    redis.kill().expect("kill");
    redis.wait().expect("wait");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines: Vec<&str> = text.lines().collect();
    // The first two come in any order.
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "name: localhost found",
            "redis: popped \"hello\" after about a second; the timer ticked on meanwhile",
            "tcp: \"over TCP\" came back"
        ]
    );
}

/// Three answers that take half a second each, an address that nobody listens to, and all of it in less than a second.
#[test]
fn curl() {
    let port = slow::upstream();
    let urls: Vec<String> = (1..4).map(|n| format!("http://localhost:{port}/slow/{n}")).collect();
    let nobody = format!("http://localhost:{}/", harness::server::free_port());
    let output = run("curl", &[&urls[0], &urls[1], &nobody, &urls[2]]);
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines: Vec<&str> = text.lines().collect();
    let last = lines.pop().expect("output");
    for url in &urls {
        assert!(lines.contains(&&*format!("200     8 bytes  {url}")), "{text}");
    }
    assert!(lines.iter().any(|line| line.starts_with("failed") && line.ends_with(&nobody)), "{text}");
    let took = last.strip_prefix("4 transfers in ").and_then(|rest| rest.strip_suffix(" ms, in one thread"));
    let took: u32 = took.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{text}"));
    assert!((500..1400).contains(&took), "{text}");
}

#[test]
fn tls_server_and_client() {
    let folder = scratch("examples-tls");
    let (certificate, key) = certificate(&folder);
    let server = Server::start("ssl_server", &[&certificate, &key], 0);
    assert_eq!(printed("ssl_client", &[&server.port(), &certificate, "100", "10"]), "1000 messages echoed, 0 errors\n");
    // A certificate that it does not know is an error of the client's, and nothing to the server.
    let (other, _) = self::certificate(&scratch("examples-tls-other"));
    let output = run("ssl_client", &[&server.port(), &other, "2", "1"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0 messages echoed, 2 errors\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains("certificate verify failed"), "{output:?}");
    assert_eq!(printed("ssl_client", &[&server.port(), &certificate, "1", "1"]), "1 messages echoed, 0 errors\n");
}

#[test]
fn quickstart() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port().to_string();
    let mut process = Command::new(example("quickstart")).arg(&port).spawn().expect("it starts");
    while TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
        assert!(process.try_wait().expect("wait").is_none(), "it has ended");
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = run("socket_client", &[&port, "50", "10"]);
    process.kill().expect("kill");
    process.wait().expect("wait");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn server_and_client_with_500_connections() {
    let server = Server::start("socket_server", &[], 0);
    let text = printed("socket_client", &[&server.port(), "500", "20"]);
    assert!(text.starts_with("500 connections at the same time, 10000 messages echoed, 0 errors, "), "{text}");
    let mut stream = server.connect();
    echo(&stream, "by hand\n");
    let large = "x".repeat(100_000);
    echo(&stream, &large);
    stream.shutdown(std::net::Shutdown::Write).expect("shutdown");
    assert_eq!(stream.read(&mut [0]).expect("end of stream"), 0);
    assert_eq!(server.stop(), "served 501 connections, 500 at the same time, 0 broken, 0 still open\n");
}

#[test]
fn client_reports_errors() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port().to_string();
    let output = run("socket_client", &[&port, "3", "1"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains(" 3 errors"), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("Connection refused"), "{output:?}");
}

#[test]
fn server_outlives_the_end_of_descriptors() {
    let server = Server::start("socket_server", &[], 32);
    let mut streams: Vec<TcpStream> = (0..40).map(|_| server.connect()).collect();
    let late = streams.split_off(20);
    for stream in &streams {
        echo(stream, "there is room\n");
    }
    drop(streams);
    for stream in &late {
        echo(stream, "there is room again\n");
    }
    let still_there = server.connect();
    echo(&still_there, "and more\n");
    let text = server.stop();
    assert!(text.starts_with("served 20 connections, "), "{text}");
}

/// The lines that begin so.
fn lines_of<'a>(text: &'a str, who: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(who)).collect()
}

#[test]
fn epoll() {
    let text = printed("epoll", &[]);
    for number in 0..3 {
        let who = format!("sender {number}: ");
        let wanted = ["message 1", "message 2", "end"].map(|what| format!("{who}{what}"));
        assert_eq!(lines_of(&text, &who), wanted, "{text}");
    }
    let pauses = text.lines().filter(|line| *line == "nothing for 50 ms").count();
    assert_eq!(text.lines().count(), 9 + pauses, "{text}");
}

#[test]
fn signal() {
    let text = printed("signal", &[]);
    for who in ["first receiver: ", "second receiver: "] {
        let mut lines = lines_of(&text, who);
        lines.retain(|line| !line.ends_with("nothing for 100 ms"));
        assert_eq!(lines, [format!("{who}User defined signal 1"), format!("{who}Terminated")], "{text}");
    }
    let mut children = lines_of(&text, "child ");
    children.sort();
    assert_eq!(children, [1, 2, 3].map(|n| format!("child {n} has exited with {n}")), "{text}");
}

#[test]
fn server_with_10000_connections() {
    const CONNECTIONS: u64 = 10_000;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid out parameter.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    if limit.rlim_max < CONNECTIONS + 100 {
        println!("skipped: the hard limit of descriptors is {}, this needs {}", limit.rlim_max, CONNECTIONS + 100);
        return;
    }

    let server = Server::start("socket_server", &[], 0);
    printed("socket_client", &[&server.port(), "100", "10"]);
    // The listener, the signals, the poller's two, and the three standard ones.
    let before = server.descriptors_become(7);
    let memory = server.status("VmRSS:");

    for _ in 0..3 {
        let text = printed("socket_client", &[&server.port(), &CONNECTIONS.to_string(), "5"]);
        assert!(text.starts_with("10000 connections at the same time, 50000 messages echoed, 0 errors, "), "{text}");
        assert_eq!(server.descriptors_become(before), before);
        // The last of the crowd may still be on its way out.
        let (peak, mut now) = (server.status("VmHWM:"), u64::MAX);
        for _ in 0..100 {
            now = server.status("VmRSS:");
            if now < memory + 2048 + (peak - memory) / 4 {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        println!("{text}memory before {memory} kB, at most {peak} kB, now {now} kB");
        assert!(
            now < memory + 2048 + (peak - memory) / 4,
            "memory before {memory} kB, at most {peak} kB, now {now} kB"
        );
    }
    assert_eq!(server.stop(), "served 30100 connections, 10000 at the same time, 0 broken, 0 still open\n");
}

#[test]
fn multithread() {
    let server = Server::start("multithread", &["3"], 0);
    assert_eq!(server.status("Threads:"), 4);
    let text = printed("socket_client", &[&server.port(), "300", "10"]);
    assert!(text.starts_with("300 connections at the same time, 3000 messages echoed, 0 errors, "), "{text}");
    std::thread::sleep(Duration::from_millis(200)); // the last closes
    let text = server.stop();
    let served: Vec<u64> = text
        .lines()
        .map(|line| line.split_whitespace().nth(3).and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{text}")))
        .collect();
    assert_eq!((served.len(), served.iter().sum()), (3, 300), "{text}");
    assert!(served.iter().all(|&n| n > 0), "one thread got nothing: {text}");
}
