// timeout: 60
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Sends that go to the kernel together: all bytes arrive in order however slow the reader, a lost peer is EPIPE with one
 * SIGPIPE each, deadlines and closes end those that wait.
 */
#include "net.h"

#include <signal.h>

#define SENDERS 100

static int pairs[SENDERS][2], done;
static volatile sig_atomic_t signals;

static void on_signal(int number) {
    (void)number;
    signals++;
}

static void stream(int i) {
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
}

static void begin(proc_coroutine sender) {
    done = 0;
    for (int i = 0; i < SENDERS; i++) {
        stream(i);
        spawn_own(sender, (void *)(intptr_t)i, 0x8000);
    }
}

static void await_all(void) {
    for (int i = 0; i < 4000 && done < SENDERS; i++) dyco_coroutine_sleep(2);
    CHECK_EQ(done, SENDERS);
}

static void close_both(void) {
    for (int i = 0; i < SENDERS; i++) {
        if (pairs[i][0] >= 0) CHECK_EQ(close(pairs[i][0]), 0);
        if (pairs[i][1] >= 0) CHECK_EQ(close(pairs[i][1]), 0);
    }
}

/* Small messages: each goes as a whole. Large ones: the reader has to make room many times. */
#define LARGE 600000

static void talker(void *argument) {
    int i = (int)(intptr_t)argument, number;
    static unsigned char large[LARGE];
    for (number = 0; number < 50; number++) {
        CHECK_EQ(send(pairs[i][0], &number, sizeof number, number % 2 ? MSG_NOSIGNAL : 0), (ssize_t)sizeof number);
        if (number % 10 == 0) dyco_coroutine_sleep(1);
    }
    for (int at = 0; at < LARGE; at++) large[at] = (unsigned char)(at * 31 >> 3);
    CHECK_EQ(write(pairs[i][0], large, LARGE), LARGE);
    CHECK_EQ(shutdown(pairs[i][0], SHUT_WR), 0);
}

static void listener_of(void *argument) {
    int i = (int)(intptr_t)argument, number, got;
    unsigned char part[4096];
    long at = 0;
    for (int wanted = 0; wanted < 50; wanted++) {
        CHECK_EQ(recv(pairs[i][1], &number, sizeof number, MSG_WAITALL), (ssize_t)sizeof number);
        CHECK_EQ(number, wanted);
    }
    while ((got = (int)recv(pairs[i][1], part, sizeof part, 0)) > 0)
        for (int k = 0; k < got; k++, at++) CHECK_EQ(part[k], (unsigned char)(at * 31 >> 3));
    CHECK_EQ(got, 0);
    CHECK_EQ(at, LARGE);
    done++;
}

static void all_arrives(void) {
    begin(talker);
    for (int i = 0; i < SENDERS; i++) spawn_own(listener_of, (void *)(intptr_t)i, 0x8000);
    await_all();
    close_both();
}

static void loser(void *argument) {
    int i = (int)(intptr_t)argument;
    CHECK_ERRNO(send(pairs[i][0], "hello", 5, i % 2 ? MSG_NOSIGNAL : 0), EPIPE);
    done++;
}

static void lost_peers(void) {
    begin(loser);
    for (int i = 0; i < SENDERS; i++) {
        CHECK_EQ(close(pairs[i][1]), 0);
        pairs[i][1] = -1;
    }
    signals = 0;
    await_all();
    CHECK_EQ(signals, SENDERS / 2);
    close_both();
}

static char block[1 << 16];

static void patient_for_a_while(void *argument) {
    int i = (int)(intptr_t)argument;
    int64_t begin = now_ms();
    CHECK_ERRNO(send(pairs[i][0], block, 1000, 0), EAGAIN);
    CHECK_TOOK(now_ms() - begin, 49, 4000);
    done++;
}

static void timed_out(void) {
    begin(patient_for_a_while);
    for (int i = 0; i < SENDERS; i++) {
        set_timeout(pairs[i][0], SO_SNDTIMEO, 50);
        fill(pairs[i][0]);
    }
    await_all();
    close_both();
}

static void interrupted(void *argument) {
    int i = (int)(intptr_t)argument;
    CHECK_ERRNO(send(pairs[i][0], block, 1000, 0), EBADF);
    done++;
}

static void closed(void) {
    begin(interrupted);
    for (int i = 0; i < SENDERS; i++) fill(pairs[i][0]);
    dyco_coroutine_sleep(20);
    CHECK_EQ(done, 0);
    for (int i = 0; i < SENDERS; i++) {
        CHECK_EQ(close(pairs[i][0]), 0);
        pairs[i][0] = -1;
    }
    await_all();
    close_both();
}

/* A socket that does not wait does not wait for the others either. */
static void at_once(void *argument) {
    int i = (int)(intptr_t)argument;
    set_nonblock(pairs[i][0], 1);
    int before = dyco_coroutine_getSchedCount(dyco_coroutine_coroID());
    CHECK_EQ(send(pairs[i][0], "hello", 5, 0), 5);
    CHECK_EQ(send(pairs[i][1], "hello", 5, MSG_DONTWAIT), 5);
    CHECK_EQ(dyco_coroutine_getSchedCount(dyco_coroutine_coroID()), before);
    done++;
}

static void nonblocking(void) {
    begin(at_once);
    await_all();
    close_both();
}

static void all(void *argument) {
    (void)argument;
    all_arrives();
    lost_peers();
    timed_out();
    closed();
    nonblocking();
}

int main(void) {
    signal(SIGPIPE, on_signal);
    run_by_ring(all);
    return test_done();
}
