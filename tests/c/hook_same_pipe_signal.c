/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * SIGPIPE: as often in a coroutine as in a plain thread, call for call.
 */
#include "same.h"

static volatile int signals;
static int ends[2];
static char block[4 << 20];

static void handler(int signal) {
    (void)signal;
    signals++;
}

/* A call, and how many signals came with it. */
#define COUNTED(call) \
    do { \
        signals = 0; \
        TRY(call); \
        say("  %d signals\n", signals); \
    } while (0)

static int family;

static void close_peer(void *argument) {
    (void)argument;
    CHECK_EQ(close(ends[1]), 0);
}

static void calls(void) {
    struct iovec pieces[2] = {{block, 10}, {block, 10}}, none = {block, 0};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    stream_pair(family, ends);
    COUNTED(shutdown(ends[0], SHUT_WR));
    COUNTED(send(ends[0], "x", 1, 0));
    COUNTED(send(ends[0], "x", 1, MSG_NOSIGNAL));
    COUNTED(send(ends[0], "x", 1, MSG_DONTWAIT));
    COUNTED(send(ends[0], "x", 0, 0));
    COUNTED(sendto(ends[0], "x", 1, 0, NULL, 0));
    COUNTED(write(ends[0], "x", 1));
    COUNTED(write(ends[0], "x", 0));
    COUNTED(writev(ends[0], pieces, 2));
    COUNTED(writev(ends[0], &none, 1));
    COUNTED(sendmsg(ends[0], &message, 0));
#ifndef __aarch64__ /* qemu-user loses it */
    COUNTED(sendmsg(ends[0], &message, MSG_NOSIGNAL));
#endif
    set_nonblock(ends[0], 1);
    COUNTED(write(ends[0], "x", 1));
    COUNTED(send(ends[0], block, sizeof block, MSG_NOSIGNAL));
    close_pair(ends);
}

/* The peer goes away while the sender waits for room: nothing more was sent, or something was. */
static void while_waiting(void) {
    stream_pair(family, ends);
    fill(ends[0]);
    after(40, close_peer, NULL);
    signals = 0;
    TRY(send(ends[0], block, 10, 0));
    /* Linux forgets the signal of a UNIX sender that is waiting already; POSIX, and a coroutine, do not. */
    if (family != AF_UNIX) say("  %d signals\n", signals);
    COUNTED(write(ends[0], "x", 1));
    CHECK_EQ(close(ends[0]), 0);
}

static void blocked(void) {
    sigset_t mask, old, pending;
    sigemptyset(&mask);
    sigaddset(&mask, SIGPIPE);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &mask, &old), 0);
    stream_pair(family, ends);
    TRY(shutdown(ends[0], SHUT_WR));
    COUNTED(send(ends[0], "x", 1, 0));
    CHECK_EQ(sigpending(&pending), 0);
    say("pending %d\n", sigismember(&pending, SIGPIPE));
    struct timespec now = {0, 0};
    TRY(sigtimedwait(&mask, NULL, &now));
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
    close_pair(ends);
}

static void pipes(void) {
    struct iovec piece = {block, 10};
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(close(ends[0]), 0);
    COUNTED(write(ends[1], "x", 1));
    COUNTED(write(ends[1], "x", 0));
    COUNTED(writev(ends[1], &piece, 1));
    COUNTED(write(ends[1], block, sizeof block));
    set_nonblock(ends[1], 1);
    COUNTED(write(ends[1], "x", 1));
    CHECK_EQ(close(ends[1]), 0);
}

static void datagrams(void) {
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    close_peer(NULL);
    COUNTED(send(ends[0], "x", 1, 0));
    COUNTED(write(ends[0], "x", 1));
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    close_peer(NULL);
    COUNTED(send(ends[0], "x", 1, 0));
    COUNTED(shutdown(ends[0], SHUT_WR));
    COUNTED(send(ends[0], "x", 1, 0));
    COUNTED(write(ends[0], "x", 1));
    CHECK_EQ(close(ends[0]), 0);
}

int main(void) {
    static const int families[] = {AF_UNIX, AF_INET, AF_INET6};
    struct sigaction action = {.sa_handler = handler};
    CHECK_EQ(sigaction(SIGPIPE, &action, NULL), 0);
    same_start();
    for (size_t i = 0; i < COUNT(families); i++) {
        family = families[i];
        if (family == AF_INET6 && !has_ipv6()) continue;
        SAME(calls);
        SAME(while_waiting);
        SAME(blocked);
    }
    SAME(pipes);
    SAME(datagrams);
    return test_done();
}
