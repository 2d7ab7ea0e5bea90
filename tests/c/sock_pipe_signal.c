/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * SIGPIPE: once for each call that fails with EPIPE, never with MSG_NOSIGNAL, never when something was sent before the
 * reader went away.
 */
#include "net.h"

static volatile int signals;
static int ends[2];
static char block[4 << 20];

static void handler(int signal) {
    (void)signal;
    signals++;
}

#define SIGNALS(count, call) \
    do { \
        signals = 0; \
        CHECK_ERRNO(call, EPIPE); \
        CHECK_EQ(signals, count); \
    } while (0)

static void calls(void *argument) {
    struct iovec piece = {block, 10};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    (void)argument;
    stream_pair(AF_UNIX, ends);
    CHECK_EQ(close(ends[1]), 0);
    SIGNALS(1, send(ends[0], "x", 1, 0));
    SIGNALS(1, write(ends[0], "x", 1));
    SIGNALS(1, writev(ends[0], &piece, 1));
    SIGNALS(1, sendmsg(ends[0], &message, 0));
    SIGNALS(1, sendto(ends[0], "x", 1, 0, NULL, 0));
    SIGNALS(1, dyco_send(ends[0], "x", 1, 0));
    SIGNALS(1, dyco_sendto(ends[0], "x", 1, 0, NULL, 0));
    SIGNALS(0, send(ends[0], "x", 1, MSG_NOSIGNAL));
    SIGNALS(0, sendmsg(ends[0], &message, MSG_NOSIGNAL));
    SIGNALS(0, dyco_send(ends[0], "x", 1, MSG_NOSIGNAL));
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(close(ends[0]), 0);
    SIGNALS(1, write(ends[1], "x", 1));
    SIGNALS(1, writev(ends[1], &piece, 1));
    CHECK_EQ(close(ends[1]), 0);
}

static void read_some(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(30);
    read_bytes(ends[1], 100000);
    dyco_coroutine_sleep(30);
    CHECK_EQ(argument ? shutdown(ends[1], SHUT_RD) : close(ends[1]), 0);
}

/* The reader goes away in the middle, or reads no more: first the count, then the error and the signal. */
static void half_way(void *argument) {
    int quiet = (intptr_t)argument & 1, shuts = (intptr_t)argument & 2;
    spawn(read_some, shuts ? ends : NULL);
    signals = 0;
    ssize_t n = quiet ? send(ends[0], block, sizeof block, MSG_NOSIGNAL) : send(ends[0], block, sizeof block, 0);
    CHECK_BETWEEN(n, 100000, sizeof block - 1);
    CHECK_EQ(signals, 0);
    SIGNALS(1, send(ends[0], "x", 1, 0));
    CHECK_EQ(close(ends[0]), 0);
    if (shuts) CHECK_EQ(close(ends[1]), 0);
}

static void waits_when_it_goes(void *argument) {
    (void)argument;
    fill(ends[0]);
    /* What the peer has not read makes its close a reset, for whoever waits. */
    signals = 0;
    CHECK_ERRNO(send(ends[0], "x", 1, 0), ECONNRESET);
    CHECK_EQ(signals, 0);
    SIGNALS(1, send(ends[0], "x", 1, 0));
    CHECK_EQ(close(ends[0]), 0);
}

static void close_peer(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(30);
    CHECK_EQ(close(ends[1]), 0);
}

int main(void) {
    struct sigaction action = {.sa_handler = handler};
    CHECK_EQ(sigaction(SIGPIPE, &action, NULL), 0);
    in_coroutine(calls, NULL);
    for (intptr_t kind = 0; kind < 4; kind++) {
        stream_pair(AF_UNIX, ends);
        in_coroutine(half_way, (void *)kind);
    }
    stream_pair(AF_UNIX, ends);
    spawn(waits_when_it_goes, NULL);
    spawn(close_peer, NULL);
    run_with_ticker();
    return test_done();
}
