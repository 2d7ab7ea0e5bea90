// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the tests share: where things are, and the library under test.

pub mod processor;
pub mod program;
pub mod report;
pub mod run;
pub mod server;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

/// The project's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the project")
}

/// A file of the project.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Where cargo and make put what they build.
pub fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// An empty folder of that name for a test's files.
pub fn scratch(name: &str) -> PathBuf {
    let folder = target_dir().join("tests").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("scratch folder");
    folder
}

/// What is done once for each name, by whoever is the first to need it.
pub struct Once<T>(Mutex<BTreeMap<String, Arc<OnceLock<T>>>>);

impl<T: Clone> Once<T> {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Once<T> {
        Once(Mutex::new(BTreeMap::new()))
    }

    pub fn get(&self, name: &str, make: impl FnOnce() -> T) -> T {
        let cell = self.0.lock().expect("no panic while held").entry(name.to_string()).or_default().clone();
        cell.get_or_init(make).clone()
    }
}

/// Whether the command is on the PATH.
pub fn has_command(name: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(name).is_file()))
}

/// The folder with libdyco.so and the weakened libdyco.a, as `make` builds them for this machine.
pub fn library_dir() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        make(&["lib"]);
        target_dir().join("lib")
    })
}

/// Runs `make` in the project, which must succeed.
pub fn make(args: &[&str]) {
    make_with(args, &[]);
}

/// Runs `make` with these variables in its environment.
pub fn make_with(args: &[&str], variables: &[(&str, &Path)]) {
    let mut command = Command::new("make");
    // Nothing of a make that this test runs under.
    command.env_remove("MAKEFLAGS").env_remove("MAKELEVEL").envs(variables.iter().copied());
    let output = command.arg("-C").arg(root()).args(args).output().expect("make runs");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "make {}:\n{text}", args.join(" "));
}

/// Makes a certificate for localhost and its key in `folder`, and returns where they are.
pub fn certificate(folder: &Path) -> (String, String) {
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.join(name).to_string_lossy().into_owned());
    let request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    let names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    let files = ["-keyout", &key, "-out", &certificate];
    let output = Command::new("openssl").args(request).args(names).args(files).output().expect("openssl runs");
    assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
    (certificate, key)
}
