// timeout: 60
// nofile: 2000
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Receives by io_uring among so many busy connections that they go to the kernel later: everybody has his turn, deadlines
 * and closes come in time, and no byte is lost or moved.
 */
#include "net.h"

#define BUSY 400
#define SILENT 40
#define ROUNDS 300

static int served[BUSY][2], answered[BUSY], finished, fewest, silent[SILENT][2], doomed[SILENT][2], timed_out, closed;

static void serve(void *argument) {
    int fd = served[(intptr_t)argument][0];
    char b[256];
    ssize_t got;
    while ((got = recv(fd, b, sizeof b, 0)) > 0) CHECK_EQ(send(fd, b, (size_t)got, 0), got);
    CHECK_EQ(got, 0);
    CHECK_EQ(close(fd), 0);
}

static void ask(void *argument) {
    int me = (int)(intptr_t)argument, fd = served[me][1], sent[16], got[16];
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 16; i++) sent[i] = me * ROUNDS + round + i;
        CHECK_EQ(send(fd, sent, sizeof sent, 0), (ssize_t)sizeof sent);
        for (size_t have = 0; have < sizeof got;) {
            ssize_t more = recv(fd, (char *)got + have, sizeof got - have, 0);
            CHECK(more > 0);
            have += (size_t)more;
        }
        CHECK(memcmp(sent, got, sizeof got) == 0);
        answered[me]++;
    }
    if (finished++ == 0) {
        fewest = ROUNDS;
        for (int i = 0; i < BUSY; i++)
            if (answered[i] < fewest) fewest = answered[i];
    }
    CHECK_EQ(close(fd), 0);
}

static void impatient(void *argument) {
    int fd = silent[(intptr_t)argument][0];
    char b[8];
    for (int i = 0; i < 3; i++) {
        int64_t begin = now_ms();
        CHECK_ERRNO(recv(fd, b, sizeof b, 0), EAGAIN);
        CHECK_TOOK(now_ms() - begin, 19, 2000);
    }
    timed_out++;
}

static void betrayed(void *argument) {
    char b[8];
    CHECK_ERRNO(recv(doomed[(intptr_t)argument][0], b, sizeof b, 0), EBADF);
    closed++;
}

static void crowd(void (*start)(void (*)(void *), void *, size_t)) {
    finished = timed_out = closed = 0;
    for (int i = 0; i < BUSY; i++) {
        stream_pair(i % 4 ? AF_INET : AF_UNIX, served[i]);
        answered[i] = 0;
        start(serve, (void *)(intptr_t)i, 0x4000);
        start(ask, (void *)(intptr_t)i, 0x4000);
    }
    dyco_coroutine_sleep(1);
    for (int i = 0; i < SILENT; i++) {
        stream_pair(AF_INET, silent[i]);
        stream_pair(AF_INET, doomed[i]);
        set_timeout(silent[i][0], SO_RCVTIMEO, 20);
        start(impatient, (void *)(intptr_t)i, 0x4000);
        start(betrayed, (void *)(intptr_t)i, 0x4000);
    }
    for (int i = 0; i < SILENT; i++) {
        dyco_coroutine_sleep(1);
        CHECK_EQ(close(doomed[i][0]), 0);
        char b;
        CHECK_EQ(recv(doomed[i][1], &b, 1, 0), 0);
        CHECK_EQ(close(doomed[i][1]), 0);
    }
    for (int i = 0; i < 10000 && (finished < BUSY || timed_out < SILENT || closed < SILENT); i++) dyco_coroutine_sleep(5);
    CHECK_EQ(finished, BUSY);
    CHECK_EQ(timed_out, SILENT);
    CHECK_EQ(closed, SILENT);
    CHECK(fewest >= ROUNDS / 3);
    for (int i = 0; i < SILENT; i++) {
        CHECK_EQ(close(silent[i][0]), 0);
        CHECK_EQ(close(silent[i][1]), 0);
    }
}

static void start_shared(void (*function)(void *), void *argument, size_t size) {
    (void)size;
    CHECK(dyco_coroutine_create(function, argument) > 0);
}

static void start_own(void (*function)(void *), void *argument, size_t size) {
    spawn_own(function, argument, size);
}

static void all(void *argument) {
    (void)argument;
    crowd(start_own);
    crowd(start_shared);
}

int main(void) {
    CHECK_EQ(setenv("DYCO_POLLER", "io_uring", 1), 0);
    warm_up();
    int fds = count_fds();
    spawn_own(all, NULL, 0x10000);
    run_all();
    CHECK_EQ(count_fds(), fds);
    return test_done();
}
