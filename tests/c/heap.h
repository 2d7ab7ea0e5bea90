/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * How much of the heap is in use, for tests that want it all back.
 */
#ifndef DYCO_TEST_HEAP_H
#define DYCO_TEST_HEAP_H

#include "test.h"

#include <malloc.h>

/* To be called first thing. Bytes that glibc keeps for a thread's next malloc count as used: without that cache the numbers
 * are exact, so the program starts itself anew without it. Returns by how much they may be wrong where it cannot (an
 * emulator). */
static inline size_t heap_start(char **argv) {
    if (getenv("GLIBC_TUNABLES")) return 0;
    setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", 1);
    execv("/proc/self/exe", argv);
    return 65536;
}

static inline size_t heap(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

#endif
