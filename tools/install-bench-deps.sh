#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What `make bench` compares with, beyond what the tests need: Debian's packages, and the crates that benches/peers names.
# `make bench` runs without; it leaves out what is missing.
set -eu
cd "$(dirname "$0")/.."

packages="g++ libboost-context-dev libboost-fiber-dev libssl-dev libst-dev liburing-dev libuv1-dev openssl util-linux"
missing=
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    echo "Installing Debian packages for the benchmark:$missing"
    $sudo apt-get update -qq
    # shellcheck disable=SC2086 # one word per package
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
cargo fetch --quiet --locked --manifest-path benches/peers/Cargo.toml
