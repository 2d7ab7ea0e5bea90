/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * getSchedCount: how often a coroutine has yielded so far.
 */
#include "core.h"

static int worker_cid, target;

static void worker(void *argument) {
    (void)argument;
    int self = dyco_coroutine_coroID();
    CHECK_EQ(dyco_coroutine_getSchedCount(self), 0);
    for (int i = 1; i <= 100; i++) {
        dyco_coroutine_sleep(0);
        CHECK_EQ(dyco_coroutine_getSchedCount(self), i);
        target = i;
    }
    dyco_coroutine_sleep(1);
    CHECK_EQ(dyco_coroutine_getSchedCount(self), 101);
    int quiet[2];
    CHECK_EQ(pipe(quiet), 0);
    CHECK_EQ(dyco_coroutine_waitRead(quiet[0], 5), 0);
    CHECK_EQ(dyco_coroutine_getSchedCount(self), 102);
    close(quiet[0]);
    close(quiet[1]);
}

static void alone(void *argument) {
    (void)argument;
    for (int i = 1; i <= 1000; i++) dyco_coroutine_sleep(0);
    CHECK_EQ(dyco_coroutine_getSchedCount(dyco_coroutine_coroID()), 1000);
}

static void observer(void *argument) {
    (void)argument;
    while (target < 100) {
        CHECK_BETWEEN(dyco_coroutine_getSchedCount(worker_cid), target, target + 1);
        dyco_coroutine_sleep(0);
    }
}

int main(void) {
    worker_cid = spawn(worker, NULL);
    CHECK_EQ(dyco_coroutine_getSchedCount(worker_cid), 0);
    spawn(observer, NULL);
    run_all();
    spawn(alone, NULL);
    run_all();
    return test_done();
}
