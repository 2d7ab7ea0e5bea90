// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compiles and runs every tests/c/*.c and tests/cpp/*.cpp, in every way that a program can use the library, on this
//! machine and, cross-built, on aarch64 under qemu. `cargo test -p dyco-tests --test c_programs -- sleep static`
//! selects by words in the names.
//!
//! Those that compare what calls return with what libc's own return (tests/c/same.h) are built and run without the library
//! first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use harness::program::{Machine, Mode, Program};
use harness::report::{Outcome, Report, Try};
use harness::run::{Patience, limit_descriptors, run};
use harness::{has_command, make, scratch};

/// What a program exits with when the machine lacks what it needs.
const SKIPPED: i32 = 77;

fn main() {
    let report = Report::from_args();
    let programs = Program::all();
    assert!(!programs.is_empty(), "no test programs");
    test_machine(&report, &programs, Machine::Native);
    if std::env::consts::ARCH == "x86_64" {
        match cross_tools_missing() {
            None => test_machine(&report, &programs, Machine::Aarch64),
            Some(missing) => report.add("aarch64", Outcome::Skipped(missing), Duration::ZERO),
        }
    }
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

fn test_machine(report: &Report, programs: &[Program], machine: Machine) {
    let name = |program: &Program, mode: Mode| format!("{} {} {}", program.name, machine.name(), mode.name());
    let cases: Vec<(&Program, Mode)> = programs
        .iter()
        .flat_map(|program| program.modes(machine).into_iter().map(move |mode| (program, mode)))
        .filter(|(program, mode)| report.is_wanted(&name(program, *mode)))
        .collect();
    if cases.is_empty() {
        return;
    }
    match machine {
        Machine::Native => make(&["lib"]),
        Machine::Aarch64 => make(&["lib", &format!("TRIPLE={}", Machine::TRIPLE)]),
    }
    Report::in_parallel(&cases, |(program, mode)| {
        let name = name(program, *mode);
        report.try_twice(&name, |this_try| {
            test(program, machine, *mode, this_try, &scratch(&format!("programs/{}", name.replace(' ', "/"))))
        });
    });
}

/// Builds and runs a program in `folder`.
fn test(program: &Program, machine: Machine, mode: Mode, this_try: Try, folder: &Path) -> Outcome {
    if let Some(missing) = program.missing() {
        return Outcome::Skipped(format!("needs {missing}"));
    }
    let said = match program.compares.then(|| said_plain(program, machine, mode, this_try, folder)).transpose() {
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
    let outcome = run_program(program, machine, command, this_try, folder);
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
fn said_plain(program: &Program, machine: Machine, mode: Mode, this_try: Try, folder: &Path) -> Said {
    static SAID: Mutex<BTreeMap<String, Arc<OnceLock<Said>>>> = Mutex::new(BTreeMap::new());
    if this_try == Try::Second {
        return say_plain(program, machine, mode, this_try, &folder.join("without"));
    }
    let kind = match mode {
        Mode::Fortify | Mode::Static => mode.name(),
        Mode::Shared | Mode::Archive | Mode::Ring => "usual",
    };
    let name = format!("plain/{}/{}/{kind}", program.name, machine.name());
    let said = SAID.lock().expect("no panic while held").entry(name.clone()).or_default().clone();
    said.get_or_init(|| say_plain(program, machine, mode, this_try, &scratch(&name))).clone()
}

fn say_plain(program: &Program, machine: Machine, mode: Mode, this_try: Try, folder: &Path) -> Said {
    std::fs::create_dir_all(folder).expect("scratch folder");
    let binary = program.build_plain(machine, mode, folder).map_err(Outcome::Failed)?;
    let said = folder.join("said");
    let mut command = machine.command(&binary);
    command.env(TRANSCRIPT, &said);
    match run_program(program, machine, command, this_try, folder) {
        Outcome::Passed => {
            let _ = std::fs::remove_file(binary);
            Ok(said)
        }
        outcome => Err(outcome),
    }
}

/// Runs what has been built of a program.
fn run_program(program: &Program, machine: Machine, mut command: Command, this_try: Try, folder: &Path) -> Outcome {
    command.current_dir(folder);
    if !limit_descriptors(&mut command, program.descriptors) {
        return Outcome::Skipped("may not open that many descriptors here".to_string());
    }
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
