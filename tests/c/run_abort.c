/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * schedcall_abort ends all coroutines, whatever they are doing, and leaves an empty scheduler that works.
 */
#include "core.h"

#include <sys/socket.h>

static int ends[2], after, ran, trap;
static int sockets[2];

static void sleeps(void *argument) {
    (void)argument;
    ran++;
    dyco_coroutine_sleep(argument ? UINT32_MAX : 100000);
    after++;
}

static void reads(void *argument) {
    ran++;
    dyco_coroutine_waitRead(ends[0], argument ? 100000 : -1);
    after++;
}

static void receives(void *argument) {
    char byte;
    (void)argument;
    ran++;
    dyco_recv(sockets[0], &byte, 1, 0);
    after++;
}

static void polls(void *argument) {
    struct pollfd items[2] = {{ends[0], POLLIN, 0}, {sockets[0], POLLIN, 0}};
    ran++;
    poll(items, 2, argument ? 100000 : -1);
    after++;
}

static void is_ready(void *argument) {
    (void)argument;
    ran++;
    for (;;) {
        dyco_coroutine_sleep(0);
        if (trap) after++;
    }
}

static void deep(int depth) {
    volatile char frame[200];
    frame[0] = 1;
    if (depth) deep(depth - 1);
    else dyco_schedcall_abort();
    after += frame[0];
}

static void aborts(void *argument) {
    for (int i = 0; i < (int)(intptr_t)argument; i++) dyco_coroutine_sleep(0);
    trap = 1;
    deep(20);
}

static void never(void *argument) {
    (void)argument;
    after++;
}

static void creates_and_aborts(void *argument) {
    (void)argument;
    for (int i = 0; i < 100; i++) spawn(never, NULL);
    CHECK(dyco_coroutine_create_urgent(never, NULL) > 0);
    dyco_schedcall_abort();
}

static void sleep_5(void *argument) {
    int64_t begin = now_ns();
    (void)argument;
    dyco_coroutine_sleep(5);
    CHECK(now_ns() - begin >= 5000000);
    ran++;
}

static void fill(int own, char (*memory)[8192]) {
    for (intptr_t i = 0; i < 40; i++) {
        proc_coroutine kinds[] = {sleeps, reads, receives, polls, is_ready};
        int cid = spawn(kinds[i % 5], (void *)(i / 5 % 2));
        if (own == 1) CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 16384), 1);
        if (own == 2) CHECK_EQ(dyco_coroutine_setStack(cid, memory[i], 8192), 1);
        if (i % 7 == 0) CHECK_EQ(dyco_coroutine_setUrgent(cid), 0);
    }
}

int main(void) {
    static char memory[40][8192];
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    for (int round = 0; round < 60; round++) {
        ran = trap = 0;
        fill(round % 3, memory);
        int last = spawn(aborts, (void *)(intptr_t)(round % 4));
        if (round % 5 == 0) CHECK_EQ(dyco_coroutine_setStack(last, NULL, 32768), 1);
        CHECK_EQ(dyco_schedule_run(), -1);
        CHECK_EQ(ran, 40);
        CHECK_EQ(after, 0);
        CHECK_EQ(dyco_schedule_getCoroCount(), 0);
        CHECK_EQ(dyco_coroutine_coroID(), -1);
        CHECK_ERRNO(dyco_coroutine_getSchedCount(last), ESRCH);
        CHECK_EQ(dyco_schedule_run(), -2);

        /* What the ended ones waited for comes now, and wakes nobody. */
        CHECK_EQ(write(ends[1], "x", 1), 1);
        ran = 0;
        for (int i = 0; i < 5; i++) spawn(sleep_5, NULL);
        if (round % 10 == 0) for (int i = 0; i < 5; i++) spawn(sleep_5, memory);
        run_all();
        CHECK_EQ(ran, round % 10 == 0 ? 10 : 5);
        char byte;
        CHECK_EQ(read(ends[0], &byte, 1), 1);
    }
    CHECK_EQ(after, 0);

    spawn(creates_and_aborts, NULL);
    spawn(never, NULL);
    CHECK_EQ(dyco_schedule_run(), -1);
    CHECK_EQ(after, 0);

    /* From main: what there is ends. */
    spawn(never, NULL);
    dyco_schedcall_abort();
    CHECK_EQ(dyco_schedule_getCoroCount(), 0);
    CHECK(dyco_schedule_run() < 0);
    CHECK_EQ(after, 0);
    ran = 0;
    spawn(sleep_5, NULL);
    run_all();
    CHECK_EQ(ran, 1);

    /* And freed after an abort. */
    spawn(aborts, NULL);
    CHECK_EQ(dyco_schedule_run(), -1);
    dyco_schedule_free(NULL);
    spawn(sleep_5, NULL);
    run_all();
    CHECK_EQ(ran, 2);
    return test_done();
}
