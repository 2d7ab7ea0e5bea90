// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C and C++ test programs: what their directives ask for, and how they are built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::{has_command, root, target_dir};

/// How a program is compiled and linked.
#[derive(Clone, Copy, PartialEq)]
pub enum Mode {
    /// With libdyco.so.
    Shared,
    /// With libdyco.so, and -D_FORTIFY_SOURCE=2.
    Fortify,
    /// With libdyco.a, and the rest shared.
    Archive,
    /// With -static.
    Static,
    /// With libdyco.so, and DYCO_POLLER=io_uring.
    Ring,
}

impl Mode {
    const ALL: [Mode; 5] = [Mode::Shared, Mode::Fortify, Mode::Archive, Mode::Static, Mode::Ring];

    pub fn name(self) -> &'static str {
        match self {
            Mode::Shared => "shared",
            Mode::Fortify => "fortify",
            Mode::Archive => "archive",
            Mode::Static => "static",
            Mode::Ring => "ring",
        }
    }
}

/// The machine that a program is built for.
#[derive(Clone, Copy, PartialEq)]
pub enum Machine {
    Native,
    /// Cross-built on x86_64, and run by qemu-aarch64.
    Aarch64,
}

impl Machine {
    pub const TRIPLE: &str = "aarch64-unknown-linux-gnu";

    pub fn name(self) -> &'static str {
        match self {
            Machine::Native => std::env::consts::ARCH,
            Machine::Aarch64 => "aarch64",
        }
    }

    fn compiler(self, cpp: bool) -> &'static str {
        match (self, cpp) {
            (Machine::Native, false) => "gcc",
            (Machine::Native, true) => "g++",
            (Machine::Aarch64, false) => "aarch64-linux-gnu-gcc",
            (Machine::Aarch64, true) => "aarch64-linux-gnu-g++",
        }
    }

    /// Where `make lib` puts the libraries.
    pub fn library_dir(self) -> PathBuf {
        match self {
            Machine::Native => target_dir().join("lib"),
            Machine::Aarch64 => target_dir().join(Machine::TRIPLE).join("lib"),
        }
    }

    /// How to start a program of this machine.
    pub fn command(self, program: &Path) -> Command {
        match self {
            Machine::Native => Command::new(program),
            Machine::Aarch64 => {
                let mut command = Command::new("qemu-aarch64");
                command.args(["-cpu", "max", "-L", "/usr/aarch64-linux-gnu"]).arg(program);
                command
            }
        }
    }
}

/// A test program and its directives; tests/c/test.h explains them.
pub struct Program {
    source: PathBuf,
    /// As "c/sleep_order".
    pub name: String,
    cpp: bool,
    modes: Vec<String>,
    machines: Vec<String>,
    needs: Vec<String>,
    flags: Vec<String>,
    /// It compares what calls return with what they return in a program without the library (tests/c/same.h).
    pub compares: bool,
    pub limit: Duration,
    pub descriptors: Option<u64>,
}

impl Program {
    /// Every tests/c/*.c and tests/cpp/*.cpp.
    pub fn all() -> Vec<Program> {
        let mut sources: Vec<PathBuf> = ["c", "cpp"]
            .iter()
            .filter_map(|folder| fs::read_dir(root().join("tests").join(folder)).ok())
            .flatten()
            .map(|entry| entry.expect("folder entry").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "c" || extension == "cpp"))
            .collect();
        sources.sort();
        sources.into_iter().map(Program::new).collect()
    }

    fn new(source: PathBuf) -> Program {
        let text = fs::read_to_string(&source).expect("readable source");
        let words = |key: &str| -> Vec<String> {
            let start = format!("// {key}:");
            let lines = text.lines().take(30).filter_map(|line| line.trim().strip_prefix(&start));
            lines.flat_map(str::split_whitespace).map(str::to_string).collect()
        };
        let number = |key: &str| words(key).first().map(|word| word.parse::<u64>().expect("a number in a directive"));
        let folder = source.parent().and_then(Path::file_name).expect("in a folder").to_string_lossy();
        let stem = source.file_stem().expect("a file").to_string_lossy();
        Program {
            name: format!("{folder}/{stem}"),
            cpp: folder == "cpp",
            modes: words("modes"),
            machines: words("arch"),
            needs: words("needs"),
            flags: words("flags"),
            compares: text.contains("same_start();"),
            limit: Duration::from_secs(number("timeout").unwrap_or(30)),
            descriptors: number("nofile"),
            source,
        }
    }

    /// The ways to build it for that machine. The slow machine leaves out those that differ in the linker's work only,
    /// static programs unless they ask for it.
    pub fn modes(&self, machine: Machine) -> Vec<Mode> {
        if !self.machines.is_empty() && !self.machines.iter().any(|name| name == machine.name()) {
            return Vec::new();
        }
        let wanted = |mode: &Mode| {
            let usual = match mode {
                Mode::Shared => true,
                Mode::Archive => machine == Machine::Native,
                Mode::Fortify => machine == Machine::Native && !self.cpp,
                Mode::Ring => machine == Machine::Native,
                Mode::Static => {
                    !self.cpp && (machine == Machine::Native || self.modes.iter().any(|name| name == "static"))
                }
            };
            if self.modes.is_empty() { usual } else { usual && self.modes.iter().any(|name| name == mode.name()) }
        };
        Mode::ALL.into_iter().filter(wanted).collect()
    }

    /// A command that it needs and that is missing.
    pub fn missing(&self) -> Option<&str> {
        self.needs.iter().map(String::as_str).find(|name| !has_command(name))
    }

    /// Builds it in `folder`, and returns where it is, or what the compiler says.
    pub fn build(&self, machine: Machine, mode: Mode, folder: &Path) -> Result<PathBuf, String> {
        let library = machine.library_dir();
        self.compile(machine, mode, &folder.join(mode.name()), |command| match mode {
            Mode::Shared | Mode::Fortify | Mode::Ring => {
                command.arg("-L").arg(&library).arg(format!("-Wl,-rpath,{}", library.display())).arg("-ldyco");
            }
            Mode::Archive | Mode::Static => {
                command.arg(library.join("libdyco.a"));
            }
        })
    }

    /// Builds it without the library.
    pub fn build_plain(&self, machine: Machine, mode: Mode, folder: &Path) -> Result<PathBuf, String> {
        self.compile(machine, mode, &folder.join("plain"), |command| {
            command.arg("-DPLAIN");
        })
    }

    fn compile(
        &self,
        machine: Machine,
        mode: Mode,
        output: &Path,
        link: impl Fn(&mut Command),
    ) -> Result<PathBuf, String> {
        let mut command = Command::new(machine.compiler(self.cpp));
        command.args(["-O2", "-g", "-Wall", "-Wextra", "-Werror"]);
        command.args([if self.cpp { "-std=c++17" } else { "-std=gnu11" }, "-pthread"]);
        command.arg("-I").arg(root().join("include")).arg("-I").arg(root().join("tests/c"));
        if mode == Mode::Fortify {
            command.args(["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"]);
        }
        if mode == Mode::Static {
            command.arg("-static");
        }
        command.args(&self.flags).arg(&self.source).arg("-o").arg(output);
        link(&mut command);
        let result = command.args(["-ldl", "-lm"]).output().map_err(|error| format!("{command:?}: {error}"))?;
        let says = String::from_utf8_lossy(&result.stderr);
        if result.status.success() { Ok(output.to_path_buf()) } else { Err(format!("{command:?}\n{says}")) }
    }
}
