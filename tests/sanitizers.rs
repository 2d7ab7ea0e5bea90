// SPDX-License-Identifier: MIT OR Apache-2.0
//! Test programs under valgrind's memcheck, and compiled with gcc's AddressSanitizer and ThreadSanitizer: no error, and
//! nothing definitely lost.

use std::process::Command;
use std::time::{Duration, Instant};

use harness::report::{Outcome, Report};
use harness::run::{limit_descriptors, run};
use harness::{has_command, library_dir, root, scratch};

/// What watches a program.
#[derive(Clone, Copy, PartialEq)]
enum Tool {
    Valgrind,
    Address,
    Thread,
}

/// Programs of tests/c, and an argument that makes them shorter.
const PROGRAMS: [(&str, &str); 16] = [
    ("channel", ""),
    ("channel_destroy", ""),
    ("pubsub", ""),
    ("waitgroup", ""),
    ("pool", ""),
    ("asymmetric", ""),
    ("asymmetric_wait", ""),
    ("asymmetric_pool", ""),
    ("life_cycle", "32"),
    ("create_order", ""),
    ("coroutine_abort", ""),
    ("sched_count", ""),
    ("offload", ""),
    ("offload_fork", ""),
    ("names_same", ""),
    ("names_slow", "clean"),
];

/// The sanitizers do not want threads to start after a fork of several, nor one of them to be the child's last.
const FOR_VALGRIND: [&str; 1] = ["offload_fork"];

/// ThreadSanitizer knows at most 8128 threads and coroutines at a time, and does not know libc's own locks.
const NOT_FOR_THREAD: [&str; 3] = ["waitgroup", "names_same", "names_slow"];

fn main() {
    let report = Report::from_args();
    let tools = [(Tool::Valgrind, "valgrind"), (Tool::Address, "asan"), (Tool::Thread, "tsan")];
    let cases: Vec<(Tool, &str, &str, String)> = tools
        .into_iter()
        .flat_map(|(tool, title)| PROGRAMS.map(|(name, argument)| (tool, name, argument, format!("{title} {name}"))))
        .filter(|(tool, name, ..)| *tool != Tool::Thread || !NOT_FOR_THREAD.contains(name))
        .filter(|(tool, name, ..)| *tool == Tool::Valgrind || !FOR_VALGRIND.contains(name))
        .filter(|(.., title)| report.is_wanted(title))
        .collect();
    if !cases.is_empty() {
        library_dir();
    }
    Report::in_parallel(&cases, |(tool, name, argument, title)| {
        let began = Instant::now();
        let outcome = Outcome::of_two_tries(title, || test(*tool, name, argument, title));
        report.add(title, outcome, began.elapsed());
    });
    report.finish()
}

fn test(tool: Tool, name: &str, argument: &str, title: &str) -> Outcome {
    if tool == Tool::Valgrind && !has_command("valgrind") {
        return Outcome::Skipped("needs valgrind".to_string());
    }
    let folder = scratch(&format!("sanitizers/{}", title.replace(' ', "/")));
    let binary = folder.join(name);
    let mut gcc = Command::new("gcc");
    gcc.args(["-std=gnu11", "-O1", "-g", "-pthread"]).args(match tool {
        Tool::Valgrind => &[][..],
        Tool::Address => &["-fsanitize=address"],
        Tool::Thread => &["-fsanitize=thread"],
    });
    gcc.arg("-I").arg(root().join("include")).arg(root().join(format!("tests/c/{name}.c"))).arg("-o").arg(&binary);
    gcc.arg("-L").arg(library_dir()).arg(format!("-Wl,-rpath,{}", library_dir().display())).args(["-ldyco", "-lm"]);
    match gcc.output() {
        Ok(output) if output.status.success() => {}
        other => return Outcome::Failed(format!("{gcc:?}: {other:?}")),
    }

    let mut command = match tool {
        Tool::Valgrind => {
            let mut valgrind = Command::new("valgrind");
            valgrind.args(["-q", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite"]);
            valgrind.arg(&binary);
            valgrind
        }
        _ => Command::new(&binary),
    };
    if !argument.is_empty() {
        command.arg(argument);
    }
    // Programs ask for more memory than there is. Those that measure start themselves anew unless this is set.
    command.env("ASAN_OPTIONS", "allocator_may_return_null=1");
    command.env("TSAN_OPTIONS", "allocator_may_return_null=1");
    command.env("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0");
    limit_descriptors(&mut command, None);
    let ended = match run(&mut command, Duration::from_secs(120), &folder.join("output")) {
        Ok(ended) => ended,
        Err(error) => return Outcome::Failed(format!("{command:?}: {error}")),
    };
    let done = ended.output.lines().any(|line| line == "test_done");
    match ended.status {
        Some(status) if status.success() && done => {
            let _ = std::fs::remove_dir_all(folder);
            Outcome::Passed
        }
        status => {
            Outcome::Failed(format!("{}\n--- {status:?}; to repeat: {}", ended.output.trim_end(), binary.display()))
        }
    }
}
