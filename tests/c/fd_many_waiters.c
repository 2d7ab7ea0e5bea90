/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Any number of readers and writers wait on one descriptor, in one thread and in several; each is served.
 */
#include "net.h"

static int ends[2], received, sent_blocks;
static char block[100000];

static void read_one(void *argument) {
    char b = 0;
    int how = (int)(intptr_t)argument % 3;
    if (how == 0) CHECK_EQ(recv(ends[0], &b, 1, 0), 1);
    if (how == 1) CHECK_EQ(read(ends[0], &b, 1), 1);
    if (how == 2) CHECK_EQ(dyco_recv(ends[0], &b, 1, 0), 1);
    CHECK_EQ(b, 'r');
    __atomic_add_fetch(&received, 1, __ATOMIC_RELAXED);
}

static void write_block(void *argument) {
    (void)argument;
    CHECK_EQ(send(ends[0], block, sizeof block, 0), sizeof block);
    sent_blocks++;
}

static void peer_writes(void *argument) {
    int count = (int)(intptr_t)argument;
    dyco_coroutine_sleep(30);
    for (int i = 0; i < count; i++) {
        CHECK_EQ(send(ends[1], "r", 1, 0), 1);
        if (i % 10 == 0) dyco_coroutine_sleep(1);
    }
}

static void peer_reads(void *argument) {
    dyco_coroutine_sleep(60);
    CHECK_EQ(read_bytes(ends[1], (size_t)(intptr_t)argument), (intptr_t)argument);
}

/* All at once: 100 readers and 20 writers of one end. */
static void both_directions(int family) {
    stream_pair(family, ends);
    received = sent_blocks = 0;
    for (int i = 0; i < 100; i++) spawn(read_one, (void *)(intptr_t)i);
    for (int i = 0; i < 20; i++) spawn(write_block, NULL);
    spawn(peer_writes, (void *)100);
    spawn(peer_reads, (void *)(20 * sizeof block));
    run_with_ticker();
    CHECK_EQ(received, 100);
    CHECK_EQ(sent_blocks, 20);
    close_pair(ends);
}

/* Some readers go away by their timeout, the others are served; no byte is lost. */
static int timed_out;

static void read_in_time(void *argument) {
    char b;
    int ready = dyco_coroutine_waitRead(ends[0], (int)(intptr_t)argument);
    if (ready == 0) {
        timed_out++;
        return;
    }
    CHECK(ready > 0);
    ssize_t n = recv(ends[0], &b, 1, MSG_DONTWAIT);
    if (n == 1) received++;
    else CHECK(n == -1 && errno == EAGAIN);
}

static void send_later(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(150);
    CHECK_EQ(send(ends[1], "rr", 2, 0), 2);
}

static void with_timeouts(void) {
    stream_pair(AF_UNIX, ends);
    received = timed_out = 0;
    for (int i = 0; i < 10; i++) spawn(read_in_time, (void *)20);
    for (int i = 0; i < 5; i++) spawn(read_in_time, (void *)1000);
    spawn(send_later, NULL);
    run_with_ticker();
    /* Who comes late to the two bytes may find them gone, as a thread in poll does, and waits on. */
    CHECK_BETWEEN(timed_out, 10, 13);
    CHECK_EQ(received, 2);
    close_pair(ends);
}

/* Coroutines of several threads read one socket. */
static void *reading_thread(void *argument) {
    for (int i = 0; i < 50; i++) spawn(read_one, (void *)(intptr_t)i);
    run_all();
    dyco_schedule_free(NULL);
    return argument;
}

static void several_threads(void) {
    pthread_t threads[4];
    stream_pair(AF_INET, ends);
    received = 0;
    for (int i = 0; i < 4; i++) CHECK_EQ(pthread_create(&threads[i], NULL, reading_thread, NULL), 0);
    usleep(50000);
    for (int i = 0; i < 200; i++) {
        CHECK_EQ(send(ends[1], "r", 1, 0), 1);
        if (i % 16 == 0) usleep(1000);
    }
    for (int i = 0; i < 4; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(received, 200);
    close_pair(ends);
}

int main(void) {
    both_directions(AF_UNIX);
    both_directions(AF_INET);
    with_timeouts();
    several_threads();
    return test_done();
}
