#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The benchmark: builds the contestants against target/release, lets them take turns, one CPU for the server and one for
# the load, and writes the medians to benches/results.md. About four minutes; QUICK=1: one.
set -eu
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
lib=$(cd "$target/release" && pwd)
mkdir -p "$target/bench"
out=$(cd "$target/bench" && pwd)
results=${RESULTS:-benches/results.md}

yield_rounds=7
sync_rounds=5
crowds="10 100 1000 10000 100000 1000000"
# connections:rounds:slice in ms; a slice holds several requests of every connection
echo_plan="1:20:100 100:60:100 1000:60:120 10000:12:700"
if [ -n "${QUICK:-}" ]; then
    yield_rounds=1
    sync_rounds=1
    crowds="10 1000 100000"
    echo_plan="1:4:60 100:16:60 1000:16:80 10000:3:400"
fi

servers=
trap 'kill $servers 2>/dev/null || :' EXIT
trap 'exit 1' INT TERM
ulimit -n "$(ulimit -Hn)"
# The counter of system calls is behind tracefs; perf(1) mounts it in the same way.
[ -d /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null || :

# on CPU COMMAND...: becomes the command, there alone if possible
on() {
    cpu=$1
    shift
    if [ "$(nproc)" -gt 1 ]; then set -- taskset -c "$cpu" "$@"; fi
    if nice -n -10 true 2>/dev/null; then set -- nice -n -10 "$@"; fi
    exec "$@"
}

build() {
    # A copy: a build that goes on meanwhile does not change what is measured.
    install "$lib/libdyco.so" "$out/libdyco.so.3"
    ln -sf libdyco.so.3 "$out/libdyco.so"
    for program in load echo_epoll; do
        ${CC:-cc} -std=gnu11 -O2 -Wall -Wextra "benches/$program.c" -o "$out/$program" -lm
    done
    for program in yield sync crowd echo_dyco; do
        ${CC:-cc} -std=gnu11 -O2 -Wall -Wextra -Iinclude "benches/$program.c" -o "$out/$program" \
            -L"$out" -Wl,-rpath,"$out" -ldyco
    done
}

# Lines: stacks, coroutines (0: create and finish), best and median ns.
measure_yield() {
    for round in $(seq $yield_rounds); do
        echo "yield: round $round of $yield_rounds" >&2
        for count in 0 2 8 1000 100000; do
            for stacks in own shared; do
                measured=$(on 0 "$out/yield" $stacks $count)
                echo "$stacks $count $measured"
            done
        done
    done
}

# Lines: stacks, operation, best and median ns, allocations, system calls.
measure_sync() {
    for round in $(seq $sync_rounds); do
        echo "sync: round $round of $sync_rounds" >&2
        for operation in ping-pong stream semaphore hand-over waitgroup publish-1 publish-100 pool asymmetric; do
            for stacks in own shared; do
                measured=$(on 0 "$out/sync" $operation $stacks)
                echo "$stacks $operation $measured"
            done
        done
    done
}

# Lines: stacks, coroutines, ns to create, wait, end, bytes resident, bytes of page tables.
measure_crowds() {
    for count in $crowds; do
        echo "crowd: $count" >&2
        for stacks in own shared; do
            measured=$(on 0 "$out/crowd" $stacks $count)
            echo "$stacks $count $measured"
        done
    done
}

start() {
    name=$1
    shift
    program=$1
    shift
    port=$((port + 1))
    on 0 "$out/$program" $port "$@" &
    servers="$servers $!"
    contestants="$contestants $name:$port:$!"
}

# Lines: as load.c prints them.
measure_echo() {
    port=$((10000 + $$ % 20000))
    for plan in $echo_plan; do
        echo "echo: connections:rounds:ms $plan" >&2
        contestants=
        start epoll echo_epoll
        start dyco-own echo_dyco own
        start dyco-shared echo_dyco shared
        (on 1 "$out/load" $(echo $plan | tr : ' ') $contestants)
        kill $servers
        wait $servers 2>/dev/null || :
        servers=
    done
}

build
measure_yield >"$out/yield.txt"
measure_sync >"$out/sync.txt"
measure_crowds >"$out/crowd.txt"
measure_echo >"$out/echo.txt"
{
    cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | sort -u | head -n 1)
    echo "# Benchmark results"
    echo
    echo "Written by \`make bench\`${QUICK:+ (QUICK=1)}: ${cpu:-$(uname -m)}, $(nproc) CPUs, Linux $(uname -r | cut -d- -f1)."
    awk -f benches/report.awk "$out/yield.txt" "$out/sync.txt" "$out/crowd.txt" "$out/echo.txt"
} >"$results.new"
mv "$results.new" "$results"
cat "$results"
