/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fork outside a coroutine: the child has a scheduler that works, and what it does there the parent does not notice.
 */
#include "core.h"

#include <sys/socket.h>

static int pair[2], ends[2], finished;

static void child_works(void *argument) {
    char byte;
    (void)argument;
    dyco_coroutine_sleep(5);
    CHECK_EQ(dyco_coroutine_waitRead(pair[0], 5), 0);
    CHECK_EQ(write(pair[1], "c", 1), 1);
    CHECK(dyco_coroutine_waitRead(pair[0], -1) > 0);
    CHECK_EQ(read(pair[0], &byte, 1), 1);
    finished++;
}

static void never(void *argument) {
    (void)argument;
    if (dyco_coroutine_waitRead(ends[0], -1) > 0) finished += 100;
}

static void stop(void *argument) {
    dyco_coroutine_sleep(5);
    dyco_schedcall_stop();
    (void)argument;
}

/* The parent's coroutines are not the child's. */
static void child_of_a_stopped_one(void) {
    finished = 0;
    spawn(child_works, NULL);
    spawn_own(child_works, NULL, 16384);
    CHECK_EQ(dyco_schedule_run(), 0);
    CHECK_EQ(finished, 2);
}

static void child_of_none(void) {
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CHECK_EQ(dyco_schedule_run(), -2);
    spawn(child_works, NULL);
    run_all();
    CHECK_EQ(finished, 1);
}

static void grandchild(void) {
    spawn(child_works, NULL);
    run_all();
    CHECK_CHILD(child_of_a_stopped_one);
}

int main(void) {
    CHECK_CHILD(child_of_none);

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CHECK_EQ(pipe(ends), 0);
    spawn(never, NULL);
    spawn_own(never, NULL, 16384);
    spawn(stop, NULL);
    CHECK_EQ(dyco_schedule_run(), 1);
    for (int i = 0; i < 5; i++) CHECK_CHILD(child_of_a_stopped_one);
    CHECK_CHILD(grandchild);
    CHECK_EQ(finished, 0);

    /* The parent's waits are all still there. */
    CHECK_EQ(write(ends[1], "x", 1), 1);
    run_all();
    CHECK_EQ(finished, 200);
    return test_done();
}
