// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compiles the contestants. What cannot be built is left out, and said.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;
use std::{env, fs, io};

use crate::contestants::{PROGRAMS, SECTIONS};

/// Folders of this benchmark.
pub struct Place {
    /// benches/
    pub sources: PathBuf,
    /// Where the built library is.
    pub library: PathBuf,
    /// Programs, and a copy of the library: a build that goes on meanwhile does not change what is measured.
    pub programs: PathBuf,
    pub data: PathBuf,
}

impl Place {
    pub fn program(&self, work: &str, name: &str) -> PathBuf {
        self.programs.join(format!("{work}_{name}"))
    }

    pub fn certificate(&self) -> PathBuf {
        self.programs.join("certificate.pem")
    }
}

pub fn build(place: &Place) -> io::Result<()> {
    fs::copy(place.library.join("libdyco.so"), place.programs.join("libdyco.so.3"))?;
    let _ = fs::remove_file(place.programs.join("libdyco.so"));
    std::os::unix::fs::symlink("libdyco.so.3", place.programs.join("libdyco.so"))?;

    let mut missing = Vec::new();
    for section in SECTIONS {
        for program in PROGRAMS {
            for extension in ["c", "cpp"] {
                let source = place.sources.join(section.work).join(format!("{}.{extension}", program.name));
                let target = place.program(section.work, program.name);
                if source.exists() && !compile(place, &[&source], &target, program.libraries, &[]) {
                    missing.push(program.package);
                }
            }
        }
    }
    let load = [&place.sources.join("load/load.c"), &place.sources.join("load/client.c")];
    if !compile(place, &load, &place.programs.join("load"), &["-lm"], &[]) {
        return Err(io::Error::other("the load generator does not compile"));
    }
    compile(place, &load, &place.programs.join("load_tls"), &["-lm", "-lssl", "-lcrypto"], &["-DTLS"]);
    certificate(place);
    if !peers(place) {
        missing.push("(crates.io)");
    }
    missing.sort_unstable();
    missing.dedup();
    if !missing.is_empty() {
        eprintln!("bench: left out, for want of {}: tools/install-bench-deps.sh installs them", missing.join(", "));
    }
    Ok(())
}

/// The latest change of what a program is made from: the folder of its source, and what all share.
fn changed(place: &Place, source: &Path) -> Option<SystemTime> {
    let folders = [source.parent()?, &place.sources.join("common"), &place.sources.join("../include")];
    let files = folders.into_iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    files.filter_map(|file| file.metadata().ok()?.modified().ok()).max()
}

fn compile(place: &Place, sources: &[&PathBuf], target: &Path, libraries: &[&str], flags: &[&str]) -> bool {
    let built = target.metadata().and_then(|file| file.modified()).ok();
    if built.is_some() && built > changed(place, sources[0]) {
        return true;
    }
    let _ = fs::remove_file(target);
    let plus = sources[0].extension().is_some_and(|extension| extension == "cpp");
    let variable = if plus { "CXX" } else { "CC" };
    let compiler = env::var(variable).unwrap_or(if plus { "c++" } else { "cc" }.into());
    let mut command = Command::new(compiler);
    command.args([if plus { "-std=gnu++17" } else { "-std=gnu11" }, "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-I"]);
    command.arg(place.sources.join("../include")).args(flags).args(sources).arg("-o").arg(target);
    command.arg("-L").arg(&place.programs).arg(format!("-Wl,-rpath,{}", place.programs.display()));
    let log = command.arg("-Wl,--as-needed").args(libraries).stdin(Stdio::null()).output();
    match log {
        Ok(log) if log.status.success() => {
            eprint!("{}", String::from_utf8_lossy(&log.stderr));
            true
        }
        Ok(log) => {
            let text = String::from_utf8_lossy(&log.stderr).into_owned();
            let reason = text.lines().find(|line| line.contains("error") || line.contains("cannot find"));
            eprintln!("bench: {} left out: {}", target.display(), reason.unwrap_or("does not compile"));
            false
        }
        Err(error) => {
            eprintln!("bench: {} left out: {error}", target.display());
            false
        }
    }
}

/// Those in Rust, which need crates.io the first time.
fn peers(place: &Place) -> bool {
    let folder = place.programs.join("peers");
    let mut command = Command::new(env::var("CARGO").unwrap_or("cargo".into()));
    command.args(["build", "--quiet", "--release", "--locked", "--manifest-path"]);
    command.arg(place.sources.join("peers/Cargo.toml")).arg("--target-dir").arg(&folder);
    let built = command.status().is_ok_and(|status| status.success());
    for section in SECTIONS {
        for name in ["corosensei", "may", "tokio"] {
            let target = place.program(section.work, name);
            let _ = fs::remove_file(&target);
            if built {
                let _ = fs::copy(folder.join("release").join(format!("{}_{name}", section.work)), target);
            }
        }
    }
    built
}

fn certificate(place: &Place) {
    let file = place.certificate();
    if file.exists() {
        return;
    }
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost", "-keyout"]);
    command.arg(&file).arg("-out").arg(file.with_extension("crt")).stderr(Stdio::null());
    if command.status().is_ok_and(|status| status.success())
        && let (Ok(key), Ok(certificate)) = (fs::read(&file), fs::read(file.with_extension("crt")))
    {
        let _ = fs::write(&file, [key, certificate].concat());
    }
}
