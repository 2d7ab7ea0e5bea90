#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What `make test` needs beyond Rust, gcc and make: installs what is missing on a Debian or Ubuntu, and says so.
set -eu

packages=
# need PACKAGE COMMAND_OR_FILE...: the package, unless all of these are there
need() {
    package=$1
    shift
    for thing in "$@"; do
        case $thing in
        /*) [ -e "$thing" ] ;;
        *) command -v "$thing" >/dev/null ;;
        esac || {
            packages="$packages $package"
            return
        }
    done
}
need gcc gcc
need g++ g++
need libc6-dev /usr/include/stdio.h
need make make
need binutils ld objcopy nm
need clang clang clang++
need pkg-config pkg-config
need meson meson
need ninja-build ninja
need gdb gdb
need valgrind valgrind
need netcat-openbsd nc
need libssl-dev /usr/include/openssl/ssl.h
need openssl openssl
need libhiredis-dev /usr/include/hiredis/hiredis.h
need redis-server redis-server
need curl curl
# Client libraries, and the servers that they are tested with.
need libpq-dev /usr/include/postgresql/libpq-fe.h
need postgresql /usr/lib/postgresql/*/bin/postgres
need libmariadb-dev /usr/include/mariadb/mysql.h
need mariadb-server /usr/sbin/mariadbd
need libmemcached-dev /usr/include/libmemcached/memcached.h
need memcached memcached
need libcurl4-openssl-dev /usr/include/*/curl/curl.h
need nginx /usr/sbin/nginx
need libsqlite3-dev /usr/include/sqlite3.h
if [ "$(uname -m)" = x86_64 ]; then
    need qemu-user qemu-aarch64
    need gcc-aarch64-linux-gnu aarch64-linux-gnu-gcc
    need g++-aarch64-linux-gnu aarch64-linux-gnu-g++
    need libc6-dev-arm64-cross /usr/aarch64-linux-gnu/include/stdio.h
fi

if [ -n "$packages" ]; then
    if ! command -v apt-get >/dev/null; then
        echo "install-deps: not a Debian or Ubuntu; tests that need what these packages hold are skipped:$packages" >&2
    else
        sudo=
        if [ "$(id -u)" != 0 ]; then
            sudo=sudo
            command -v sudo >/dev/null || {
                echo "install-deps: please run as root: apt-get install -y$packages" >&2
                exit 1
            }
        fi
        echo "Installing Debian packages for the tests:$packages"
        # The tests start servers of their own; the system's need not run, and might find their ports taken.
        policy=/usr/sbin/policy-rc.d
        if ! [ -e $policy ]; then
            trap '$sudo rm -f $policy' EXIT
            printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
            $sudo chmod +x $policy
        fi
        $sudo apt-get update -qq
        # shellcheck disable=SC2086 # one word per package
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
    fi
fi

triple=aarch64-unknown-linux-gnu
if [ "$(uname -m)" = x86_64 ] && ! [ -d "$(rustc --print sysroot)/lib/rustlib/$triple/lib" ]; then
    if command -v rustup >/dev/null; then
        echo "Installing Rust's library for $triple"
        rustup target add $triple
    else
        echo "install-deps: no rustup that could add $triple; tests that need it are skipped" >&2
    fi
fi
