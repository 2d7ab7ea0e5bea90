// SPDX-License-Identifier: MIT OR Apache-2.0
//! The results as a page of markdown.

use std::fmt::Write;
use std::fs;

use crate::contestants::{Kind, SECTIONS, Section};
use crate::data::Data;
use crate::goals;
use crate::run::threads_name;

pub fn report(data: &Data) -> String {
    let mut page = format!("# Benchmark results\n\nWritten by `make bench`. {}\n", machine());
    page += "\nAll contestants are measured in one go, in turns, in each round in another order. Run a section anew with\n\
             `benches/run.sh SECTION` or `benches/run.sh SECTION:CASE`. How to read and use this:\n\
             [docs/performance.md](../docs/performance.md). The [goals](#goals) are at the end.\n";
    for section in SECTIONS {
        let (title, text) = about(section.name);
        write!(page, "\n## {title}\n\n{text}\n").unwrap();
        match section.kind {
            Kind::Servers(_) => servers(&mut page, data, section),
            Kind::Threads => threads(&mut page, data, section),
            Kind::Path => by_figure(&mut page, data, section),
            Kind::Program if section.name == "timers" => by_figure(&mut page, data, section),
            Kind::Program if section.name == "crowd" || section.name == "scale" => by_figure(&mut page, data, section),
            Kind::Program => by_case(&mut page, data, section),
        }
    }
    let (table, met, all) = goals::table(data);
    write!(page, "\n## Goals\n\n{met} of {all} are met.\n\n{table}").unwrap();
    page
}

fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
    let cpus = info.lines().filter(|line| line.starts_with("processor")).count();
    let memory = read("/proc/meminfo").split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0);
    let kernel = read("/proc/sys/kernel/osrelease");
    let kernel = kernel.split('-').next().unwrap_or_default().trim();
    let model = model.unwrap_or(std::env::consts::ARCH);
    let load = read("/proc/loadavg");
    let load = load.split_whitespace().nth(1).unwrap_or("?");
    format!(
        "Machine: {model}, {cpus} CPUs, {:.0} GiB, Linux {kernel}; load average {load}, of which 1 to 2 are the\n\
         benchmark's: the more above, the less requests/s, latencies and lateness mean. Ratios are little affected.",
        memory / 1048576.0
    )
}

fn about(section: &str) -> (&'static str, &'static str) {
    match section {
        "echo" => (
            "Echo",
            "64-byte messages, one in flight per connection, every byte checked. The server is pinned to one CPU, the load\n\
             to another. The servers take turns of a fraction of a second. **CPU** is the server's own clock over exactly\n\
             the measured requests, all threads and the kernel's part of its calls included; the ratio is to plain epoll in\n\
             the same round; medians. It is the figure to go by: requests/s and the latencies say as much about the load\n\
             generator, which has the other CPU to itself and is saturated from 100 connections on. Calls per request are\n\
             counted in the kernel, in turns of their own. Bytes: resident memory and page tables that the connections have\n\
             brought, each of them once served and now idle.\n\n![server CPU per request](plots/echo.svg)",
        ),
        "path" => (
            "The way of an echo",
            "Counted by valgrind, of the server's own code, without the kernel's: instructions, and cache lines that were not\n\
             touched during the last 64 requests of others; each is a miss where a crowd has more of them than the cache has\n\
             room for. What the kernel copies into a buffer is not seen. These figures are the same whatever else the machine\n\
             does.",
        ),
        "session" => (
            "Short sessions",
            "As above, but each connection carries three messages and is closed; the next one takes its place at once. A\n\
             request is a whole session.",
        ),
        "tls" => {
            ("TLS echo", "The same over TLS 1.3. Connections are made before the measurement: no handshakes in it.")
        }
        "threads" => (
            "Several threads",
            "One scheduler (or epoll set) per thread, each with a listener of its own on the same port (SO_REUSEPORT).\n\
             Server and load share the CPUs: one thread of each on one CPU, with 500 connections, against two of each on two\n\
             CPUs, with 1,000, all in turns of one run. So the load is part of the reckoning, nobody is idle, and what grows is the\n\
             machine's work. Requests/s need a machine that does nothing else; the last column is what the server's CPU per\n\
             request says, 2.00 when a request costs as much with two threads as with one.",
        ),
        "switch" => (
            "Switch",
            "CPU ns for a resume or a yield of an asymmetric coroutine, through the public calls: a pair counts as two. Best\n\
             batch of all rounds; in brackets the median of the batches, which counts what else the machine does; then the\n\
             ratio of the best to the first row's.",
        ),
        "yield" => (
            "Yield",
            "So many coroutines give way to each other, all from one call site: CPU ns from one to the next. Figures as above.\n\n\
             ![yield](plots/yield.svg)",
        ),
        "create" => (
            "Create and finish",
            "CPU ns to create a coroutine, run it (it only counts) and see it finished, 1,000 at a time. Figures as above.",
        ),
        "sync" => (
            "Waiting for each other",
            "CPU ns per operation; figures as above. Channel in turn: a message of 64 bytes there and back, per message. One\n\
             way: one sends, the other receives, with room for one message. Hand-over: two pass the turn by semaphores\n\
             (State Threads and Boost.Fiber: condition variables).",
        ),
        "objects" => (
            "More objects",
            "A semaphore that nobody else wants, wait and signal; to obtain a coroutine from a pool, run it and have it back;\n\
             a waitgroup of 8, per member; publish to 1 and to 100 subscribers, per copy. Figures as above.",
        ),
        "timers" => (
            "Timers",
            "So many coroutines sleep again and again for 1 to 1,000 ms, for five seconds: CPU, and how late they wake. Who\n\
             counts in whole milliseconds wakes up to one late by design.",
        ),
        "crowd" => (
            "Crowds",
            "So many coroutines are created, wait, are woken and end: CPU ns each, and resident bytes of each while it waits,\n\
             page tables included.\n\n![bytes per coroutine](plots/memory.svg)",
        ),
        _ => (
            "Scale",
            "So many coroutines wait with a deadline that does not come, or for a descriptor: CPU ns for the first wait, which\n\
             starts the coroutine, and for a wake-up with the next wait. Descriptors are eventfds: writing and reading are\n\
             two system calls of these figures.\n\n![own stacks](plots/scale-own.svg)\n\n![shared stacks](plots/scale-shared.svg)",
        ),
    }
}

fn grouped(number: &str) -> String {
    let Ok(value) = number.parse::<u64>() else { return number.to_string() };
    let digits = value.to_string();
    let groups: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
    groups.iter().map(|group| std::str::from_utf8(group).expect("digits")).collect::<Vec<_>>().join(",")
}

fn header(page: &mut String, cells: &[&str]) {
    writeln!(page, "| {} |\n|{}", cells.join(" | "), " --- |".repeat(cells.len())).unwrap();
}

/// With as many digits as mean something.
fn figure(value: Option<f64>) -> String {
    match value {
        None => "–".into(),
        Some(v) if v.abs() >= 100.0 => grouped(&format!("{v:.0}")),
        Some(v) if v.abs() >= 10.0 => format!("{v:.1}"),
        Some(v) => format!("{v:.2}"),
    }
}

fn servers(page: &mut String, data: &Data, section: &Section) {
    for case in section.cases {
        if data.median(section.name, case.name, section.rows[0].name, "requests/s").is_none() {
            continue;
        }
        let s = if case.name == "1" { "" } else { "s" };
        write!(page, "\n{} connection{s}\n\n", grouped(case.name)).unwrap();
        header(
            page,
            &[
                "server",
                "CPU µs/request",
                "ratio",
                "calls/request",
                "requests/s",
                "p50 µs",
                "p99 µs",
                "p99.9 µs",
                "slowest / fastest",
                "bytes/connection",
            ],
        );
        for row in section.rows {
            let of = |figure| data.median(section.name, case.name, row.name, figure);
            if of("requests/s").is_none() {
                continue;
            }
            let ratio = data.ratio(section.name, case.name, row.name, section.rows[0].name, "CPU us/request");
            write!(page, "| {} | {:.2} | {:.3} ", row.name, of("CPU us/request").unwrap_or(0.0), ratio.unwrap_or(0.0))
                .unwrap();
            for name in ["calls/request", "requests/s", "p50 us", "p99 us", "p999 us", "slowest/fastest"] {
                write!(page, "| {} ", figure(of(name))).unwrap();
            }
            let bytes = of("bytes/connection").filter(|_| section.name != "session" && case.name.len() > 3);
            writeln!(page, "| {} |", figure(bytes)).unwrap();
        }
    }
}

fn threads(page: &mut String, data: &Data, section: &Section) {
    page.push('\n');
    header(
        page,
        &[
            "server",
            "requests/s, 1 thread",
            "2 threads",
            "ratio",
            "CPU µs/request, 1 thread",
            "2 threads",
            "2 × CPU ratio",
        ],
    );
    let case = section.cases[0].name;
    for row in section.rows {
        let (one, two) = (threads_name(row.name, 1), threads_name(row.name, 2));
        let of = |row: &str, figure| data.median(section.name, case, row, figure);
        let rates = of(&one, "requests/s").zip(of(&two, "requests/s"));
        let cpus = of(&one, "CPU us/request").zip(of(&two, "CPU us/request"));
        let Some(((rate1, rate2), (cpu1, cpu2))) = rates.zip(cpus) else { continue };
        let ratio = data.ratio(section.name, case, &two, &one, "requests/s").unwrap_or(0.0);
        let reckoned = 2.0 * data.ratio(section.name, case, &one, &two, "CPU us/request").unwrap_or(0.0);
        let (rate1, rate2) = (figure(Some(rate1)), figure(Some(rate2)));
        writeln!(page, "| {} | {rate1} | {rate2} | {ratio:.2} | {cpu1:.2} | {cpu2:.2} | {reckoned:.2} |", row.name)
            .unwrap();
    }
}

fn by_case(page: &mut String, data: &Data, section: &Section) {
    page.push('\n');
    let titles: Vec<String> = section.cases.iter().map(|case| grouped(case.name)).collect();
    let mut cells = vec!["contestant"];
    cells.extend(titles.iter().map(String::as_str));
    header(page, &cells);
    for row in section.rows {
        write!(page, "| {} ", row.name).unwrap();
        for case in section.cases {
            let best = |row| data.least(section.name, case.name, row, "best ns");
            match best(row.name) {
                None => page.push_str("| – "),
                Some(ns) => {
                    let middle = figure(data.median(section.name, case.name, row.name, "median ns"));
                    let ratio = best(section.rows[0].name).map_or("–".into(), |first| format!("{:.2}", ns / first));
                    write!(page, "| {} ({middle}) ×{ratio} ", figure(Some(ns))).unwrap();
                }
            }
        }
        page.push_str("|\n");
    }
}

fn by_figure(page: &mut String, data: &Data, section: &Section) {
    let figures: &[&str] = match section.name {
        "timers" => &["CPU us/wake-up", "CPU s", "late p50 ms", "late p99 ms"],
        "path" => &["instructions/request", "cache lines/request"],
        "crowd" => &["create ns", "wait ns", "wake and end ns", "bytes"],
        _ => &[
            "wait with a deadline ns",
            "wake, cancel, wait again ns",
            "wait for a descriptor ns",
            "write, wake, read, wait again ns",
        ],
    };
    for case in section.cases {
        let mut lines = String::new();
        for row in section.rows {
            let of = |figure: &&str| match figure.ends_with("ns") {
                true => data.least(section.name, case.name, row.name, figure),
                false => data.median(section.name, case.name, row.name, figure),
            };
            let values: Vec<String> = figures.iter().map(|name| figure(of(name))).collect();
            if values.iter().any(|value| value != "–") {
                writeln!(lines, "| {} | {} |", row.name, values.join(" | ")).unwrap();
            }
        }
        if !lines.is_empty() {
            write!(page, "\n{}\n\n", grouped(case.name)).unwrap();
            let titles: Vec<String> = figures.iter().map(|name| name.replace("us/", "µs/")).collect();
            let mut cells = vec!["contestant"];
            cells.extend(titles.iter().map(String::as_str));
            header(page, &cells);
            page.push_str(&lines);
        }
    }
}
