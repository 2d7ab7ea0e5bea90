// timeout: 60
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Coroutines on shared stacks that receive and send in memory of the heap: the kernel has its address while others run where
 * their frames were. Nothing is written there once a call has returned or its coroutine has been ended.
 */
#include "net.h"

#define WAITERS 60
#define ROUNDS 20
#define ROOM 600

static int pairs[WAITERS][2], ended, gave_way;
static unsigned char buffers[WAITERS][ROOM];

static void open_pairs(void) {
    ended = 0;
    memset(buffers, 0x5a, sizeof buffers);
    for (int i = 0; i < WAITERS; i++) stream_pair(i % 2 ? AF_UNIX : AF_INET, pairs[i]);
}

static void close_pairs(void) {
    for (int i = 0; i < WAITERS; i++) {
        if (pairs[i][0] >= 0) CHECK_EQ(close(pairs[i][0]), 0);
        CHECK_EQ(close(pairs[i][1]), 0);
    }
}

static void untouched(void) {
    for (int i = 0; i < WAITERS; i++)
        for (int at = 0; at < ROOM; at++) CHECK_EQ(buffers[i][at], 0x5a);
}

static void server(void *argument) {
    int i = (int)(intptr_t)argument, me = dyco_coroutine_coroID();
    volatile char frame[100];
    ssize_t got;
    memset((void *)frame, i, sizeof frame);
    while ((got = recv(pairs[i][0], buffers[i], ROOM, 0)) > 0) {
        int before = dyco_coroutine_getSchedCount(me);
        CHECK_EQ(send(pairs[i][0], buffers[i], (size_t)got, 0), got);
        gave_way += dyco_coroutine_getSchedCount(me) > before;
        for (size_t at = 0; at < sizeof frame; at++) CHECK_EQ(frame[at], i);
    }
    CHECK_EQ(got, 0);
    ended++;
}

static void client(void *argument) {
    int i = (int)(intptr_t)argument;
    unsigned char *message = malloc(ROOM), *answer = malloc(ROOM);
    CHECK(message && answer);
    for (int round = 1; round <= ROUNDS; round++) {
        size_t length = (size_t)(i * 7 + round * 23) % ROOM + 1;
        memset(message, i + round, length);
        CHECK_EQ(send(pairs[i][1], message, length, MSG_NOSIGNAL), (ssize_t)length);
        CHECK_EQ(recv(pairs[i][1], answer, length, MSG_WAITALL), (ssize_t)length);
        CHECK_EQ(memcmp(message, answer, length), 0);
    }
    free(message);
    free(answer);
    CHECK_EQ(shutdown(pairs[i][1], SHUT_WR), 0);
}

static void echoes(void) {
    open_pairs();
    for (int i = 0; i < WAITERS; i++) {
        spawn_shared(server, (void *)(intptr_t)i);
        spawn_shared(client, (void *)(intptr_t)i);
    }
    run_all();
    CHECK_EQ(ended, WAITERS);
    /* Together with others, so they went by the ring. */
    CHECK((gave_way > WAITERS) == has_ring());
    close_pairs();
}

static int expected_errno;

static void waiter(void *argument) {
    int i = (int)(intptr_t)argument;
    CHECK_ERRNO(recv(pairs[i][0], buffers[i], ROOM, 0), expected_errno);
    ended++;
}

static void begin(int error) {
    open_pairs();
    expected_errno = error;
    for (int i = 0; i < WAITERS; i++) spawn_shared(waiter, (void *)(intptr_t)i);
}

/* What the peers send now is for others. */
static void send_all(void) {
    for (int i = 0; i < WAITERS; i++) CHECK_EQ(send(pairs[i][1], "hello", 5, 0), 5);
}

static void receive_all(void *argument) {
    char b[8];
    (void)argument;
    send_all();
    dyco_coroutine_sleep(20);
    for (int i = 0; i < WAITERS; i++) CHECK_EQ(recv(pairs[i][0], b, sizeof b, 0), 5);
}

static void abort_all(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(20);
    dyco_schedcall_abort();
}

static void aborted(void) {
    begin(0);
    spawn_shared(abort_all, NULL);
    CHECK_EQ(dyco_schedule_run(), -1);
    CHECK_EQ(ended, 0);
    spawn_shared(receive_all, NULL);
    run_all();
    untouched();
    close_pairs();
}

static void timed_out(void) {
    begin(EAGAIN);
    for (int i = 0; i < WAITERS; i++) set_timeout(pairs[i][0], SO_RCVTIMEO, 30);
    run_all();
    CHECK_EQ(ended, WAITERS);
    spawn_shared(receive_all, NULL);
    run_all();
    untouched();
    close_pairs();
}

static void close_all(void *argument) {
    char b[8];
    (void)argument;
    dyco_coroutine_sleep(20);
    for (int i = 0; i < WAITERS; i++) {
        CHECK_EQ(close(pairs[i][0]), 0);
        pairs[i][0] = -1;
    }
    for (int i = 0; i < WAITERS; i++) CHECK_EQ(recv(pairs[i][1], b, sizeof b, 0), 0);
}

static void closed(void) {
    begin(EBADF);
    spawn_shared(close_all, NULL);
    run_all();
    CHECK_EQ(ended, WAITERS);
    untouched();
    close_pairs();
}

int main(void) {
    CHECK_EQ(setenv("DYCO_POLLER", "io_uring", 1), 0);
    warm_up();
    int fds = count_fds();
    echoes();
    aborted();
    timed_out();
    closed();
    CHECK_EQ(count_fds(), fds);
    return test_done();
}
