// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether programs reach the hooks, by the ways in which they can get hold of the library: docs/hooks.md says which do,
//! and dyco_hook_active() agrees. Whichever poller the environment asks for.

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{library_dir, root, scratch};

const REACHED: &str = "active 1 missing none program 1 library 1\n";
const MISSED: &str = "active 0 missing read program 0 library 0\n";

/// Compiles tests/reach/NAME.c into `output` with these further arguments.
fn compile(folder: &Path, sources: &[&str], output: &str, arguments: &[&str]) -> PathBuf {
    let path = folder.join(output);
    let mut command = Command::new("gcc");
    command.args(["-O2", "-Wall", "-Wextra", "-Werror", "-std=gnu11", "-pthread", "-Wl,--no-as-needed"]);
    command.arg("-I").arg(root().join("include")).arg("-o").arg(&path);
    command.args(sources.iter().map(|name| root().join("tests/reach").join(name)));
    for folder in [folder, library_dir()] {
        command.arg("-L").arg(folder).arg(format!("-Wl,-rpath,{}", folder.display()));
    }
    let result = command.args(arguments).arg("-ldl").output().expect("gcc runs");
    assert!(result.status.success(), "{command:?}: {}", String::from_utf8_lossy(&result.stderr));
    path
}

/// The two libraries, in a folder of that name.
fn libraries(name: &str) -> PathBuf {
    let folder = scratch(&format!("reach_{name}"));
    compile(&folder, &["waits.c"], "libwaits.so", &["-shared", "-fPIC"]);
    compile(&folder, &["plugin.c"], "libplugin.so", &["-shared", "-fPIC", "-ldyco"]);
    folder
}

/// What the program says; by either poller the same.
fn run(program: &Path, arguments: [&str; 2], preload: bool) -> String {
    let [says, says_by_ring] = ["epoll", "io_uring"].map(|poller| run_by(poller, program, arguments, preload));
    assert_eq!(says, says_by_ring);
    says
}

fn run_by(poller: &str, program: &Path, arguments: [&str; 2], preload: bool) -> String {
    let mut command = Command::new(program);
    command.args(arguments).env("DYCO_POLLER", poller);
    if preload {
        command.env("LD_PRELOAD", library_dir().join("libdyco.so.3"));
    }
    let result = command.output().expect("the program runs");
    assert!(result.status.success(), "{command:?}: {}", String::from_utf8_lossy(&result.stderr));
    String::from_utf8_lossy(&result.stdout).into_owned()
}

fn load(how: &str, folder: &Path, library: &str) -> String {
    format!("{how}:{}", folder.join(library).display())
}

#[test]
fn linked_before_or_after_other_libraries() {
    let folder = libraries("linked");
    for (name, order) in [("first", ["-ldyco", "-lwaits"]), ("last", ["-lwaits", "-ldyco"])] {
        let program = compile(&folder, &["program.c", "plugin.c"], name, &order);
        assert_eq!(run(&program, ["linked", "linked"], false), REACHED, "{name}");
    }
}

#[test]
fn not_linked_after_libc() {
    let folder = libraries("libc");
    let program = compile(&folder, &["program.c", "plugin.c"], "program", &["-lc", "-lwaits", "-ldyco"]);
    assert_eq!(run(&program, ["linked", "linked"], false), MISSED);
    assert_eq!(run(&program, ["linked", "linked"], true), REACHED);
}

#[test]
fn archive_speaks_for_the_program_and_its_libraries() {
    let folder = libraries("archive");
    let archive = library_dir().join("libdyco.a");
    let archive = archive.to_str().expect("a path");
    let program = compile(&folder, &["program.c", "plugin.c"], "program", &[archive, "-lwaits", "-lm"]);
    assert_eq!(run(&program, ["linked", "linked"], false), REACHED);
}

#[test]
fn through_another_library_only_when_preloaded() {
    let folder = libraries("indirect");
    let program = compile(&folder, &["program.c"], "program", &["-lplugin", "-lwaits"]);
    assert_eq!(run(&program, ["linked", "linked"], false), MISSED);
    assert_eq!(run(&program, ["linked", "linked"], true), REACHED);
    let program = compile(&folder, &["program.c"], "named", &["-lplugin", "-lwaits", "-ldyco"]);
    assert_eq!(run(&program, ["linked", "linked"], false), REACHED);
}

#[test]
fn loaded_only_when_preloaded() {
    let folder = libraries("loaded");
    let program = compile(&folder, &["program.c"], "program", &[]);
    for how in ["local", "global"] {
        let (plugin, waits) = (load(how, &folder, "libplugin.so"), load(how, &folder, "libwaits.so"));
        assert_eq!(run(&program, [&plugin, &waits], false), MISSED, "{how}");
        assert_eq!(run(&program, [&plugin, &waits], true), REACHED, "{how}");
    }
}

#[test]
fn never_from_a_module_that_binds_deeply() {
    let folder = libraries("deep");
    let program = compile(&folder, &["program.c", "plugin.c"], "program", &["-ldyco"]);
    let waits = load("deep", &folder, "libwaits.so");
    for preload in [false, true] {
        let says = run(&program, ["linked", &waits], preload);
        assert_eq!(says, "active 1 missing none program 1 library 0\n");
    }
}
