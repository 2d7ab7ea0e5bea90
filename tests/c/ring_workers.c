// arch: x86_64
// nofile: 1000
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Who has looked in vain too often is left by io_uring to a thread of the kernel's own, with its buffer. So of several
 * coroutines that receive from one socket only one does by the ring; and where other reasons bring many to such threads,
 * there are buffers left for the others.
 */
#include "net.h"

#define READERS 200
#define BYTES 400

static int pair[2], waiting[READERS][2], received, served;

static void receives(void *argument) {
    char b;
    (void)argument;
    while (recv(pair[0], &b, 1, 0) == 1) received++;
}

static void sends_to_many(void *argument) {
    (void)argument;
    for (int i = 0; i < BYTES; i++) {
        CHECK_EQ(send(pair[1], "x", 1, 0), 1);
        dyco_coroutine_sleep(1);
    }
    CHECK_EQ(received, BYTES);
    CHECK_EQ(count_threads(), 1);
    CHECK_EQ(shutdown(pair[1], SHUT_WR), 0);
}

/* All look at each byte, and one gets it. */
static void of_one_socket(int domain, size_t stack) {
    stream_pair(domain, pair);
    received = 0;
    for (int i = 0; i < READERS; i++) {
        int cid = spawn_shared(receives, NULL);
        CHECK_EQ(dyco_coroutine_setStack(cid, NULL, stack), stack > 0);
    }
    spawn(sends_to_many, NULL);
    run_all();
    close_pair(pair);
}

/* A message that the kernel has sent from where it was leaves a note with the socket's errors, which makes it look ready. */
static void waits_with_note(void *argument) {
    static char message[20000];
    int one = 1, fd = waiting[(intptr_t)argument][0];
    char b;
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof one), 0);
    CHECK_EQ(send(fd, message, sizeof message, MSG_ZEROCOPY), sizeof message);
    CHECK_EQ(recv(fd, &b, 1, 0), 1);
    served++;
}

static void receives_promptly(void *argument) {
    char b[16];
    ssize_t got;
    (void)argument;
    while ((got = recv(pair[0], b, sizeof b, 0)) > 0) received += (int)got;
}

static void sends_beside_others(void *argument) {
    static char b[20000];
    (void)argument;
    for (int i = 0; i < READERS; i++) CHECK_EQ(recv(waiting[i][1], b, sizeof b, MSG_WAITALL), sizeof b);
    dyco_coroutine_sleep(50);
    double cpu = cpu_ms();
    for (int i = 1; i <= 20; i++) {
        int64_t begin = now_ms();
        CHECK_EQ(send(pair[1], "x", 1, 0), 1);
        do dyco_coroutine_sleep(10);
        while (received < i);
        CHECK_TOOK(now_ms() - begin, 10, 500);
    }
    CHECK_TOOK(cpu_ms() - cpu, 0, 50);
    for (int i = 0; i < READERS; i++) CHECK_EQ(send(waiting[i][1], "y", 1, 0), 1);
    CHECK_EQ(shutdown(pair[1], SHUT_WR), 0);
}

static void beside_many(void) {
    stream_pair(AF_INET, pair);
    received = 0;
    for (int i = 0; i < READERS; i++) {
        stream_pair(AF_INET, waiting[i]);
        spawn_shared(waits_with_note, (void *)(intptr_t)i);
    }
    spawn_shared(receives_promptly, NULL);
    spawn(sends_beside_others, NULL);
    run_all();
    CHECK_EQ(served, READERS);
    for (int i = 0; i < READERS; i++) close_pair(waiting[i]);
    close_pair(pair);
}

int main(void) {
    CHECK_EQ(setenv("DYCO_POLLER", "io_uring", 1), 0);
    of_one_socket(AF_UNIX, 0);
    of_one_socket(AF_INET, 0x4000);
    beside_many();
    return test_done();
}
