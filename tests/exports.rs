// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the libraries give to and want from the programs that link with them.

use std::collections::BTreeSet;
use std::process::Command;

use harness::{library_dir, make_with, read, root, scratch};

/// What a command prints, which must succeed.
fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn exported(library: &std::path::Path) -> BTreeSet<String> {
    let names = printed(Command::new("nm").args(["-D", "--defined-only"]).arg(library));
    names.lines().filter_map(|line| line.split_whitespace().last()).map(str::to_string).collect()
}

/// The functions that the header declares.
fn declared() -> BTreeSet<String> {
    let header = read("include/dyco_coroutine.h");
    let code = header.lines().filter(|line| !line.starts_with([' ', '/', '#']));
    code.filter_map(|line| {
        let before = line.split_once('(')?.0;
        let name = before.rsplit([' ', '*']).next()?;
        name.starts_with("dyco_").then(|| name.to_string())
    })
    .collect()
}

/// The libc names that both libraries define.
fn hooked() -> BTreeSet<String> {
    read("tools/hooks.list").lines().map(str::to_string).collect()
}

/// Those that only the shared one does: the archive leaves them to libc, without which nothing stands behind them.
fn hooked_in_shared() -> BTreeSet<String> {
    read("tools/hooks_shared.list").lines().map(str::to_string).collect()
}

fn assert_same(found: &BTreeSet<String>, wanted: &BTreeSet<String>) {
    let missing: Vec<_> = wanted.difference(found).collect();
    let surplus: Vec<_> = found.difference(wanted).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "not exported: {missing:?}; exported but not promised: {surplus:?}"
    );
}

#[test]
fn shared_library_exports_the_header_and_the_hooks() {
    let declared = declared();
    assert!(declared.contains("dyco_coroutine_create") && declared.contains("dyco_schedule_current"));
    let wanted = [declared, hooked(), hooked_in_shared()].into_iter().flatten().collect();
    assert_same(&exported(&library_dir().join("libdyco.so")), &wanted);
}

#[test]
fn without_hooks_and_tls_it_exports_the_rest_of_the_header() {
    let target = scratch("no_hooks");
    make_with(&["lib", "HOOK=no", "SSL=no"], &[("CARGO_TARGET_DIR", &target)]);
    let wanted = declared().into_iter().filter(|name| !name.starts_with("dyco_SSL_")).collect();
    assert_same(&exported(&target.join("no-hook/no-ssl/lib/libdyco.so")), &wanted);
}

/// Nothing of Rust's own library, which a program's own copy of could collide with.
#[test]
fn archive_defines_the_same_and_the_hooks_are_weak() {
    let symbols = printed(Command::new("nm").args(["-g", "--defined-only"]).arg(library_dir().join("libdyco.a")));
    let of_kind = |kind: &str| -> BTreeSet<String> {
        let names = symbols.lines().filter_map(|line| line.split_once(kind));
        names.map(|(_, name)| name.to_string()).collect()
    };
    assert_same(&of_kind(" W "), &hooked());
    assert_same(&of_kind(" T "), &declared());
    assert_eq!(symbols.lines().filter(|line| line.contains(' ')).count(), hooked().len() + declared().len());
}

/// A build in another folder gives the same bytes.
#[test]
fn they_do_not_say_where_they_were_built() {
    for name in ["libdyco.so", "libdyco.a"] {
        let bytes = std::fs::read(library_dir().join(name)).expect(name);
        let place = root().to_str().expect("UTF-8");
        let found = bytes.windows(place.len()).any(|window| window == place.as_bytes());
        assert!(!found, "{name} contains {place}");
    }
}

#[test]
fn it_is_named_for_its_abi_and_needs_libc_only() {
    let dynamic = printed(Command::new("readelf").args(["-dW"]).arg(library_dir().join("libdyco.so")));
    assert!(dynamic.contains("soname: [libdyco.so.3]"), "{dynamic}");
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
    // Hardened as distributions want it: nothing writable that is executable, nothing bound late.
    assert!(dynamic.contains("BIND_NOW") && !dynamic.contains("TEXTREL"), "{dynamic}");
    let segments = printed(Command::new("readelf").args(["-lW"]).arg(library_dir().join("libdyco.so")));
    assert!(segments.contains("GNU_RELRO") && !segments.contains("RWE"), "{segments}");
    for needed in dynamic.lines().filter(|line| line.contains("(NEEDED)")) {
        assert!(needed.contains("[libc.so.6]") || needed.contains("[ld-linux"), "{needed}");
    }
}
