/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Many coroutines wait for one descriptor: each is woken, also when the first of them takes what has come.
 */
#include "core.h"

enum { WAITERS = 100 };

static int ends[2], woken;

static void first_takes(void *argument) {
    char byte;
    (void)argument;
    CHECK(dyco_coroutine_waitRead(ends[0], 5000) > 0);
    if (woken++ == 0) CHECK_EQ(read(ends[0], &byte, 1), 1);
}

static void gives(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(20);
    CHECK_EQ(write(ends[1], "x", 1), 1);
}

int main(void) {
    CHECK_EQ(pipe(ends), 0);
    for (int round = 0; round < 3; round++) {
        woken = 0;
        for (int i = 0; i < WAITERS; i++) {
            int cid = spawn(first_takes, NULL);
            if (i % 2) CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 16384), 1);
        }
        spawn(gives, NULL);
        int64_t begin = now_ms();
        run_all();
        CHECK_EQ(woken, WAITERS);
        CHECK_TOOK(now_ms() - begin, 20, 4000);
    }
    return test_done();
}
