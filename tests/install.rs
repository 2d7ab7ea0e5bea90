// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every way to install the library and to build a program with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{has_command, library_dir, make, root, scratch};

/// The program that each way must build: it needs the header, the library and hooks, by either poller.
const PROGRAM: &str = r#"
#include "dyco_coroutine.h"
#include "dyco/dyco_coroutine.h"
static int order[2], count, ends[2];
static void receiver(void *arg) {
    char byte;
    (void)arg;
    DYCO_MUST(recv(ends[0], &byte, 1, 0) == 1);
    order[count++] = 1;
}
static void sender(void *arg) {
    (void)arg;
    usleep(1000);
    order[count++] = 0;
    DYCO_MUST(send(ends[1], "x", 1, 0) == 1);
}
static void run(const char *poller) {
    DYCO_MUST(setenv("DYCO_POLLER", poller, 1) == 0);
    count = 0;
    dyco_coroutine_create(receiver, NULL);
    dyco_coroutine_create(sender, NULL);
    DYCO_MUST(dyco_schedule_run() == 0);
    DYCO_MUST(count == 2 && order[0] == 0 && order[1] == 1);
    dyco_schedule_free(NULL);
}
int main(void) {
    DYCO_MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    run("epoll");
    run("io_uring");
    DYCO_MUST(strcmp(dyco_version(), DYCO_VERSION) == 0);
    puts("it works");
    return 0;
}
"#;

/// Runs a shell command in `folder`, which must succeed, and returns what it prints.
fn shell(folder: &Path, variables: &[(&str, String)], command: &str) -> String {
    let mut shell = Command::new("sh");
    shell.args(["-ec", command]).current_dir(folder).envs(variables.iter().map(|(key, value)| (key, value)));
    let output = shell.output().expect("sh runs");
    let text = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
    assert!(output.status.success(), "{command}\n{text}");
    text
}

/// A folder with somecode.c in it.
fn project(name: &str) -> PathBuf {
    let folder = scratch(name);
    fs::write(folder.join("somecode.c"), PROGRAM).expect("somecode.c");
    folder
}

/// Every file and link below a folder, relative to it, sorted.
fn files(folder: &Path) -> Vec<String> {
    let text = shell(folder, &[], "find . ! -type d | LC_ALL=C sort");
    text.lines().map(|line| line.trim_start_matches("./").to_string()).collect()
}

/// As `files` after an installation with a libdir of that name.
fn installed(libdir: &str) -> Vec<String> {
    let mut list = vec!["include/dyco/dyco_coroutine.h".to_string(), "include/dyco_coroutine.h".to_string()];
    let names = ["libdyco.a", "libdyco.so", "libdyco.so.3", "libdyco.so.3.0.0", "pkgconfig/dyco.pc"];
    list.extend(names.map(|name| format!("{libdir}/{name}")));
    list
}

/// Installs with make into a prefix of its own.
fn make_install(name: &str) -> PathBuf {
    library_dir();
    let prefix = scratch(name);
    // What is built is not built again: root need not have cargo.
    make(&["install", "CARGO=false", &format!("PREFIX={}", prefix.display())]);
    prefix
}

/// The variables that let compiler, pkg-config and loader find a prefix.
fn found_in(prefix: &Path, libdir: &str) -> Vec<(&'static str, String)> {
    let include = prefix.join("include").display().to_string();
    let lib = prefix.join(libdir).display().to_string();
    let pkg_config = format!("{lib}/pkgconfig");
    vec![
        ("C_INCLUDE_PATH", include),
        ("LIBRARY_PATH", lib.clone()),
        ("LD_LIBRARY_PATH", lib),
        ("PKG_CONFIG_PATH", pkg_config),
        ("PKG_CONFIG_ALLOW_SYSTEM_CFLAGS", "1".to_string()),
    ]
}

#[test]
fn make_installs_and_uninstalls() {
    library_dir();
    let stage = scratch("destdir");
    let destdir = format!("DESTDIR={}", stage.display());
    let usual = [destdir.as_str(), "CARGO=false"];
    make(&[&usual[..], &["install"]].concat());
    assert_eq!(files(&stage.join("usr/local")), installed("lib"));
    let pc = fs::read_to_string(stage.join("usr/local/lib/pkgconfig/dyco.pc")).expect("dyco.pc");
    assert!(pc.contains("prefix=/usr/local\n") && !pc.contains('@') && !pc.contains("destdir"), "{pc}");
    make(&[&usual[..], &["uninstall"]].concat());
    assert_eq!(files(&stage), [""; 0]);

    let distribution = ["PREFIX=/usr", "LIBDIR=/usr/lib/x86_64-linux-gnu"];
    make(&[&usual[..], &distribution, &["install"]].concat());
    assert_eq!(files(&stage.join("usr")), installed("lib/x86_64-linux-gnu"));
    make(&[&usual[..], &distribution, &["uninstall"]].concat());
    assert_eq!(files(&stage), [""; 0]);
}

/// In a mount namespace, where the live system may be written to and forgets it afterwards.
#[test]
fn sudo_make_install_then_plain_gcc() {
    let namespace = Command::new("unshare").args(["-rm", "true"]).output();
    if !namespace.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no mount namespaces here");
        return;
    }
    library_dir();
    let folder = project("live");
    let inside = format!(
        "mount -t tmpfs none /usr/local
         cp -r /etc etc && mount --bind etc /etc
         make -C '{}' install CARGO=false
         gcc somecode.c -ldyco -o program
         ./program
         make -C '{}' uninstall CARGO=false
         ! ./program",
        root().display(),
        root().display()
    );
    // The compiler and the sources may themselves live below /usr/local or /etc: then this cannot be tried.
    if [root(), &folder].iter().any(|path| path.starts_with("/usr/local")) {
        return;
    }
    let text = shell(&folder, &[], &format!("unshare -rm sh -ec \"{inside}\""));
    assert!(text.contains("it works"), "{text}");
}

#[test]
fn plain_gcc() {
    let prefix = make_install("prefix_gcc");
    let text = shell(&project("gcc"), &found_in(&prefix, "lib"), "gcc somecode.c -ldyco && ./a.out");
    assert_eq!(text, "it works\n");
}

#[test]
fn pkg_config() {
    if !has_command("pkg-config") {
        return eprintln!("skipped: needs pkg-config");
    }
    let prefix = make_install("prefix_pkg_config");
    let variables = [found_in(&prefix, "lib").remove(2), found_in(&prefix, "lib").remove(3)];
    let folder = project("pkg_config");
    assert_eq!(shell(&folder, &variables, "pkg-config --modversion dyco"), "3.0.0\n");
    let text = shell(&folder, &variables, "gcc somecode.c $(pkg-config --cflags --libs dyco) && ./a.out");
    assert_eq!(text, "it works\n");
    let text = shell(
        &folder,
        &variables[1..],
        "gcc -static somecode.c $(pkg-config --static --cflags --libs dyco) && ./a.out",
    );
    assert_eq!(text, "it works\n");
}

/// `cargo` shares nothing with the build that runs this test, so this takes a while: both uses of Meson in one build.
#[test]
fn meson() {
    if !has_command("meson") || !has_command("ninja") {
        return eprintln!("skipped: needs meson and ninja");
    }
    let folder = project("meson");
    fs::create_dir(folder.join("subprojects")).expect("subprojects");
    std::os::unix::fs::symlink(root(), folder.join("subprojects/dyco")).expect("link to the project");
    let definition = "project('program', 'c')\n\
                      dyco = subproject('dyco').get_variable('dyco_dep')\n\
                      test('program', executable('program', 'somecode.c', dependencies: dyco))\n";
    fs::write(folder.join("meson.build"), definition).expect("meson.build");
    shell(&folder, &[], "meson setup build && meson compile -C build && meson test -C build");
    assert_eq!(shell(&folder, &[], "build/program"), "it works\n");

    // As a project of its own, reusing what cargo has just built.
    let own = scratch("meson_own");
    let prefix = own.join("prefix");
    shell(
        root(),
        &[],
        &format!("meson setup '{}' --prefix '{}' --libdir lib", own.join("build").display(), prefix.display()),
    );
    fs::rename(folder.join("build/subprojects/dyco/cargo"), own.join("build/cargo")).expect("cargo's folder");
    shell(&own, &[], "meson compile -C build && meson install -C build");
    assert_eq!(files(&prefix), installed("lib"));
    let text = shell(
        &project("meson_user"),
        &found_in(&prefix, "lib"),
        "gcc somecode.c $(pkg-config --cflags --libs dyco) && ./a.out",
    );
    assert_eq!(text, "it works\n");
}
