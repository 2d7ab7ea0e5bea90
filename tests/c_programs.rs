// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compiles and runs every tests/c/*.c and tests/cpp/*.cpp, in every way that a program can use the library, on this
//! machine and, cross-built, on aarch64 under qemu. `cargo test -p dyco-tests --test c_programs -- sleep static`
//! selects by words in the names.
//!
//! Those that compare what calls return with what libc's own return (tests/c/same.h) are built and run without the library
//! first.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use harness::processor;
use harness::program::{Machine, Mode, Program};
use harness::report::{Outcome, Report, Try};
use harness::run::{Patience, limit_descriptors, run};
use harness::{Once, has_command, make, scratch};

/// What a program exits with when the machine lacks what it needs.
const SKIPPED: i32 = 77;

fn main() {
    let report = Report::from_args();
    let programs = Program::all();
    assert!(!programs.is_empty(), "no test programs");
    let mut cases = cases(&report, &programs, Machine::Native);
    if !cases.is_empty() {
        make(&["lib"]);
    }
    let mut cross = Vec::new();
    if std::env::consts::ARCH == "x86_64" {
        match cross_tools_missing() {
            None => cross = self::cases(&report, &programs, Machine::Aarch64),
            Some(missing) => report.add("aarch64", Outcome::Skipped(missing), Duration::ZERO),
        }
    }
    std::thread::scope(|scope| {
        if !cross.is_empty() {
            // Ready by the time that its first program is to be linked, or nearly so.
            scope.spawn(cross_library);
        }
        cases.append(&mut cross);
        Report::in_parallel(8 * processor::count(), &cases, |case| {
            report.try_twice(&case.name, |this_try| {
                test(case, this_try, &scratch(&format!("programs/{}", case.name.replace(' ', "/"))))
            });
        });
    });
    Program::remove_objects();
    report.finish()
}

fn cross_tools_missing() -> Option<String> {
    let commands = ["aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++", "qemu-aarch64"];
    if let Some(command) = commands.into_iter().find(|command| !has_command(command)) {
        return Some(format!("needs {command}"));
    }
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().ok()?;
    let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_string();
    let core = Path::new(&sysroot).join("lib/rustlib").join(Machine::TRIPLE).join("lib");
    (!core.is_dir()).then(|| format!("needs `rustup target add {}`", Machine::TRIPLE))
}

/// The library for aarch64, made by whoever is the first to need it.
fn cross_library() {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        let _turn = processor::take();
        make(&["lib", &format!("TRIPLE={}", Machine::TRIPLE)])
    });
}

/// A program in one of the ways to use the library.
struct Case<'a> {
    name: String,
    program: &'a Program,
    machine: Machine,
    mode: Mode,
}

fn cases<'a>(report: &Report, programs: &'a [Program], machine: Machine) -> Vec<Case<'a>> {
    let of_program = |program: &'a Program| {
        program.modes(machine).into_iter().map(move |mode| {
            let name = format!("{} {} {}", program.name, machine.name(), mode.name());
            Case { name, program, machine, mode }
        })
    };
    programs.iter().flat_map(of_program).filter(|case| report.is_wanted(&case.name)).collect()
}

/// Builds and runs a program in `folder`.
fn test(case: &Case, this_try: Try, folder: &Path) -> Outcome {
    let Case { program, machine, mode, .. } = *case;
    if let Some(missing) = program.missing() {
        return Outcome::Skipped(format!("needs {missing}"));
    }
    if machine == Machine::Aarch64 {
        cross_library();
    }
    let said = match program.compares.then(|| said_plain(case, this_try, folder)).transpose() {
        Ok(said) => said,
        Err(outcome) => return outcome,
    };
    let binary = match program.build(machine, mode, folder) {
        Ok(binary) => binary,
        Err(says) => return Outcome::Failed(says),
    };
    let mut command = machine.command(&binary);
    if mode == Mode::Ring {
        command.env("DYCO_POLLER", "io_uring");
    }
    if let Some(said) = said {
        command.env(TRANSCRIPT, said);
    }
    let outcome = run_program(case, command, this_try, folder);
    if let Outcome::Passed = outcome {
        // Of hundreds of binaries only those of failures are worth keeping.
        let _ = std::fs::remove_dir_all(folder);
    }
    outcome
}

/// Where a program without the library leaves what its calls returned, and the one with it finds that.
const TRANSCRIPT: &str = "SAME_TRANSCRIPT";

type Said = Result<PathBuf, Outcome>;

/// What the program says without the library, in a file: once for the modes in which that is the same program. A second
/// try has nothing to do with the first.
fn said_plain(case: &Case, this_try: Try, folder: &Path) -> Said {
    static SAID: Once<Said> = Once::new();
    if this_try == Try::Second {
        return say_plain(case, this_try, &folder.join("without"));
    }
    let kind = match case.mode {
        Mode::Fortify | Mode::Static => case.mode.name(),
        Mode::Shared | Mode::Archive | Mode::Ring => "usual",
    };
    let name = format!("plain/{}/{}/{kind}", case.program.name, case.machine.name());
    SAID.get(&name, || say_plain(case, this_try, &scratch(&name)))
}

fn say_plain(case: &Case, this_try: Try, folder: &Path) -> Said {
    std::fs::create_dir_all(folder).expect("scratch folder");
    let binary = case.program.build_plain(case.machine, case.mode, folder).map_err(Outcome::Failed)?;
    let said = folder.join("said");
    let mut command = case.machine.command(&binary);
    command.env(TRANSCRIPT, &said);
    match run_program(case, command, this_try, folder) {
        Outcome::Passed => {
            let _ = std::fs::remove_file(binary);
            Ok(said)
        }
        outcome => Err(outcome),
    }
}

/// Runs what has been built of a program.
fn run_program(case: &Case, mut command: Command, this_try: Try, folder: &Path) -> Outcome {
    let Case { program, machine, .. } = *case;
    command.current_dir(folder);
    if !limit_descriptors(&mut command, program.descriptors) {
        return Outcome::Skipped("may not open that many descriptors here".to_string());
    }
    let _turn = program.is_busy.then(processor::take);
    let (slower, longer) = if machine == Machine::Native { (1, 1) } else { (4, 5) };
    let patience = Patience::now(slower, this_try);
    patience.tell(&mut command);
    let limit = patience.limit(program.limit * longer);
    let ended = match run(&mut command, limit, &folder.join("output")) {
        Ok(ended) => ended,
        Err(error) => return Outcome::Failed(format!("{command:?}: {error}")),
    };
    let reason = match ended.status {
        None => format!("did not end within {} s", limit.as_secs()),
        Some(status) if status.code() == Some(SKIPPED) => {
            return Outcome::Skipped(ended.output.trim().trim_start_matches("skipped: ").to_string());
        }
        Some(status) if !status.success() => status.to_string(),
        Some(_) if !ended.output.lines().any(|line| line == "test_done") => "ended without test_done()".to_string(),
        Some(_) => return Outcome::Passed,
    };
    let why = format!("{}\n--- {reason}; to repeat: {command:?}", ended.output.trim_end());
    ended.failure(why, machine == Machine::Aarch64)
}
