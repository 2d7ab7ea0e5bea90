/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A program that closes all numbers, as daemons do, does not hit the descriptors of the library: waits go on, and what is
 * opened later is nobody else's.
 */
#include "core.h"

#include <sys/socket.h>

static int closed, woken;

static void waits(void *argument) {
    int *pair = argument;
    CHECK_ERRNO(dyco_coroutine_waitRead(pair[0], -1), EBADF);
    woken++;
}

static void closes(void *argument) {
    static int pair[2];
    (void)argument;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    spawn(waits, pair);
    dyco_coroutine_sleep(2);
    for (int fd = 3; fd < 300; fd++) closed += close(fd) == 0;
    CHECK(closed >= 2);
    double before = cpu_ms();
    dyco_coroutine_sleep(200);
    CHECK_TOOK(cpu_ms() - before, 0, 40);
    CHECK_EQ(woken, 1);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CHECK_EQ(dyco_coroutine_waitRead(pair[0], 5), 0);
    CHECK_EQ(write(pair[1], "x", 1), 1);
    CHECK(dyco_coroutine_waitRead(pair[0], -1) > 0);
    dup2(pair[0], 400);
    dup2(pair[1], 401);
    CHECK_EQ(close(pair[0]), 0);
    CHECK_EQ(close(pair[1]), 0);
}

int main(void) {
    char byte;
    spawn(closes, NULL);
    run_all();
    dyco_schedule_free(NULL);
    CHECK_EQ(read(400, &byte, 1), 1);
    CHECK_EQ(close(400), 0);
    CHECK_EQ(close(401), 0);
    return test_done();
}
