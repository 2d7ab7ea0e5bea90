#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# check-rust.sh CARGO...: fails, and says what to do, unless that is a Rust new enough. Older ones fail, too, but by what
# they do not know in Cargo.toml or Cargo.lock, from which nobody guesses the reason.
set -eu
wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml")
rust=$("$@" --version 2>/dev/null | cut -d' ' -f2)
if [ -z "$rust" ]; then
    problem="Rust is missing"
elif ! printf '%s\n%s\n' "$wanted" "$rust" | sort -V -C; then
    problem="Rust $rust is too old, $wanted is needed"
else
    exit 0
fi
echo "libdyco: $problem; get it with: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y" >&2
exit 1
