/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * When all coroutines left wait for what nothing can signal, run says so: -1, EDEADLK and one line that names them.
 * They stay, and run may be called again.
 */
#include "core.h"

static int cids[3], finished, saved_stderr;
static char report[4096];

/* Nothing but a signal ends this wait, and a signal does not end a coroutine's. */
static void stuck(void *argument) {
    volatile int local = (int)(intptr_t)argument;
    poll(NULL, 0, -1);
    finished += local;
}

static void works(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(5);
    finished++;
}

static void waits_for_pipe(void *argument) {
    CHECK(dyco_coroutine_waitRead((int)(intptr_t)argument, -1) > 0);
    finished++;
}

static void writes(void *argument) {
    dyco_coroutine_sleep(50);
    CHECK_EQ(write((int)(intptr_t)argument, "x", 1), 1);
}

static void abort_all(void *argument) {
    (void)argument;
    dyco_schedcall_abort();
}

/* Runs with stderr in `report`. */
static int run_reported(void) {
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    saved_stderr = dup(2);
    dup2(ends[1], 2);
    close(ends[1]);
    errno = 0;
    int result = dyco_schedule_run(), error = errno;
    dup2(saved_stderr, 2);
    close(saved_stderr);
    ssize_t length = read(ends[0], report, sizeof report - 1);
    CHECK(length >= 0);
    report[length] = 0;
    close(ends[0]);
    errno = error;
    return result;
}

static void is_deadlock(int count) {
    double cpu = cpu_ms();
    CHECK_EQ(run_reported(), -1);
    CHECK_EQ(errno, EDEADLK);
    CHECK(cpu_ms() - cpu < 500);
    CHECK_EQ(count_lines(report), 1);
    for (int i = 0; i < count; i++)
        if (!names_number(report, cids[i])) TEST_FAIL("does not name %d: %s", cids[i], report);
    CHECK_EQ(dyco_schedule_getCoroCount(), count);
    CHECK_EQ(dyco_coroutine_coroID(), -1);
}

int main(void) {
    int ends[2];
    CHECK_EQ(pipe(ends), 0);

    cids[0] = spawn(stuck, NULL);
    spawn(works, NULL);
    is_deadlock(1);
    CHECK_EQ(finished, 1); /* not before the others have finished */
    is_deadlock(1);

    cids[1] = spawn_own(stuck, NULL, 16384);
    cids[2] = spawn(stuck, NULL);
    is_deadlock(3);

    /* As long as anything can come, it is no deadlock. */
    spawn(waits_for_pipe, (void *)(intptr_t)ends[0]);
    spawn(writes, (void *)(intptr_t)ends[1]);
    int64_t begin = now_ms();
    is_deadlock(3);
    CHECK(now_ms() - begin >= 50);
    CHECK_EQ(finished, 2);

    /* New work is done. */
    spawn(works, NULL);
    is_deadlock(3);
    CHECK_EQ(finished, 3);

    spawn(abort_all, NULL);
    CHECK_EQ(run_reported(), -1);
    CHECK(errno != EDEADLK);
    CHECK_STR(report, "");
    CHECK_EQ(dyco_schedule_getCoroCount(), 0);
    spawn(works, NULL);
    run_all();

    /* A thousand of them: still one line. */
    for (int i = 0; i < 1000; i++) cids[0] = spawn(stuck, NULL);
    CHECK_EQ(run_reported(), -1);
    CHECK_EQ(errno, EDEADLK);
    CHECK_EQ(count_lines(report), 1);
    dyco_schedule_free(NULL);
    CHECK_EQ(finished, 4);
    return test_done();
}
