/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fork outside a coroutine: the child has a scheduler that works, and what it does there the parent does not notice.
 */
#include "core.h"

#include <sys/socket.h>

static int ends[2], finished;

static void child_works(void *argument) {
    int pair[2];
    char byte;
    (void)argument;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    dyco_coroutine_sleep(5);
    CHECK_EQ(dyco_coroutine_waitRead(pair[0], 5), 0);
    CHECK_EQ(write(pair[1], "c", 1), 1);
    CHECK(dyco_coroutine_waitRead(pair[0], -1) > 0);
    CHECK_EQ(read(pair[0], &byte, 1), 1);
    finished++;
}

static void waits_for_pipe(void *argument) {
    (void)argument;
    if (dyco_coroutine_waitRead(ends[0], -1) > 0) finished += 100;
}

static void sleeps(void *argument) {
    (void)argument;
    int64_t begin = now_ns();
    dyco_coroutine_sleep(100);
    CHECK(now_ns() - begin >= 100000000);
    finished += 10;
}

static void stop(void *argument) {
    dyco_coroutine_sleep(5);
    dyco_schedcall_stop();
    (void)argument;
}

static void child_of_none(void) {
    CHECK_EQ(dyco_schedule_run(), -2);
    spawn(child_works, NULL);
    run_all();
    CHECK_EQ(finished, 1);
}

/* A new scheduler in the place of the one that came with the fork. */
static void child_starts_anew(void) {
    dyco_schedule_free(NULL);
    spawn(child_works, NULL);
    spawn_own(child_works, NULL, 16384);
    run_all();
    CHECK_EQ(finished, 2);
}

/* The coroutines that there were go on, on both sides, each with its own timers and waits. */
static void child_goes_on(void) {
    char byte;
    CHECK_EQ(write(ends[1], "x", 1), 1);
    spawn(child_works, NULL);
    run_all();
    CHECK_EQ(finished, 221);
    CHECK_EQ(read(ends[0], &byte, 1), 1); /* the parent finds nothing, although it was told that there is something */
}

static void grandchild(void) {
    CHECK_CHILD(child_goes_on);
    child_goes_on();
}

int main(void) {
    CHECK_CHILD(child_of_none);

    CHECK_EQ(pipe(ends), 0);
    spawn(waits_for_pipe, NULL);
    spawn_own(waits_for_pipe, NULL, 16384);
    spawn(sleeps, NULL);
    spawn_own(sleeps, NULL, 16384);
    spawn(stop, NULL);
    CHECK_EQ(dyco_schedule_run(), 1);
    for (int i = 0; i < 3; i++) {
        CHECK_CHILD(child_starts_anew);
        CHECK_CHILD(child_goes_on);
    }
    CHECK_CHILD(grandchild);
    CHECK_EQ(finished, 0);

    /* The parent's waits are all still there. */
    CHECK_EQ(write(ends[1], "x", 1), 1);
    run_all();
    CHECK_EQ(finished, 220);
    return test_done();
}
