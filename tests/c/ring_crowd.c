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

/* ---- Deadlines of receives that the kernel has not got yet: nobody waits for its turn to be told that it is too late ---- */

enum { LATE = 4000, CHATS = 64, LIMIT_MS = 60, SPIN_NS = 20000, MOST_SPINS = 100000 };

static int chatting[CHATS][2], quiet[2], late, spins, ended_at[LATE];
static int64_t due_at[LATE], spun_at[MOST_SPINS];

static void chats(void *argument) {
    int me = (int)(intptr_t)argument, fd = chatting[me / 2][me % 2];
    char b = 0;
    if (me % 2) CHECK_EQ(send(fd, &b, 1, 0), 1);
    while (recv(fd, &b, 1, 0) == 1 && late < LATE) CHECK_EQ(send(fd, &b, 1, 0), 1);
    CHECK_EQ(shutdown(fd, SHUT_WR), 0);
}

static void is_late(void *argument) {
    intptr_t me = (intptr_t)argument;
    char b;
    due_at[me] = now_ns() + LIMIT_MS * 1000000;
    CHECK_ERRNO(recv(quiet[0], &b, 1, 0), EAGAIN);
    ended_at[me] = spins;
    late++;
}

/* Takes long between two turns of the loop, each of which gives the kernel a few. What counts is how many of these it took,
 * whatever else the machine does meanwhile. */
static void spin(void) {
    while (late < LATE && spins < MOST_SPINS) {
        int64_t now = now_ns();
        spun_at[spins++] = now;
        while (now_ns() < now + SPIN_NS) continue;
        dyco_coroutine_sleep(0);
    }
}

static void held_deadlines(void (*start)(void (*)(void *), void *, size_t)) {
    late = spins = 0;
    stream_pair(AF_INET, quiet);
    set_timeout(quiet[0], SO_RCVTIMEO, LIMIT_MS);
    /* So many at a time that those who begin among them are kept for later. */
    for (int i = 0; i < CHATS; i++) {
        stream_pair(AF_UNIX, chatting[i]);
        start(chats, (void *)(intptr_t)(2 * i), 0x4000);
        start(chats, (void *)(intptr_t)(2 * i + 1), 0x4000);
    }
    dyco_coroutine_sleep(5);
    for (int i = 0; i < LATE; i++) start(is_late, (void *)(intptr_t)i, 0x4000);
    spin();
    CHECK_EQ(late, LATE);
    int most = 0;
    for (int i = 0; i < LATE; i++) {
        int begun = ended_at[i];
        while (begun > 0 && spun_at[begun - 1] > due_at[i]) begun--;
        if (ended_at[i] - begun > most) most = ended_at[i] - begun;
    }
    CHECK(most < 600);
    close_pair(quiet);
    while (dyco_schedule_getCoroCount() > 1) dyco_coroutine_sleep(1);
    for (int i = 0; i < CHATS; i++) close_pair(chatting[i]);
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
    held_deadlines(start_own);
    held_deadlines(start_shared);
}

int main(void) {
    run_by_ring(all);
    return test_done();
}
