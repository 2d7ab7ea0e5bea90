/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fork inside a coroutine: in the child only that one goes on, with a scheduler that works; the parent notices nothing.
 */
#include "core.h"

#include <sys/socket.h>

static int pair[2], finished, ticks, is_child, quit;
static pid_t parent;

static void child_of_child(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(2);
    finished++;
}

static void forks(void *argument) {
    volatile char block[500];
    char byte;
    memset((void *)block, 42, sizeof block);
    dyco_coroutine_sleep(5);
    int self = dyco_coroutine_coroID();
    int before = ticks;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        is_child = 1;
        finished = 0;
        CHECK_EQ(dyco_coroutine_coroID(), self);
        CHECK_EQ(dyco_schedule_getCoroCount(), 1);
        int64_t begin = now_ns();
        dyco_coroutine_sleep(20);
        CHECK(now_ns() - begin >= 20000000);
        CHECK_EQ(ticks, before);

        int own[2];
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, own), 0);
        CHECK_EQ(dyco_coroutine_waitRead(own[0], 5), 0);
        CHECK_EQ(write(own[1], "y", 1), 1);
        CHECK(dyco_coroutine_waitRead(own[0], -1) > 0);
        CHECK_EQ(dyco_coroutine_waitRead(pair[0], 5), 0); /* shared with the parent */
        for (int i = 0; i < 10; i++) spawn(child_of_child, NULL);
        spawn_own(child_of_child, NULL, 16384);
        while (finished < 11) dyco_coroutine_sleep(5);
        CHECK_EQ(finished, 11);
        for (size_t i = 0; i < sizeof block; i++) CHECK_EQ(block[i], 42);
        if (argument) _exit(0);
        return; /* run returns 0 in the child, too */
    }
    CHECK_EQ(getpid(), parent);
    int status;
    pid_t ended;
    while ((ended = waitpid(child, &status, WNOHANG)) == 0) dyco_coroutine_sleep(5);
    CHECK_EQ(ended, child);
    CHECK_EQ(status, 0);
    CHECK(ticks > before); /* went on all the time */
    for (size_t i = 0; i < sizeof block; i++) CHECK_EQ(block[i], 42);
    CHECK_EQ(dyco_coroutine_waitRead(pair[0], 5), 0);
    CHECK_EQ(write(pair[1], "x", 1), 1);
    CHECK(dyco_coroutine_waitRead(pair[0], -1) > 0);
    dyco_coroutine_sleep(5); /* for the other readers to see it, too */
    CHECK_EQ(read(pair[0], &byte, 1), 1);
    finished++;
    quit++;
}

static void ticker(void *argument) {
    while (quit < (int)(intptr_t)argument) {
        dyco_coroutine_sleep(1);
        ticks++;
    }
}

static void reader(void *argument) {
    (void)argument;
    CHECK(dyco_coroutine_waitRead(pair[0], -1) > 0);
    finished++;
}

int main(void) {
    static char memory[32768];
    parent = getpid();
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    for (int kind = 0; kind < 6; kind++) {
        finished = quit = 0;
        for (int i = 0; i < 5; i++) spawn(ticker, (void *)1);
        for (int i = 0; i < 40; i++) spawn(reader, NULL);
        int cid = spawn(forks, kind % 2 ? memory : NULL);
        if (kind / 2 == 1) CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 65536), 1);
        if (kind / 2 == 2) CHECK_EQ(dyco_coroutine_setStack(cid, memory, sizeof memory), 1);
        CHECK_EQ(dyco_schedule_run(), 0);
        if (is_child) {
            CHECK_EQ(dyco_schedule_getCoroCount(), 0);
            spawn(child_of_child, NULL);
            CHECK_EQ(dyco_schedule_run(), 0);
            CHECK_EQ(finished, 12);
            _exit(0);
        }
        CHECK_EQ(finished, 41);
    }
    return test_done();
}
