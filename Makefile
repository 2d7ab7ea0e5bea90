# SPDX-License-Identifier: MIT OR Apache-2.0
#
#   make              the libraries, and every c_examples/NAME.c as bin/NAME_example
#   make quickstart   see it work, from a fresh checkout
#   make test         every promise, put to the test; installs what that needs
#   make install      PREFIX=/usr/local DESTDIR= LIBDIR=$(PREFIX)/lib
#   make uninstall    the same variables
#   make bench        measure
#   make header       write include/dyco_coroutine.h anew from src/capi/
#   make clean
#
# HOOK=no leaves the libc names alone, SSL=no leaves the TLS calls out. TRIPLE=aarch64-unknown-linux-gnu builds for
# another machine. CARGO="cargo --frozen" builds without the network, after `cargo fetch` or from vendored crates.

VERSION = 3.0.0
PREFIX = /usr/local
LIBDIR = $(PREFIX)/lib
INCLUDEDIR = $(PREFIX)/include
HOOK = yes
SSL = yes

CC = gcc
CFLAGS = -O2 -g -Wall -Wextra
CARGO = cargo
INSTALL = install

features := $(if $(filter no,$(HOOK)),,hook) $(if $(filter no,$(SSL)),,ssl)
# Each variant has a folder of its own: none is taken for another.
variant := $(if $(filter no,$(HOOK)),/no-hook)$(if $(filter no,$(SSL)),/no-ssl)
target := $(or $(CARGO_TARGET_DIR),target)$(variant)
cargo_flags := --no-default-features --features "$(features)" --target-dir $(target)
ifdef TRIPLE
gnu := $(subst -unknown,,$(TRIPLE))-
built := $(target)/$(TRIPLE)/release
lib := $(target)/$(TRIPLE)/lib
cargo_flags += --target $(TRIPLE)
export CARGO_TARGET_$(shell echo $(TRIPLE) | tr a-z- A-Z_)_LINKER := $(gnu)gcc
else
built := $(target)/release
lib := $(target)/lib
endif

shared = $(lib)/libdyco.so.$(VERSION)
static = $(lib)/libdyco.a
sources := Cargo.toml build.rs tools/hooks.list $(shell find src -name '*.rs')
# Those of TLS need OpenSSL's headers, network needs hiredis, curl needs libcurl.
has_header = $(shell echo '\#include <$1>' | $(CC) -E - >/dev/null 2>&1 && echo yes)
openssl := $(if $(filter no,$(SSL)),,$(call has_header,openssl/ssl.h))
hiredis := $(call has_header,hiredis/hiredis.h)
curl := $(call has_header,curl/curl.h)
sources_c := $(filter-out $(if $(openssl),,c_examples/ssl_%) $(if $(hiredis),,c_examples/network.c) \
    $(if $(curl),,c_examples/curl.c),$(wildcard c_examples/*.c))
examples := $(sources_c:c_examples/%.c=bin/%_example)

.PHONY: all lib test check-header header quickstart bench install uninstall clean
all: lib $(examples)
lib: $(shared) $(static)

# What cargo built, under the names that programs use. The archive becomes one object that shows the header's names and
# the hooks, and nothing of Rust's; the hooks are weak, because a static program may hold libc's own definition as well.
# Nor does anything say where it was built: another folder gives the same bytes.
$(shared): $(sources)
	@tools/check-rust.sh $(CARGO)
	$(CARGO) rustc --release $(cargo_flags) --package dyco --lib -- --remap-path-prefix='$(CURDIR)'=.
	mkdir -p $(lib)
	$(gnu)ld -r -u dyco_version $(built)/libdyco.a -o $(lib)/dyco.o
	$(gnu)objcopy --wildcard --keep-global-symbol='dyco_*' --keep-global-symbols=tools/hooks.list --localize-hidden \
	    --weaken-symbols=tools/hooks.list $(lib)/dyco.o
	rm -f $(static)
	$(gnu)ar rcs $(static) $(lib)/dyco.o && rm $(lib)/dyco.o
	cp $(built)/libdyco.so $@.new && mv $@.new $@
	ln -sf libdyco.so.$(VERSION) $(lib)/libdyco.so.3
	ln -sf libdyco.so.3 $(lib)/libdyco.so
$(static): $(shared)

bin/%_example: c_examples/%.c include/dyco_coroutine.h $(shared)
	@mkdir -p bin
	$(CC) $(CPPFLAGS) $(CFLAGS) -Iinclude $< -o $@ $(LDFLAGS) -L$(lib) -Wl,-rpath,$(abspath $(lib)) -ldyco $(libraries)
bin/ssl_%: libraries = -lssl -lcrypto
bin/network_example: libraries = -lhiredis
bin/curl_example: libraries = -lcurl

test:
	tools/install-deps.sh
	$(MAKE) all
	$(CARGO) test --package dyco-tests --no-fail-fast
	DYCO_POLLER=io_uring $(CARGO) test --package dyco-tests --no-fail-fast --test examples

check-header:
	$(CARGO) test --package dyco-tests --test header

header:
	BLESS=1 $(CARGO) test --package dyco-tests --test header is_current

quickstart:
	tools/quickstart.sh

bench: lib
	benches/run.sh

headerdir = $(DESTDIR)$(INCLUDEDIR)
libdir = $(DESTDIR)$(LIBDIR)

# Builds only what is missing: after `make`, root needs no cargo.
install: lib
	$(INSTALL) -d $(headerdir)/dyco $(libdir)/pkgconfig
	$(INSTALL) -m 644 include/dyco_coroutine.h $(headerdir)
	$(INSTALL) -m 644 include/dyco/dyco_coroutine.h $(headerdir)/dyco
ifeq ($(SSL),no)
	sed -i '/^\/\* The library was built with the TLS calls/,/^#endif/d; /^#if defined(DYCO_SSL_OK)/,/^#endif/d' \
	    $(headerdir)/dyco_coroutine.h
endif
ifeq ($(HOOK),no)
	sed -i '/^\/\* The library was built with the hooks/,/^#define COROUTINE_HOOK/d' $(headerdir)/dyco_coroutine.h
endif
	$(INSTALL) -m 755 $(shared) $(libdir)
	ln -sf libdyco.so.$(VERSION) $(libdir)/libdyco.so.3
	ln -sf libdyco.so.3 $(libdir)/libdyco.so
	$(INSTALL) -m 644 $(static) $(libdir)
	sed -e 's|@prefix@|$(PREFIX)|' -e 's|@libdir@|$(LIBDIR)|' -e 's|@includedir@|$(INCLUDEDIR)|' \
	    -e 's|@version@|$(VERSION)|' dyco.pc.in > $(libdir)/pkgconfig/dyco.pc
	chmod 644 $(libdir)/pkgconfig/dyco.pc
	$(ldconfig)

uninstall:
	rm -f $(headerdir)/dyco_coroutine.h $(headerdir)/dyco/dyco_coroutine.h
	rm -f $(libdir)/libdyco.so $(libdir)/libdyco.so.3 $(shared:$(lib)/%=$(libdir)/%) $(libdir)/libdyco.a
	rm -f $(libdir)/pkgconfig/dyco.pc
	rmdir $(headerdir)/dyco 2>/dev/null || :
	$(ldconfig)

# The live system's loader looks names up in a cache that only root can renew.
ldconfig = $(if $(DESTDIR),,@if [ "$$(id -u)" = 0 ]; then ldconfig; fi)

clean:
	rm -rf bin
	$(CARGO) clean
