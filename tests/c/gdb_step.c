// needs: gdb
// modes: shared static
// arch: x86_64
// timeout: 120
// flags: -O0 -g
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Stepping through context switches, gdb can unwind at every instruction.
 */
#include "gdb.h"

__attribute__((noinline)) void ready_to_be_stepped(void) {
    __asm__ volatile("");
}

void ping(void *argument) {
    (void)argument;
    for (int i = 0; i < 30; i++) {
        if (i == 2) ready_to_be_stepped();
        dyco_coroutine_sleep(0);
    }
}

void pong(void *argument) {
    (void)argument;
    for (int i = 0; i < 30; i++) dyco_coroutine_sleep(0);
}

int main(void) {
    if (getenv(UNDER_GDB)) {
        spawn_own(ping, NULL, 65536);
        spawn_own(pong, NULL, 65536);
        spawn_own(pong, NULL, 65536);
        run_all();
        return 0;
    }
    run_gdb("step.py");
    return test_done();
}
