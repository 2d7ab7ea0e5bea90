// SPDX-License-Identifier: MIT OR Apache-2.0
//! Test programs under valgrind's memcheck, and compiled with gcc's AddressSanitizer and ThreadSanitizer: no error, and
//! nothing definitely lost.

use std::process::Command;
use std::time::Duration;

use harness::processor;
use harness::report::{Outcome, Report, Try};
use harness::run::{Patience, limit_descriptors, run};
use harness::{certificate, has_command, library_dir, root, scratch};

/// What watches a program.
#[derive(Clone, Copy, PartialEq)]
enum Tool {
    Valgrind,
    Address,
    Thread,
}

impl Tool {
    const fn name(self) -> &'static str {
        match self {
            Tool::Valgrind => "valgrind",
            Tool::Address => "asan",
            Tool::Thread => "tsan",
        }
    }

    /// How much more patience programs need under it.
    const fn slower(self) -> u32 {
        match self {
            Tool::Valgrind | Tool::Thread => 4,
            Tool::Address => 2,
        }
    }
}

/// A program of tests/c, tests/cpp or tests/tls, an argument that makes it shorter, and what watches it.
type Watched = (&'static str, &'static str, &'static [Tool]);

const ALL: &[Tool] = &[Tool::Valgrind, Tool::Address, Tool::Thread];
/// The library is not compiled for ThreadSanitizer, which so does not see the atomic operations by which threads hand over
/// memory; it knows at most 8128 threads and coroutines; and some tests let threads race on purpose.
const MEMORY: &[Tool] = &[Tool::Valgrind, Tool::Address];
/// Memcheck reports addresses that a test passes wrong on purpose; AddressSanitizer its own red zones in a caller's stack.
const ADDRESS: &[Tool] = &[Tool::Address];
const VALGRIND: &[Tool] = &[Tool::Valgrind];
const SANITIZERS: &[Tool] = &[Tool::Address, Tool::Thread];

/// Each section of the interface. Left out is what measures memory, counts allocations, or overflows stacks.
const PROGRAMS: &[Watched] = &[
    // What takes longest begins first: the others fit in beside it.
    ("c/names_slow", "clean", MEMORY),
    ("c/offload", "", ALL), // helper threads; the sanitizers do not want threads to start after a fork of several
    ("tls/sessions", "", MEMORY),
    ("tls/crowd", "100", MEMORY),
    ("c/child_wait", "20", ALL),
    ("c/hook_same_stream", "", ADDRESS),
    ("c/stdio_same", "", ADDRESS), // memcheck minds what libc itself loses in a freopen that fails
    ("c/hook_vfork", "", VALGRIND),
    ("c/stack_shared", "", MEMORY),
    ("c/files_slow", "", ADDRESS), // under valgrind threads wait for one another in some calls
    // Coroutines and stacks.
    ("c/create_order", "", ALL),
    ("c/coroutine_abort", "", ALL),
    ("c/sched_count", "", ALL),
    ("c/errno_own", "", ALL),
    ("c/udata", "", ALL),
    ("c/bad_arguments", "", ALL),
    ("c/urgent", "", ALL),
    ("c/sleep_order", "", MEMORY),
    ("c/wait_each", "", ALL),
    ("c/wait_ready", "", ALL),
    ("c/stack_set", "", ALL),
    ("c/stack_caller", "", VALGRIND),
    // Pools.
    ("c/pool", "", ALL),
    ("c/asymmetric_pool", "", ALL),
    // Scheduler.
    ("c/run_stop", "", ALL),
    ("c/run_abort", "", ALL),
    ("c/run_deadlock", "", ALL),
    ("c/schedule_free", "", ALL),
    ("c/schedule_info", "", MEMORY),
    ("c/life_cycle", "40", ALL),
    ("c/life_exit", "", MEMORY),
    ("cpp/thread_end", "3", MEMORY), // ThreadSanitizer does not let threads end in what it takes for fibres
    ("c/finish_next", "", ALL),
    ("c/stress", "", ALL),
    // Epoll and poll.
    ("c/epoll_set", "", ALL),
    ("c/poll_many", "", ALL),
    ("c/poll_same_epoll", "", ADDRESS),
    // Signals and children.
    ("c/signal_wait", "", ALL),
    ("c/signal_threads", "", MEMORY),
    ("c/signal_fork", "", ALL),
    ("c/signal_interrupt", "", ALL),
    ("c/child_hooks", "", ALL),
    ("c/fork_inside", "", ALL),
    // Channels and their kin.
    ("c/channel", "", ALL),
    ("c/channel_destroy", "", ALL),
    ("c/pubsub", "", ALL),
    ("c/waitgroup", "", MEMORY),
    ("c/semaphore", "", MEMORY),
    // Sockets and hooks.
    ("c/sock_calls", "", ALL),
    ("c/sock_accept_shared", "", SANITIZERS), // valgrind knows no io_uring
    ("c/sock_pass_descriptor", "", MEMORY),
    ("c/fd_close_wakes", "", MEMORY),
    ("c/fd_many_waiters", "", ALL),
    ("c/fd_stale", "", MEMORY),
    ("c/fd_same_files", "", MEMORY),
    ("c/hook_same_datagram", "", MEMORY),
    ("c/hook_other_threads", "", MEMORY),
    // Helper threads.
    ("c/offload_fork", "", VALGRIND),
    ("c/offload_stress", "30", ALL),
    ("c/names_same", "", MEMORY),
    ("c/command_same", "", ADDRESS),
    ("c/command_wait", "", ADDRESS),
    // Asymmetric coroutines.
    ("c/asymmetric", "", ALL),
    ("c/asymmetric_wait", "", ALL),
];

/// Those that are also run with DYCO_POLLER=io_uring: what receives and sends. Valgrind knows no io_uring; what is left out
/// takes long, counts on times, writes to ended stacks, or ends a thread where ThreadSanitizer does not know it.
const BY_RING: &[Watched] = &[
    ("tls/sessions", "", ADDRESS),
    ("tls/crowd", "100", ADDRESS),
    ("c/ring_accept", "", ADDRESS),
    ("c/ring_close", "", ADDRESS),
    ("c/ring_shared", "", ADDRESS),
    ("c/ring_stop", "", ADDRESS),
    ("c/ring_workers", "", ADDRESS),
    ("c/life_cycle", "40", SANITIZERS),
    ("c/stress", "", ADDRESS),
    ("c/wait_each", "", SANITIZERS),
    ("c/fork_inside", "", ADDRESS),
    ("c/sock_calls", "", SANITIZERS),
    ("c/sock_accept_shared", "", SANITIZERS),
    ("c/sock_pass_descriptor", "", ADDRESS),
    ("c/fd_close_wakes", "", ADDRESS),
    ("c/fd_many_waiters", "", SANITIZERS),
    ("c/fd_stale", "", ADDRESS),
    ("c/hook_other_threads", "", ADDRESS),
    ("c/offload_stress", "30", SANITIZERS),
    ("c/asymmetric_wait", "", SANITIZERS),
];

fn main() {
    let report = Report::from_args();
    let cases: Vec<Case> = [(PROGRAMS, false), (BY_RING, true)]
        .into_iter()
        .flat_map(|(programs, by_ring)| programs.iter().map(move |program| (program, by_ring)))
        .flat_map(|(program, by_ring)| program.2.iter().map(move |&tool| Case { tool, program, by_ring }))
        .filter(|case| report.is_wanted(&case.title()))
        .collect();
    if !cases.is_empty() {
        library_dir();
    }
    Report::in_parallel(3 * processor::count(), &cases, |case| {
        report.try_twice(&case.title(), |this_try| test(case, this_try));
    });
    report.finish()
}

/// A program, under one of the tools that watch it.
struct Case {
    tool: Tool,
    program: &'static Watched,
    by_ring: bool,
}

impl Case {
    fn title(&self) -> String {
        format!("{} {}{}", self.tool.name(), if self.by_ring { "ring " } else { "" }, self.program.0)
    }
}

fn test(case: &Case, this_try: Try) -> Outcome {
    let &Case { tool, program: &(name, argument, _), by_ring } = case;
    if tool == Tool::Valgrind && !has_command("valgrind") {
        return Outcome::Skipped("needs valgrind".to_string());
    }
    let folder = scratch(&format!("sanitizers/{}", case.title().replace(' ', "/")));
    let binary = folder.join("program");
    let (compiler, standard, ending) =
        if name.starts_with("cpp/") { ("g++", "-std=gnu++17", "cpp") } else { ("gcc", "-std=gnu11", "c") };
    let mut gcc = Command::new(compiler);
    gcc.args([standard, "-O1", "-g", "-pthread"]).args(match tool {
        Tool::Valgrind => &[][..],
        Tool::Address => &["-fsanitize=address"],
        Tool::Thread => &["-fsanitize=thread"],
    });
    gcc.arg("-I").arg(root().join("include")).arg(root().join(format!("tests/{name}.{ending}"))).arg("-o").arg(&binary);
    gcc.arg("-L").arg(library_dir()).arg(format!("-Wl,-rpath,{}", library_dir().display())).args(["-ldyco", "-lm"]);
    let tls = name.starts_with("tls/");
    if tls {
        gcc.args(["-lssl", "-lcrypto"]);
    }
    if let Err(says) = processor::compile(&mut gcc) {
        return Outcome::Failed(says);
    }

    let mut command = match tool {
        Tool::Valgrind => {
            let mut valgrind = Command::new("valgrind");
            valgrind.args(["-q", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite"]);
            valgrind.arg("--show-leak-kinds=definite");
            valgrind.arg(&binary);
            valgrind
        }
        _ => Command::new(&binary),
    };
    if tls {
        let (certificate, key) = certificate(&folder);
        command.args([certificate, key]);
    }
    if !argument.is_empty() {
        command.arg(argument);
    }
    // Programs ask for more memory than there is. Those that measure start themselves anew unless this is set.
    command.env("ASAN_OPTIONS", "allocator_may_return_null=1");
    command.env("TSAN_OPTIONS", "allocator_may_return_null=1");
    command.env("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0");
    if by_ring {
        command.env("DYCO_POLLER", "io_uring");
    }
    limit_descriptors(&mut command, Some(4096));
    let patience = Patience::now(tool.slower(), this_try);
    patience.tell(&mut command);
    let ended = match run(&mut command, patience.limit(Duration::from_secs(120)), &folder.join("output")) {
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
            ended.failure(format!("{}\n--- {status:?}; to repeat: {}", ended.output.trim_end(), binary.display()), true)
        }
    }
}
