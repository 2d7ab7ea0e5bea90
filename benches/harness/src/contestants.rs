// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who takes part in what: the programs, and the sections of the benchmark with their rows.
//!
//! A program's source is benches/WORK/PROGRAM.c, .cpp or .rs. A row's arguments may hold `{}`, which becomes the case.

/// What a program of C or C++ is linked with, and which Debian package brings that.
pub struct Program {
    pub name: &'static str,
    pub libraries: &'static [&'static str],
    pub package: &'static str,
}

pub const PROGRAMS: &[Program] = &[
    Program { name: "dyco", libraries: &["-ldyco", "-lm", "-lssl", "-lcrypto"], package: "libssl-dev" },
    Program { name: "epoll", libraries: &["-lpthread", "-lssl", "-lcrypto"], package: "libssl-dev" },
    Program { name: "threads", libraries: &["-lpthread"], package: "libc6-dev" },
    Program { name: "uring", libraries: &["-luring"], package: "liburing-dev" },
    Program { name: "st", libraries: &["-lst", "-lm"], package: "libst-dev" },
    Program { name: "fcontext", libraries: &["-lboost_context"], package: "libboost-context-dev" },
    Program { name: "fiber", libraries: &["-lboost_fiber", "-lboost_context"], package: "libboost-fiber-dev" },
    Program { name: "uv", libraries: &["-luv", "-lm"], package: "libuv1-dev" },
];

/// A line of the tables.
pub struct Row {
    pub name: &'static str,
    pub program: &'static str,
    pub arguments: &'static str,
    /// The value of DYCO_POLLER; such rows need a library that knows the variable, unless it is epoll.
    pub poller: &'static str,
}

const fn row(name: &'static str, program: &'static str, arguments: &'static str) -> Row {
    Row { name, program, arguments, poller: "epoll" }
}

const fn on_ring(name: &'static str, program: &'static str, arguments: &'static str) -> Row {
    Row { name, program, arguments, poller: "io_uring" }
}

/// What is varied, and how often each row has its turn.
pub struct Case {
    pub name: &'static str,
    pub rounds: usize,
    /// Of a turn, for servers.
    pub slice_ms: usize,
    /// Also with QUICK=1.
    pub quick: bool,
}

const fn case(name: &'static str, rounds: usize) -> Case {
    Case { name, rounds, slice_ms: 0, quick: true }
}

const fn long_case(name: &'static str, rounds: usize) -> Case {
    Case { name, rounds, slice_ms: 0, quick: false }
}

const fn load(connections: &'static str, rounds: usize, slice_ms: usize) -> Case {
    Case { name: connections, rounds, slice_ms, quick: true }
}

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// A program that measures itself and prints figures.
    Program,
    /// Servers, on a CPU of their own, driven from another by load/ with this work.
    Servers(&'static str),
    /// Servers with 1, 2, ... threads on as many CPUs, with the load on the same; the case is the connections of each CPU.
    Threads,
    /// Servers under valgrind, which counts; the case is not varied.
    Path,
}

pub struct Section {
    /// Also the folder of the sources.
    pub work: &'static str,
    pub name: &'static str,
    pub kind: Kind,
    pub rows: &'static [Row],
    pub cases: &'static [Case],
}

const ECHO: &[Row] = &[
    row("plain epoll", "epoll", "level 1"),
    row("plain epoll, edge-triggered", "epoll", "edge 1"),
    row("plain io_uring", "uring", ""),
    row("libdyco, own stacks", "dyco", "own hooks 1"),
    row("libdyco, shared stacks", "dyco", "shared hooks 1"),
    row("libdyco, own stacks, dyco_* names", "dyco", "own calls 1"),
    on_ring("libdyco, own stacks, io_uring", "dyco", "own hooks 1"),
    on_ring("libdyco, shared stacks, io_uring", "dyco", "shared hooks 1"),
    on_ring("libdyco, shared stacks, buffers on the heap, io_uring", "dyco", "shared heap 1"),
    row("State Threads", "st", ""),
    row("libuv", "uv", ""),
    row("may", "may", ""),
    row("tokio", "tokio", ""),
    row("a thread each", "threads", ""),
];

pub const SECTIONS: &[Section] = &[
    Section {
        work: "echo",
        name: "echo",
        kind: Kind::Servers("echo"),
        rows: ECHO,
        cases: &[
            load("1", 12, 80),
            load("10", 24, 80),
            load("100", 32, 100),
            load("1000", 32, 120),
            load("10000", 8, 800),
        ],
    },
    Section {
        work: "echo",
        name: "path",
        kind: Kind::Path,
        rows: &[
            row("plain epoll", "epoll", "level 1"),
            row("libdyco, own stacks", "dyco", "own hooks 1"),
            row("libdyco, shared stacks", "dyco", "shared hooks 1"),
            row("libdyco, shared stacks, buffers on the heap", "dyco", "shared heap 1"),
            row("libuv", "uv", ""),
            row("tokio", "tokio", ""),
        ],
        cases: &[case("128", 1)],
    },
    Section {
        work: "echo",
        name: "session",
        kind: Kind::Servers("session"),
        rows: ECHO,
        cases: &[load("100", 16, 100), load("1000", 16, 120)],
    },
    Section {
        work: "tls",
        name: "tls",
        kind: Kind::Servers("tls"),
        rows: &[
            row("plain epoll + OpenSSL", "epoll", "{certificate}"),
            row("libdyco, own stacks", "dyco", "own {certificate}"),
            row("libdyco, shared stacks", "dyco", "shared {certificate}"),
            on_ring("libdyco, own stacks, io_uring", "dyco", "own {certificate}"),
        ],
        cases: &[load("10", 20, 100), load("100", 20, 100), load("1000", 20, 150)],
    },
    Section {
        work: "echo",
        name: "threads",
        kind: Kind::Threads,
        rows: &[
            row("plain epoll", "epoll", "level {}"),
            row("libdyco, own stacks", "dyco", "own hooks {}"),
            row("libdyco, shared stacks", "dyco", "shared hooks {}"),
            on_ring("libdyco, own stacks, io_uring", "dyco", "own hooks {}"),
        ],
        cases: &[load("500", 24, 150)],
    },
    Section {
        work: "switch",
        name: "switch",
        kind: Kind::Program,
        rows: &[
            row("Boost.Context, fcontext", "fcontext", ""),
            row("libdyco, resumed by a coroutine", "dyco", ""),
            row("libdyco, resumed by the main program", "dyco", "outside"),
            row("corosensei", "corosensei", ""),
        ],
        cases: &[case("resume or yield", 9)],
    },
    Section {
        work: "yield",
        name: "yield",
        kind: Kind::Program,
        rows: &[
            row("libdyco, own stacks", "dyco", "own {}"),
            row("libdyco, shared stacks", "dyco", "shared {}"),
            row("State Threads", "st", "{}"),
            row("Boost.Fiber", "fiber", "{}"),
            row("may", "may", "{}"),
            row("tokio (no stacks)", "tokio", "{}"),
        ],
        cases: &[
            case("2", 7),
            case("8", 7),
            case("100", 5),
            case("1000", 7),
            case("10000", 3),
            case("100000", 3),
            long_case("1000000", 1),
        ],
    },
    Section {
        work: "create",
        name: "create",
        kind: Kind::Program,
        rows: &[
            row("libdyco, own stacks", "dyco", "own"),
            row("libdyco, shared stacks", "dyco", "shared"),
            row("libdyco, from a pool", "dyco", "pool"),
            row("State Threads", "st", ""),
            row("Boost.Fiber", "fiber", ""),
            row("may", "may", ""),
            row("tokio (no stacks)", "tokio", ""),
            row("a thread each", "threads", ""),
        ],
        cases: &[case("create + finish", 7)],
    },
    Section {
        work: "sync",
        name: "sync",
        kind: Kind::Program,
        rows: &[
            row("libdyco, own stacks", "dyco", "{} own"),
            row("libdyco, shared stacks", "dyco", "{} shared"),
            row("State Threads", "st", "{}"),
            row("Boost.Fiber", "fiber", "{}"),
            row("may", "may", "{}"),
            row("tokio (no stacks)", "tokio", "{}"),
        ],
        cases: &[case("ping-pong", 5), case("stream", 5), case("hand-over", 5)],
    },
    Section {
        work: "sync",
        name: "objects",
        kind: Kind::Program,
        rows: &[row("libdyco, own stacks", "dyco", "{} own"), row("libdyco, shared stacks", "dyco", "{} shared")],
        cases: &[
            case("semaphore", 3),
            case("pool", 3),
            case("waitgroup", 3),
            case("publish-1", 3),
            case("publish-100", 3),
        ],
    },
    Section {
        work: "timers",
        name: "timers",
        kind: Kind::Program,
        rows: &[
            row("libdyco, own stacks", "dyco", "own {} 5"),
            row("libdyco, shared stacks", "dyco", "shared {} 5"),
            on_ring("libdyco, own stacks, io_uring", "dyco", "own {} 5"),
            row("State Threads", "st", "{} 5"),
            row("Boost.Fiber", "fiber", "{} 5"),
            row("libuv", "uv", "{} 5"),
            row("may", "may", "{} 5"),
            row("tokio", "tokio", "{} 5"),
        ],
        cases: &[case("1000", 1), case("100000", 2)],
    },
    Section {
        work: "crowd",
        name: "crowd",
        kind: Kind::Program,
        rows: &[
            row("libdyco, own stacks", "dyco", "own {}"),
            row("libdyco, shared stacks", "dyco", "shared {}"),
            row("State Threads", "st", "{}"),
            row("Boost.Fiber, no guards", "fiber", "{}"),
            row("may", "may", "{}"),
            row("tokio (no stacks)", "tokio", "{}"),
        ],
        cases: &[
            case("10", 2),
            case("100", 2),
            case("1000", 2),
            case("10000", 2),
            case("100000", 2),
            long_case("1000000", 1),
        ],
    },
    Section {
        work: "scale",
        name: "scale",
        kind: Kind::Program,
        rows: &[row("libdyco, own stacks", "dyco", "own {}"), row("libdyco, shared stacks", "dyco", "shared {}")],
        cases: &[
            case("10", 3),
            case("100", 3),
            case("1000", 3),
            case("10000", 3),
            case("100000", 2),
            long_case("1000000", 1),
        ],
    },
];
