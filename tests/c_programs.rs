// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compiles and runs every tests/c/*.c and tests/cpp/*.cpp, in every way that a program can use the library, on this
//! machine and, cross-built, on aarch64 under qemu. `cargo test -p dyco-tests --test c_programs -- sleep static`
//! selects by words in the names.

use std::path::Path;
use std::process::Command;
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
    let binary = match program.build(machine, mode, folder) {
        Ok(binary) => binary,
        Err(says) => return Outcome::Failed(says),
    };
    let mut command = machine.command(&binary);
    command.current_dir(folder);
    if mode == Mode::Ring {
        command.env("DYCO_POLLER", "io_uring");
    }
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
        Some(_) => {
            // Of hundreds of binaries only those of failures are worth keeping.
            let _ = std::fs::remove_dir_all(folder);
            return Outcome::Passed;
        }
    };
    let why = format!("{}\n--- {reason}; to repeat: {}", ended.output.trim_end(), binary.display());
    ended.failure(why, machine == Machine::Aarch64)
}
