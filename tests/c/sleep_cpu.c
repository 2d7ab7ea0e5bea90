/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Waiting costs no CPU: not a thousand short sleeps, not an idle second of any kind.
 */
#include "core.h"

static void short_sleeps(void *argument) {
    (void)argument;
    int64_t begin = now_ms();
    for (int i = 0; i < 1000; i++) dyco_coroutine_sleep(1);
    CHECK_TOOK(now_ms() - begin, 1000, 20000);
}

static void one_sleep(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(1000);
}

static void wait_for_pipe(void *argument) {
    CHECK_EQ(dyco_coroutine_waitRead((int)(intptr_t)argument, 1000), 0);
}

static void wait_for_pipe_ever(void *argument) {
    CHECK(dyco_coroutine_waitRead((int)(intptr_t)argument, -1) > 0);
}

static void write_later(void *argument) {
    dyco_coroutine_sleep(1000);
    CHECK_EQ(write((int)(intptr_t)argument, "x", 1), 1);
}

/* CPU that one run uses. */
static double cost(void) {
    double begin = cpu_ms();
    run_all();
    return cpu_ms() - begin;
}

int main(void) {
    int ends[2];
    CHECK_EQ(pipe(ends), 0);

    spawn(short_sleeps, NULL);
    CHECK_BETWEEN(cost(), 0, 250);

    spawn(one_sleep, NULL);
    CHECK_BETWEEN(cost(), 0, 50);

    for (int i = 0; i < 100; i++) spawn(wait_for_pipe, (void *)(intptr_t)ends[0]);
    CHECK_BETWEEN(cost(), 0, 100);

    for (int i = 0; i < 100; i++) spawn(wait_for_pipe_ever, (void *)(intptr_t)ends[0]);
    spawn(write_later, (void *)(intptr_t)ends[1]);
    CHECK_BETWEEN(cost(), 0, 100);

    /* A loop that looks up every 10 ms is idle, too. */
    dyco_schedule_free(NULL);
    CHECK_EQ(dyco_schedule_create(0, 10), 0);
    spawn(one_sleep, NULL);
    CHECK_BETWEEN(cost(), 0, 50);
    return test_done();
}
