// busy: much
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A peer that sends and closes at once, just while a coroutine looks for something to receive: what it sent is received
 * before the end of the stream, also on a number whose connection before has hung up.
 */
#include "net.h"

#define ROUNDS 60000

static int peer_end = -1;

static void *peer(void *argument) {
    for (int i = 0; i < ROUNDS; i++) {
        int fd;
        while ((fd = __atomic_load_n(&peer_end, __ATOMIC_ACQUIRE)) < 0) sched_yield();
        __atomic_store_n(&peer_end, -1, __ATOMIC_RELEASE);
        for (volatile int spin = i % 100 * 5; spin > 0; spin--) continue;
        CHECK_EQ(syscall(SYS_sendto, fd, "y", 1, MSG_NOSIGNAL, NULL, 0), 1);
        CHECK_EQ(syscall(SYS_shutdown, fd, SHUT_WR), 0);
    }
    return argument;
}

static void receives(void *argument) {
    (void)argument;
    for (int i = 0; i < ROUNDS; i++) {
        char b = 0;
        int ends[2];
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        __atomic_store_n(&peer_end, ends[1], __ATOMIC_RELEASE);
        CHECK_EQ(recv(ends[0], &b, 1, 0), 1);
        CHECK_EQ(b, 'y');
        CHECK_EQ(recv(ends[0], &b, 1, 0), 0);
        close_pair(ends);
    }
}

int main(void) {
    pthread_t thread;
    warm_up();
    CHECK_EQ(pthread_create(&thread, NULL, peer, NULL), 0);
    in_coroutine(receives, NULL);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    return test_done();
}
