/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What is there when recv is called it returns, however short the socket's timeout is, and however busy the loop.
 */
#include "net.h"

#define ROUNDS 1000

static int pair[2], over;

static void busy(void *argument) {
    (void)argument;
    while (!over) dyco_coroutine_sleep(0);
}

static void receives(void *argument) {
    struct timeval limit = {.tv_usec = 20};
    char b[8];
    (void)argument;
    CHECK_EQ(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_ERRNO(recv(pair[0], b, sizeof b, 0), EAGAIN);
        CHECK_EQ(syscall(SYS_sendto, pair[1], "x", 1, 0, NULL, 0), 1);
        CHECK_EQ(recv(pair[0], b, sizeof b, 0), 1);
    }
    over = 1;
}

int main(void) {
    stream_pair(AF_UNIX, pair);
    spawn(busy, NULL);
    spawn(receives, NULL);
    run_all();
    close_pair(pair);
    return test_done();
}
