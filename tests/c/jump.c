/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * setjmp and longjmp within a coroutine, with switches between them.
 */
#include "core.h"

#include <setjmp.h>

static int finished;

static __attribute__((noinline)) void jump_from(jmp_buf where, int depth, int value) {
    volatile char block[100];
    block[0] = (char)depth;
    dyco_coroutine_sleep(0);
    CHECK_EQ(block[0], depth);
    if (depth < 0) return; /* never: lets the compiler believe that this ends */
    if (depth == 0) longjmp(where, value);
    jump_from(where, depth - 1, value);
    TEST_FAIL("longjmp came back");
}

static void jumps(void *argument) {
    jmp_buf where;
    volatile int round = 0, mine = 1 + (int)(intptr_t)argument;
    volatile unsigned char block[200];
    memset((void *)block, mine, sizeof block);
    int value = setjmp(where);
    if (value != 0) CHECK_EQ(value, mine + round - 1);
    for (size_t i = 0; i < sizeof block; i++) CHECK_EQ(block[i], (unsigned char)mine);
    dyco_coroutine_sleep((uint32_t)(mine % 2));
    if (round < 20) {
        round = round + 1;
        jump_from(where, round, mine + round - 1);
    }
    finished++;
}

int main(void) {
    static char memory[10][16384];
    for (intptr_t i = 0; i < 60; i++) {
        int cid = spawn(jumps, (void *)i);
        if (i % 3 == 1) CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 32768), 1);
        if (i % 6 == 2) CHECK_EQ(dyco_coroutine_setStack(cid, memory[i / 6], sizeof memory[0]), 1);
    }
    run_all();
    CHECK_EQ(finished, 60);
    return test_done();
}
