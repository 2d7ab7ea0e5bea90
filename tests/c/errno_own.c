/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * errno belongs to the coroutine: no other one changes what it sees. A new one starts with 0 and main keeps its own.
 */
#include "core.h"

static int quiet[2], finished;

static void own_errno(void *argument) {
    int mine = 1 + (int)(intptr_t)argument % 100;
    CHECK_EQ(errno, 0);
    for (int i = 0; i < 20; i++) {
        errno = mine + i;
        dyco_coroutine_sleep(i % 4 == 0);
        CHECK_EQ(errno, mine + i);
        errno = mine + i;
        CHECK_EQ(dyco_coroutine_waitRead(quiet[0], 1), 0);
        CHECK_EQ(errno, mine + i);
    }
    finished++;
}

static void fails(void *argument) {
    (void)argument;
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(close(-1), -1);
        CHECK_EQ(errno, EBADF);
        dyco_coroutine_sleep(0);
        CHECK_EQ(errno, EBADF);
    }
    errno = ENOTTY; /* and ends so */
    finished++;
}

static void stops(void *argument) {
    (void)argument;
    errno = EXDEV;
    dyco_schedcall_stop();
    CHECK_EQ(errno, EXDEV);
    finished++;
}

int main(void) {
    CHECK_EQ(pipe(quiet), 0);
    for (intptr_t i = 0; i < 100; i++) {
        int cid = spawn(own_errno, (void *)i);
        if (i % 2) CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 32768), 1);
    }
    for (int i = 0; i < 10; i++) spawn(fails, NULL);
    errno = EDOM;
    CHECK_EQ(dyco_schedule_run(), 0);
    CHECK_EQ(errno, EDOM); /* run that succeeds leaves it alone */
    CHECK_EQ(finished, 110);

    spawn(stops, NULL);
    errno = ERANGE;
    CHECK_EQ(dyco_schedule_run(), 1);
    CHECK_EQ(errno, ERANGE);
    errno = ELOOP;
    CHECK_EQ(dyco_schedule_run(), 0);
    CHECK_EQ(errno, ELOOP);
    return test_done();
}
