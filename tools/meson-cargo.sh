#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# For meson.build: meson-cargo.sh CARGO SOURCE_DIR BUILD_DIR OUT_SO OUT_A DEPFILE
set -eu
shared=$(realpath -m "$4") archive=$(realpath -m "$5") depfile=$(realpath -m "$6")
CARGO_TARGET_DIR=$3 make -C "$2" lib CARGO="$1"
cp "$3"/lib/libdyco.so.*.*.* "$shared"
cp "$3/lib/libdyco.a" "$archive"
# cargo's own dep-info makes ninja run this again when a source changes.
sed "s|^[^:]*:|$4:|" "$3/release/libdyco.d" >"$depfile"
