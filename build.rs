// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names the shared library and pins it in memory; nothing else.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let major = std::env::var("CARGO_PKG_VERSION_MAJOR").expect("set by cargo");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libdyco.so.{major}");
    // Without std nobody else names libc, whose symbols have versions.
    println!("cargo::rustc-cdylib-link-arg=-lc");
    // Parked coroutines, signal handlers and thread-exit hooks point into the library: dlclose must not unmap it.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
