// needs: gdb
// arch: x86_64
// timeout: 60
// flags: -O0 -g
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * gdb's backtrace from inside a coroutine ends at the coroutine's function, without complaint, on each kind of stack.
 */
#include "gdb.h"

__attribute__((noinline)) void stop_here(void) {
    __asm__ volatile("");
}

__attribute__((noinline)) void recurse(int depth) {
    if (depth > 1) recurse(depth - 1);
    else stop_here();
    __asm__ volatile("");
}

void body(void *argument) {
    dyco_coroutine_sleep(argument ? 1 : 0);
    recurse(5);
}

int main(void) {
    static char memory[16384];
    if (getenv(UNDER_GDB)) {
        spawn(body, NULL);
        spawn_own(body, NULL, 16384);
        CHECK_EQ(dyco_coroutine_setStack(spawn(body, NULL), memory, sizeof memory), 1);
        spawn(body, memory);
        run_all();
        return 0;
    }
    run_gdb("backtrace.py");
    return test_done();
}
