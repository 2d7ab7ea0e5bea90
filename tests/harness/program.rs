// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C and C++ test programs: what their directives ask for, and how they are built.

use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::{Once, has_command, processor, root, scratch, target_dir};

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
    pub is_busy: bool,
    /// Of its source.
    length: usize,
    pub descriptors: Option<u64>,
}

impl Program {
    /// Every tests/c/*.c and tests/cpp/*.cpp; first those that may take longest, so that nothing long is left at the end.
    pub fn all() -> Vec<Program> {
        let mut sources: Vec<PathBuf> = ["c", "cpp"]
            .iter()
            .filter_map(|folder| fs::read_dir(root().join("tests").join(folder)).ok())
            .flatten()
            .map(|entry| entry.expect("folder entry").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "c" || extension == "cpp"))
            .collect();
        sources.sort();
        let mut programs: Vec<Program> = sources.into_iter().map(Program::new).collect();
        programs.sort_by_key(|program| Reverse((program.compares, program.limit, program.length)));
        programs
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
            is_busy: !words("busy").is_empty(),
            length: text.len(),
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
        let mut gcc = Command::new(machine.compiler(self.cpp));
        gcc.args(&self.flags).arg(self.object(machine, mode, false)?);
        let library = machine.library_dir();
        match mode {
            Mode::Shared | Mode::Fortify | Mode::Ring => {
                gcc.arg("-L").arg(&library).arg(format!("-Wl,-rpath,{}", library.display())).arg("-ldyco");
            }
            Mode::Archive | Mode::Static => {
                gcc.arg(library.join("libdyco.a"));
            }
        }
        link(gcc, mode, folder.join(mode.name()))
    }

    /// Builds it without the library.
    pub fn build_plain(&self, machine: Machine, mode: Mode, folder: &Path) -> Result<PathBuf, String> {
        let mut gcc = Command::new(machine.compiler(self.cpp));
        gcc.args(&self.flags).arg(self.object(machine, mode, true)?);
        link(gcc, mode, folder.join("plain"))
    }

    /// Compiles it, once for the modes that differ in the linker's work only.
    fn object(&self, machine: Machine, mode: Mode, plain: bool) -> Result<PathBuf, String> {
        static OBJECTS: Once<Result<PathBuf, String>> = Once::new();
        let kind = match (mode == Mode::Fortify, plain) {
            (false, false) => "usual",
            (true, false) => "fortify",
            (false, true) => "plain",
            (true, true) => "plain_fortify",
        };
        let name = format!("{OBJECTS_FOLDER}/{}/{}/{kind}", self.name, machine.name());
        OBJECTS.get(&name, || {
            let object = scratch(&name).join("program.o");
            let mut gcc = Command::new(machine.compiler(self.cpp));
            gcc.args(["-g", "-Wall", "-Wextra", "-Werror", "-c"]);
            gcc.args([if self.cpp { "-std=c++17" } else { "-std=gnu11" }, "-pthread"]);
            gcc.arg("-I").arg(root().join("include")).arg("-I").arg(root().join("tests/c"));
            // What libc does is the same however its caller is compiled, which is quick with little optimisation.
            gcc.args(if plain { &["-O1", "-DPLAIN"][..] } else { &["-O2"] });
            if mode == Mode::Fortify {
                gcc.args(["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"]);
            }
            processor::compile(gcc.args(&self.flags).arg(&self.source).arg("-o").arg(&object)).map(|()| object)
        })
    }

    /// Removes what only building needs.
    pub fn remove_objects() {
        let _ = fs::remove_dir_all(scratch(OBJECTS_FOLDER));
    }
}

const OBJECTS_FOLDER: &str = "objects";

fn link(mut gcc: Command, mode: Mode, program: PathBuf) -> Result<PathBuf, String> {
    if mode == Mode::Static {
        gcc.arg("-static");
    }
    processor::compile(gcc.args(["-pthread", "-ldl", "-lm", "-o"]).arg(&program)).map(|()| program)
}
