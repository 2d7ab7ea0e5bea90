// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C header: generated from src/capi/, current, and fit for every compiler and language standard.
//! `BLESS=1` (that is `make header`) writes the committed file instead of comparing with it.

use std::fs;
use std::path::Path;
use std::process::Command;

use harness::{has_command, read, root};

const HEADER: &str = "include/dyco_coroutine.h";

/// A section of the header: a file of src/capi/.
struct Section {
    /// From the file's `//!` comment: the title, and what it says below.
    title: String,
    text: Vec<String>,
    /// Its first function.
    first: String,
}

/// The sections in the order of src/capi/mod.rs, without files that hold no function.
fn sections() -> Vec<Section> {
    let modules = read("src/capi/mod.rs");
    let names = modules.lines().filter_map(|line| line.trim().strip_prefix("pub mod ")?.strip_suffix(';'));
    names.filter_map(section).collect()
}

fn section(module: &str) -> Option<Section> {
    let source = read(&format!("src/capi/{module}.rs"));
    let first = source.lines().find_map(|line| line.split_once("extern \"C\" fn ")?.1.split('(').next())?;
    let mut comment = source.lines().filter_map(|line| line.strip_prefix("//!"));
    Some(Section {
        title: comment.next().expect("a //! comment").trim().to_string(),
        text: comment.map(|line| line.trim().to_string()).skip_while(String::is_empty).collect(),
        first: first.to_string(),
    })
}

impl Section {
    /// The comment that opens the section in the header.
    fn comment(&self) -> String {
        let rule = "-".repeat(67 - self.title.len());
        let lines = self.text.iter().map(|line| format!(" * {line}").trim_end().to_string() + "\n");
        format!("/* ---- {} {rule}\n{} */\n\n", self.title, lines.collect::<String>())
    }

    /// Where in the header it begins: at the comment of its first function.
    fn start(&self, header: &str) -> usize {
        let call = format!("{}(", self.first);
        let mut comment = 0;
        let mut offset = 0;
        for line in header.split_inclusive('\n') {
            if line.starts_with("/**") {
                comment = offset;
            } else if line.contains(&call) && !line.starts_with([' ', '/']) {
                return comment;
            }
            offset += line.len();
        }
        panic!("{} is not in the header", self.first)
    }
}

/// The header as the sources want it now.
fn generate() -> String {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).expect("cbindgen.toml");
    let bindings = cbindgen::Builder::new().with_config(config).with_src(root().join("src/capi/mod.rs")).generate();
    let mut bytes = Vec::new();
    bindings.expect("cbindgen").write(&mut bytes);
    let mut header = String::from_utf8(bytes).expect("UTF-8");
    for section in sections() {
        header.insert_str(section.start(&header), &section.comment());
    }
    // C89 knows one kind of comment.
    let header = header.replace("// __cplusplus", "/* __cplusplus */").replace("// extern \"C\"", "/* extern \"C\" */");
    header.replace("\n\n\n", "\n\n")
}

#[test]
fn is_current() {
    let header = generate();
    if std::env::var_os("BLESS").is_some() {
        fs::write(root().join(HEADER), header).expect(HEADER);
        return;
    }
    let committed = read(HEADER);
    let difference = committed.lines().zip(header.lines()).enumerate().find(|(_, (old, new))| old != new);
    if let Some((number, (old, new))) = difference {
        panic!("{HEADER}:{}: has `{old}`, should have `{new}`; run `make header`", number + 1);
    }
    assert_eq!(committed.len(), header.len(), "{HEADER} is not current; run `make header`");
}

/// Nothing that only a Rust programmer can read, and no line too long for a terminal.
#[test]
fn is_for_c_programmers() {
    let header = generate();
    for (number, line) in header.lines().enumerate() {
        for foreign in ["# Safety", "# Errors", "[`", "`None`", "`Err", "`Ok", "::"] {
            assert!(!line.contains(foreign), "{HEADER}:{}: {foreign} in `{line}`", number + 1);
        }
        assert!(line.len() <= 80, "{HEADER}:{}: longer than 80 columns: `{line}`", number + 1);
    }
}

/// Uses what the header promises; each line of it compiles in C and in C++.
const PROGRAM: &str = r#"
#ifdef NDEBUG
#error "the header must not define NDEBUG"
#endif
#ifndef COROUTINE_HOOK
#error "COROUTINE_HOOK"
#endif
#ifndef _GNU_SOURCE
#error "_GNU_SOURCE"
#endif
static void entry(void *arg) {
    char buffer[DYCO_DEFAULT_CHANNELSIZE];
    DYCO_MUST(arg != NULL);
    DYCO_MUSTNOT(arg == NULL);
    if (arg == NULL) DYCO_ABORT(); else DYCO_WARNIF(sizeof buffer < 1, "small");
    dyco_coroutine_sleep(0);
}
int main(void) {
    const char *version = DYCO_VERSION;
    sigset_t set, old;
    void *udata = NULL, *stack;
    size_t size;
    struct epoll_event event;
    struct signalfd_siginfo info;
    struct pollfd pollfd = { 0, POLLIN, 0 };
    eventfd_t count = 0;
    pthread_t self = pthread_self();
    proc_coroutine function = entry;
    int numbers[] = { DYCO_MAX_STACKSIZE, DYCO_DEFAULT_STACKSIZE, DYCO_DEFAULT_CHANNELSIZE, DYCO_MAX_EVENTS,
                      DYCO_URGENT_MAXEXEC, DYCO_URGENT_MAXWAIT, INT_MAX, WNOHANG, O_RDONLY, EFD_NONBLOCK, MSG_PEEK };
    dyco_schedule *scheduler = dyco_schedule_current();
    int cid = dyco_coroutine_create(function, &set);
    assert(cid > 0);
    memset(&event, 0, sizeof event);
    memset(&info, 0, sizeof info);
    sigemptyset(&set);
    dyco_schedcall_sigprocmask(SIG_BLOCK, &set, &old);
    dyco_coroutine_setStack(cid, NULL, DYCO_DEFAULT_STACKSIZE);
    dyco_coroutine_getStack(cid, &stack, &size);
    dyco_schedule_getUdata(&udata);
    dyco_schedule_free(scheduler);
    printf("%s %s %d %d %d %d %d\n", version, dyco_version(), numbers[0], (int)pollfd.fd, (int)count, pthread_equal(self, self),
           (int)time(NULL));
    return dyco_schedule_run();
}
"#;

#[test]
fn compiles_without_a_warning() {
    let folder = harness::scratch("header");
    let mut compiled = 0;
    for (compilers, suffix, standards) in [
        (["gcc", "clang"], "c", &["c99", "c11", "c17", "c2x", "gnu99", "gnu17", "c89"][..]),
        (["g++", "clang++"], "cpp", &["c++11", "c++14", "c++17", "c++20", "c++2b", "gnu++17"][..]),
    ] {
        // Alone; after a system header has fixed the feature macros; under the other name; where TLS is asked for.
        for (name, top, program) in [
            ("alone", "#include \"dyco_coroutine.h\"\n", PROGRAM),
            (
                "late",
                "#include <stdio.h>\n#include \"dyco_coroutine.h\"\n",
                "int main(void) { return dyco_schedule_run(); }\n",
            ),
            ("dyco", "#include \"dyco/dyco_coroutine.h\"\n#include <dyco_coroutine.h>\n", PROGRAM),
            ("tls", "#define DYCO_SSL_OK\n#include \"dyco_coroutine.h\"\n", PROGRAM),
        ] {
            if name == "tls" && !Path::new("/usr/include/openssl/ssl.h").exists() {
                continue;
            }
            let source = folder.join(format!("{name}.{suffix}"));
            fs::write(&source, format!("{top}{program}")).expect("source");
            for compiler in compilers.into_iter().filter(|compiler| has_command(compiler)) {
                // The other ways to include it differ least in the standards between.
                for (number, standard) in standards.iter().enumerate() {
                    if name != "alone" && number != 0 && number != 3 {
                        continue;
                    }
                    let output = Command::new(compiler)
                        .args(["-fsyntax-only", "-Wall", "-Wextra", "-pedantic", "-Werror"])
                        .args([&format!("-std={standard}"), &format!("-I{}", root().join("include").display())])
                        .arg(&source)
                        .output()
                        .expect("compiler");
                    let errors = String::from_utf8_lossy(&output.stderr);
                    assert!(output.status.success(), "{compiler} -std={standard}, {name}:\n{errors}");
                    compiled += 1;
                }
            }
        }
    }
    assert!(compiled >= 20, "no compiler");
}

/// The version stands in five places; cargo's is the one that counts.
#[test]
fn versions_agree() {
    let cargo = read("Cargo.toml");
    let version = cargo.lines().find_map(|line| line.strip_prefix("version = ")).expect("version").trim_matches('"');
    assert!(read(HEADER).contains(&format!("#define DYCO_VERSION \"v{version}\"\n")), "{HEADER}");
    assert!(read("meson.build").contains(&format!("version: '{version}'")), "meson.build");
    assert!(read("Makefile").contains(&format!("VERSION = {version}\n")), "Makefile");
    assert!(read("CHANGELOG.md").contains(&format!("## {version}")), "CHANGELOG.md");
}
