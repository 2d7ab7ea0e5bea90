#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The benchmark, against target/lib: all of it, or only SECTION or SECTION:CASE of it, `build` to build only, `report` to write the tables anew
# from what was measured before. QUICK=1 measures less often and leaves out what takes longest.
#
#     benches/run.sh [SECTION[:CASE]...]
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target/bench"
lib=$(cd "$target/lib" && pwd)
out=$(cd "$target/bench" && pwd)
ulimit -n "$(ulimit -Hn)"
# The counter of system calls is behind tracefs; perf(1) mounts it in the same way.
[ -d /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null || :
${CARGO:-cargo} build --quiet --release --manifest-path benches/harness/Cargo.toml --target-dir "$out/harness"
exec "$out/harness/release/dyco-bench" "$PWD/benches" "$lib" "$out" "$@"
