/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The stack is aligned at a coroutine's entry as the ABI asks, on each kind of stack, whatever the caller's memory.
 */
#include "core.h"

#include <execinfo.h>
#include <stdalign.h>

static int finished;

static __attribute__((noinline)) void is_aligned(const void *address, uintptr_t alignment) {
    CHECK_EQ((uintptr_t)address % alignment, 0);
}

static void body(void *argument) {
    alignas(16) volatile char sixteen[16] = {0};
    alignas(32) volatile char wide[32] = {0};
    char text[64];
    volatile double value = 1.5;
    (void)argument;
    is_aligned((const void *)sixteen, 16);
    is_aligned((const void *)wide, 32);
    is_aligned(__builtin_frame_address(0), 8);
    snprintf(text, sizeof text, "%f %Lf", value, (long double)value); /* stores vector registers, aligned */
    CHECK_STR(text, "1.500000 1.500000");
    dyco_coroutine_sleep(0);
    is_aligned((const void *)wide, 32);
    finished++;
}

static void traces(void *argument) {
    void *frames[20];
    (void)argument;
    CHECK(backtrace(frames, 20) > 1); /* loads a library the first time, with aligned moves */
    finished++;
}

int main(void) {
    static char memory[32768];
    spawn_own(traces, NULL, 65536);
    run_all();
    spawn(body, NULL);
    spawn_own(body, NULL, 16384);
    run_all();
    for (int offset = 0; offset < 64; offset++) {
        int cid = spawn(body, NULL);
        CHECK_EQ(dyco_coroutine_setStack(cid, memory + offset, sizeof memory - 64 - (size_t)(offset * 7) % 33), 1);
        run_all();
    }
    CHECK_EQ(finished, 67);
    return test_done();
}
