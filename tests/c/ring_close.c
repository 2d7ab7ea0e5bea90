// timeout: 60
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Operations in io_uring that end otherwise than by data: a deadline, a close by this thread and by another, dup2, a shutdown.
 * The peer learns of a close at once, a cancel that comes too late delivers what has come, and nothing goes to the next
 * descriptor of that number.
 */
#include "net.h"

#define WAITERS 100

static int pairs[WAITERS][2], ended, expected_errno;
static ssize_t expected;

static void receiver(void *argument) {
    char b[64];
    errno = 0;
    CHECK_EQ(recv(pairs[(intptr_t)argument][0], b, sizeof b, 0), expected);
    if (expected < 0) CHECK_EQ(errno, expected_errno);
    ended++;
}

static void stream(int i) {
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
}

/* All wait, and `how` of the last of them has begun. */
static void all_wait(ssize_t result, int error) {
    expected = result;
    expected_errno = error;
    ended = 0;
    for (int i = 0; i < WAITERS; i++) {
        stream(i);
        spawn_own(receiver, (void *)(intptr_t)i, 0x4000);
    }
    dyco_coroutine_sleep(20);
    CHECK_EQ(ended, 0);
}

static int at_end(int fd) {
    char b;
    return recv(fd, &b, 1, MSG_DONTWAIT) == 0;
}

static void close_ends(int peers) {
    for (int i = 0; i < WAITERS; i++) {
        if (!peers) CHECK_EQ(close(pairs[i][0]), 0);
        CHECK_EQ(close(pairs[i][1]), 0);
    }
}

/* No switch between the close and the look at the peer. */
static void closed_here(void) {
    all_wait(-1, EBADF);
    for (int i = 0; i < WAITERS; i++) {
        CHECK_EQ(close(pairs[i][0]), 0);
        CHECK(at_end(pairs[i][1]));
    }
    CHECK_EQ(ended, 0);
    dyco_coroutine_sleep(5);
    CHECK_EQ(ended, WAITERS);
    close_ends(1);
}

static void *close_all(void *argument) {
    for (int i = 0; i < WAITERS; i++) CHECK_EQ(close(pairs[i][0]), 0);
    return argument;
}

static void closed_by_another_thread(void) {
    pthread_t thread;
    all_wait(-1, EBADF);
    CHECK_EQ(pthread_create(&thread, NULL, close_all, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    for (int i = 0; i < 1000 && ended < WAITERS; i++) dyco_coroutine_sleep(5);
    CHECK_EQ(ended, WAITERS);
    for (int i = 0; i < WAITERS; i++) CHECK(at_end(pairs[i][1]));
    close_ends(1);
}

static void replaced(void) {
    int other[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, other), 0);
    CHECK_EQ(send(other[1], "hello", 5, 0), 5);
    all_wait(-1, EBADF);
    for (int i = 0; i < WAITERS; i++) {
        CHECK_EQ(dup2(other[0], pairs[i][0]), pairs[i][0]);
        CHECK(at_end(pairs[i][1]));
    }
    dyco_coroutine_sleep(5);
    CHECK_EQ(ended, WAITERS);
    close_ends(0);
    /* Nobody has received what the new descriptor had. */
    char b[8];
    CHECK_EQ(recv(other[0], b, sizeof b, MSG_DONTWAIT), 5);
    CHECK_EQ(close(other[0]), 0);
    CHECK_EQ(close(other[1]), 0);
}

/* The number is another file's before the operation has gone to the kernel. */
static void reused_at_once(void) {
    int next[2];
    char b[8];
    expected = -1;
    expected_errno = EBADF;
    for (int round = 0; round < 200; round++) {
        ended = 0;
        stream(0);
        int number = pairs[0][0];
        spawn_own(receiver, NULL, 0x4000);
        dyco_coroutine_sleep(0);
        CHECK_EQ(close(pairs[0][0]), 0);
        CHECK(at_end(pairs[0][1]));
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, next), 0);
        CHECK(next[0] == number || next[1] == number);
        CHECK_EQ(send(next[0], "a", 1, 0), 1);
        CHECK_EQ(send(next[1], "b", 1, 0), 1);
        while (!ended) dyco_coroutine_sleep(0);
        CHECK_EQ(recv(next[0], b, sizeof b, MSG_DONTWAIT), 1);
        CHECK_EQ(recv(next[1], b, sizeof b, MSG_DONTWAIT), 1);
        CHECK_EQ(close(next[0]), 0);
        CHECK_EQ(close(next[1]), 0);
        CHECK_EQ(close(pairs[0][1]), 0);
    }
}

static int stop_yielding;

static void yielding(void *argument) {
    (void)argument;
    while (!stop_yielding) dyco_coroutine_sleep(0);
}

/* The same, and the next one's sends go by the ring before anybody has been told of the close. */
static void reused_in_company(void) {
    int next[2];
    char b[8];
    expected = -1;
    expected_errno = EBADF;
    stop_yielding = 0;
    spawn_own(yielding, NULL, 0x4000);
    for (int round = 0; round < 200; round++) {
        ended = 0;
        stream(0);
        int number = pairs[0][0];
        spawn_own(receiver, NULL, 0x4000);
        dyco_coroutine_sleep(round % 2);
        CHECK_EQ(close(pairs[0][0]), 0);
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, next), 0);
        CHECK(next[0] == number || next[1] == number);
        CHECK_EQ(send(next[0], "a", 1, 0), 1);
        CHECK_EQ(send(next[1], "b", 1, 0), 1);
        while (!ended) dyco_coroutine_sleep(0);
        CHECK_EQ(recv(next[0], b, sizeof b, MSG_DONTWAIT), 1);
        CHECK_EQ(recv(next[1], b, sizeof b, MSG_DONTWAIT), 1);
        CHECK_EQ(close(next[0]), 0);
        CHECK_EQ(close(next[1]), 0);
        CHECK_EQ(close(pairs[0][1]), 0);
    }
    stop_yielding = 1;
}

static void shut_down(void) {
    all_wait(0, 0);
    for (int i = 0; i < WAITERS; i++) CHECK_EQ(shutdown(pairs[i][i % 2], i % 2 ? SHUT_WR : SHUT_RD), 0);
    for (int i = 0; i < 1000 && ended < WAITERS; i++) dyco_coroutine_sleep(5);
    CHECK_EQ(ended, WAITERS);
    close_ends(0);
}

static int late;

static void impatient(void *argument) {
    int fd = pairs[(intptr_t)argument][0];
    char b[64];
    int64_t begin = now_ms();
    CHECK_ERRNO(recv(fd, b, sizeof b, 0), EAGAIN);
    CHECK_TOOK(now_ms() - begin, 49, 4000);
    late++;
    ssize_t got;
    while ((got = recv(fd, b, sizeof b, 0)) < 0 && errno == EAGAIN) continue;
    CHECK_EQ(got, 5);
    ended++;
}

static void timed_out(void) {
    ended = late = 0;
    for (int i = 0; i < WAITERS; i++) {
        stream(i);
        set_timeout(pairs[i][0], SO_RCVTIMEO, 50);
        spawn_own(impatient, (void *)(intptr_t)i, 0x4000);
    }
    for (int i = 0; i < 1000 && late < WAITERS; i++) dyco_coroutine_sleep(5);
    for (int i = 0; i < WAITERS; i++) CHECK_EQ(send(pairs[i][1], "hello", 5, 0), 5);
    for (int i = 0; i < 1000 && ended < WAITERS; i++) dyco_coroutine_sleep(5);
    CHECK_EQ(ended, WAITERS);
    close_ends(0);
}

#define NUMBERS 400

/* Deadlines and data meet: each number arrives once, in order. */
static void counting(void *argument) {
    int fd = pairs[(intptr_t)argument][0], timeouts = 0;
    for (int wanted = 0; wanted < NUMBERS;) {
        int number[16];
        ssize_t got = recv(fd, number, sizeof number, 0);
        if (got < 0) {
            CHECK_EQ(errno, EAGAIN);
            timeouts++;
            continue;
        }
        CHECK(got > 0 && got % sizeof number[0] == 0);
        for (int i = 0; i < (int)(got / sizeof number[0]); i++) CHECK_EQ(number[i], wanted++);
    }
    CHECK(timeouts > 0);
    ended++;
}

static void *count(void *argument) {
    unsigned random = 1;
    (void)argument;
    for (int number = 0; number < NUMBERS; number++) {
        struct timespec pause = {0, (random = random * 1103515245 + 12345) % 2000000};
        for (int i = 0; i < 10; i++) CHECK_EQ(send(pairs[i][1], &number, sizeof number, 0), (ssize_t)sizeof number);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void too_late(void) {
    pthread_t thread;
    ended = 0;
    for (int i = 0; i < 10; i++) {
        stream(i);
        set_timeout(pairs[i][0], SO_RCVTIMEO, 1);
        spawn_own(counting, (void *)(intptr_t)i, 0x4000);
    }
    CHECK_EQ(pthread_create(&thread, NULL, count, NULL), 0);
    while (ended < 10) dyco_coroutine_sleep(5);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(close(pairs[i][0]), 0);
        CHECK_EQ(close(pairs[i][1]), 0);
    }
}

static void all(void *argument) {
    (void)argument;
    closed_here();
    closed_by_another_thread();
    replaced();
    reused_at_once();
    reused_in_company();
    shut_down();
    timed_out();
    too_late();
}

int main(void) {
    run_by_ring(all);
    return test_done();
}
