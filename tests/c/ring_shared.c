// timeout: 60
// nofile: 2000
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Coroutines on shared stacks that receive and send by io_uring while others run where their frames were: in memory of the
 * heap, of which the kernel has the address, and in their frames, where what has come is put when they are parked. Nothing
 * is written once a call has returned or its coroutine has been ended.
 */
#include "net.h"

#include <sys/wait.h>

#define WAITERS 60
#define ROUNDS 20
#define ROOM 600

static int pairs[WAITERS][2], ended, gave_way;
static unsigned char buffers[WAITERS][ROOM];
static int on_stack;

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
    unsigned char local[ROOM], *buffer = on_stack ? local : buffers[i];
    ssize_t got;
    memset((void *)frame, i, sizeof frame);
    while ((got = recv(pairs[i][0], buffer, ROOM, 0)) > 0) {
        int before = dyco_coroutine_getSchedCount(me);
        CHECK_EQ(send(pairs[i][0], buffer, (size_t)got, 0), got);
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
    gave_way = 0;
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
    unsigned char local[ROOM];
    memset(local, 0x5a, sizeof local);
    CHECK_ERRNO(recv(pairs[i][0], on_stack ? local : buffers[i], ROOM, 0), expected_errno);
    dyco_coroutine_sleep(10);
    for (int at = 0; at < ROOM; at++) CHECK_EQ(local[at], 0x5a);
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

/* More than the library has room for at a time. */
#define LARGE 7000

static unsigned char pattern(int i, size_t at) {
    return (unsigned char)(i + at * 31 / 8);
}

static void large_receiver(void *argument) {
    int i = (int)(intptr_t)argument;
    unsigned char local[LARGE + 50];
    size_t total = 0;
    ssize_t got;
    while ((got = recv(pairs[i][0], local, sizeof local, 0)) > 0) {
        for (ssize_t at = 0; at < got; at++) CHECK_EQ(local[at], pattern(i, (total + (size_t)at) % LARGE));
        total += (size_t)got;
    }
    CHECK_EQ(got, 0);
    CHECK_EQ(total, 3 * LARGE);
    ended++;
}

static void large_sender(void *argument) {
    int i = (int)(intptr_t)argument;
    unsigned char local[LARGE];
    for (size_t at = 0; at < LARGE; at++) local[at] = pattern(i, at);
    for (int round = 0; round < 3; round++) {
        dyco_coroutine_sleep(5);
        CHECK_EQ(send(pairs[i][1], local, LARGE, 0), LARGE);
    }
    CHECK_EQ(shutdown(pairs[i][1], SHUT_WR), 0);
}

static void large(void) {
    open_pairs();
    for (int i = 0; i < WAITERS; i++) {
        spawn_shared(large_receiver, (void *)(intptr_t)i);
        spawn_shared(large_sender, (void *)(intptr_t)i);
    }
    run_all();
    CHECK_EQ(ended, WAITERS);
    close_pairs();
}

/* More than the library has buffers, all at the same moment. */
#define CROWD 400

static int crowd[CROWD][2];

static void one_of_many(void *argument) {
    int i = (int)(intptr_t)argument, number = -1;
    CHECK_EQ(recv(crowd[i][0], &number, sizeof number, 0), (ssize_t)sizeof number);
    CHECK_EQ(number, i);
    ended++;
}

static void wake_all(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(20);
    for (int i = 0; i < CROWD; i++) CHECK_EQ(syscall(SYS_sendto, crowd[i][1], &i, sizeof i, 0, NULL, 0), (long)sizeof i);
}

static int forked;

/* Not before the fork: one of the two would take what is meant for the other. */
static void in_child_too(void *argument) {
    int i = (int)(intptr_t)argument, number = i;
    while (!forked) dyco_coroutine_sleep(20);
    CHECK_EQ(send(crowd[i][1], &number, sizeof number, 0), (ssize_t)sizeof number);
}

static void stop_soon(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(10);
    dyco_schedcall_stop();
}

static void many(void) {
    ended = 0;
    for (int i = 0; i < CROWD; i++) stream_pair(AF_UNIX, crowd[i]);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < CROWD; i++) spawn_shared(one_of_many, (void *)(intptr_t)i);
        spawn_shared(wake_all, NULL);
        run_all();
    }
    CHECK_EQ(ended, 3 * CROWD);
    /* A forked child waits for itself, and has no buffers of its parent's. */
    ended = 0;
    for (int i = 0; i < CROWD; i++) {
        spawn_shared(one_of_many, (void *)(intptr_t)i);
        spawn_shared(in_child_too, (void *)(intptr_t)i);
    }
    spawn_shared(stop_soon, NULL);
    CHECK_EQ(dyco_schedule_run(), 1);
    fflush(stdout);
    pid_t child = fork();
    int status = 0;
    CHECK(child >= 0);
    forked = 1;
    if (child > 0) {
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK_EQ(status, 0);
    }
    CHECK_EQ(dyco_schedule_run(), 0);
    CHECK_EQ(ended, CROWD);
    if (child == 0) _exit(0);
    for (int i = 0; i < CROWD; i++) close_pair(crowd[i]);
}

int main(void) {
    CHECK_EQ(setenv("DYCO_POLLER", "io_uring", 1), 0);
    warm_up();
    int fds = count_fds();
    for (on_stack = 0; on_stack < 2; on_stack++) {
        echoes();
        aborted();
        timed_out();
        closed();
    }
    large();
    many();
    CHECK_EQ(count_fds(), fds);
    return test_done();
}
