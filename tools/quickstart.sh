#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# make quickstart: from a fresh checkout to a server that real clients talk to.
# Builds the library, installs it into .prefix, compiles the example server
# against that with plain gcc, drives it, reports, and stops everything.
#
# QUICKSTART_CONNECTIONS and QUICKSTART_MESSAGES change the load.
set -eu
cd "$(dirname "$0")/.."

connections=${QUICKSTART_CONNECTIONS:-500}
messages=${QUICKSTART_MESSAGES:-100}
prefix=$PWD/.prefix
server=
client=

say() { printf '%s\n' "$*"; }
step() { printf '\n== %s\n' "$*"; }
run() { printf '   $ %s\n' "$*"; "$@"; }
fail() { printf 'quickstart: %s\n' "$*" >&2; exit 1; }
quietly() { # output only if it fails
    "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "this failed: $*"; }
}

finish() {
    status=$?
    trap - EXIT
    for process in $client $server; do
        kill -KILL "$process" 2>/dev/null || :
        wait "$process" 2>/dev/null || :
    done
    rm -rf "$work"
    exit "$status"
}
work=$(mktemp -d)
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# --- what must be there -----------------------------------------------------

[ "$(uname -s)" = Linux ] || fail "libdyco runs on Linux only"

packages=
command -v gcc >/dev/null || packages="$packages gcc libc6-dev"
[ -e /usr/include/stdio.h ] || packages="$packages libc6-dev"
command -v make >/dev/null || packages="$packages make"
command -v objcopy >/dev/null || packages="$packages binutils"
command -v nc >/dev/null || packages="$packages netcat-openbsd"
if [ -n "$packages" ]; then
    command -v apt-get >/dev/null || fail "not a Debian or Ubuntu; please install what these packages hold:$packages"
    root=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail "please run as root: apt-get install -y$packages"
        root=sudo
    fi
    step "Installing Debian packages:$packages"
    # shellcheck disable=SC2086 # one word per package
    quietly $root apt-get update
    # shellcheck disable=SC2086
    quietly $root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages
fi

if ! command -v cargo >/dev/null && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
    PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
fi
tools/check-rust.sh cargo || exit 1
rust=$(cargo --version | cut -d' ' -f2)

# --- build and install ------------------------------------------------------

step "Building with Rust $rust and installing into .prefix"
say "   \$ make install PREFIX=$prefix"
quietly make install PREFIX="$prefix"
libdir=$(dirname "$(find "$prefix" -name libdyco.so | head -n 1)")
[ -e "$libdir/libdyco.so" ] || fail "make install left no libdyco.so in $prefix"
say "   $(du -h -L "$libdir/libdyco.so" | cut -f1) $libdir/libdyco.so"

step "Compiling the example server and client against it"
for name in socket_server socket_client; do
    run gcc -O2 "c_examples/$name.c" -o "$work/$name" -I"$prefix/include" -L"$libdir" -Wl,-rpath,"$libdir" -ldyco
done

# --- run --------------------------------------------------------------------

step "Starting the server on a free port"
touch "$work/server.out"
"$work/socket_server" 0 >"$work/server.out" 2>&1 &
server=$!
port=
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
    port=$(sed -n 's/^listening on .* port \([0-9]*\).*/\1/p' "$work/server.out")
    [ -z "$port" ] || break
    kill -0 "$server" 2>/dev/null || break
    sleep 0.2
done
[ -n "$port" ] || { cat "$work/server.out" >&2; fail "the server does not listen"; }
say "   socket_server: $(cat "$work/server.out")"

step "Driving it with $connections connections at the same time, $messages messages on each"
# In the background, because a shell that waits for a foreground command takes no signals.
status=0
"$work/socket_client" "$port" "$connections" "$messages" >"$work/client.out" 2>&1 &
client=$!
wait "$client" || status=$?
client=
sed 's/^/   socket_client: /' "$work/client.out"
[ "$status" = 0 ] || fail "the client failed with status $status"

step "And once by hand"
say "   \$ printf 'hello\\n' | nc 127.0.0.1 $port"
answer=$(printf 'hello\n' | timeout 10 nc -q 1 127.0.0.1 "$port") || :
[ "$answer" = hello ] || fail "nc got '$answer' instead of its echo"
say "   $answer"

sleep 0.2 # nc has gone: let the server see it

threads=$(sed -n 's/^Threads:[[:space:]]*//p' "/proc/$server/status")
peak=$(sed -n 's/^VmHWM:[[:space:]]*//p' "/proc/$server/status")
kill -TERM "$server"
status=0
wait "$server" || status=$?
server=
[ "$status" = 0 ] || { cat "$work/server.out" >&2; fail "the server ended with status $status"; }

step "What happened"
result() { printf '   %-12s %s\n' "$@"; }
field() { sed -n "s/$1/\\1/p" "$work/$2.out"; }
most=$(field '.* \([0-9]*\) at the same time.*' server)
result connections "$(field '^served \([0-9]*\) .*' server), $most of them at the same time, the last one by hand"
result messages "$(field '.* \([0-9]*\) messages echoed.*' client), each echo compared"
result errors "$(field '.* \([0-9]*\) errors.*' client)"
result threads "$threads"
result memory "$peak at the most"
say "   The server has been stopped; nothing is left running."
say
say "Next: make test, c_examples/README.md, and: sudo make install"
