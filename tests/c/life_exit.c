/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Coroutines made before main and run after it: from constructors, from exit handlers; and exit called inside one.
 */
#include "core.h"

static int made_early, early_ran;

static void early(void *argument) {
    early_ran = (int)(intptr_t)argument;
}

__attribute__((constructor)) static void before_main(void) {
    made_early = dyco_coroutine_create(early, (void *)7);
}

static int expected_runs, runs;

static void works(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(1);
    runs++;
}

/* On the thread's own stack after main has returned. */
static void runs_at_exit(void) {
    spawn(works, NULL);
    spawn_own(works, NULL, 16384);
    run_all();
    CHECK_EQ(runs, 2);
    _exit(42);
}

static void after_main(void) {
    dyco_schedule_free(NULL);
    atexit(runs_at_exit);
    exit(0);
}

/* On the stack of a coroutine that called exit. */
static void waits_at_exit(void) {
    CHECK(dyco_coroutine_coroID() > 0);
    CHECK_ERRNO(dyco_schedule_run(), EBUSY);
    while (runs < expected_runs) dyco_coroutine_sleep(1);
    _exit(43);
}

static void exits(void *argument) {
    (void)argument;
    exit(0);
}

static void exit_inside(void) {
    atexit(waits_at_exit);
    expected_runs = 5;
    spawn_own(exits, NULL, 65536);
    for (int i = 0; i < 5; i++) spawn(works, NULL);
    dyco_schedule_run();
    TEST_FAIL("exit came back");
}

static void exit_inside_plain(void) {
    spawn(exits, NULL);
    for (int i = 0; i < 5; i++) spawn(works, NULL);
    dyco_schedule_run();
    TEST_FAIL("exit came back");
}

int main(void) {
    static char output[1000];
    CHECK(made_early > 0);
    CHECK_EQ(dyco_schedule_getCoroCount(), 1);
    run_all();
    CHECK_EQ(early_ran, 7);
    CHECK_EQ(in_child(after_main, output, sizeof output), 42 << 8);
    CHECK_EQ(in_child(exit_inside, output, sizeof output), 43 << 8);
    CHECK_EQ(in_child(exit_inside_plain, output, sizeof output), 0);
    return test_done();
}
