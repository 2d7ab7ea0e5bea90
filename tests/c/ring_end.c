// timeout: 60
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Coroutines that end from outside while the kernel has the address of their buffer: by an abort, with their scheduler, with
 * their thread. Afterwards nothing is written there, and what the peer sends stays to be received. A forked child waits
 * for itself.
 */
#include "net.h"

#include <sys/wait.h>

#define WAITERS 50
#define STACK 0x4000

static int pairs[WAITERS][2];
static unsigned char stacks[WAITERS][STACK] __attribute__((aligned(64)));

static void receiver(void *argument) {
    char b[64];
    recv(pairs[(intptr_t)argument][0], b, sizeof b, 0);
    TEST_FAIL("received");
}

static void all_wait(void) {
    for (int i = 0; i < WAITERS; i++) {
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
        int cid = dyco_coroutine_create(receiver, (void *)(intptr_t)i);
        CHECK_EQ(dyco_coroutine_setStack(cid, stacks[i], STACK), 1);
    }
}

static void after_others(void (*action)(void)) {
    dyco_coroutine_sleep(20);
    action();
}

static void abort_all(void *argument) {
    (void)argument;
    after_others(dyco_schedcall_abort);
}

static void stop_all(void *argument) {
    (void)argument;
    after_others(dyco_schedcall_stop);
}

static void leave_thread(void) {
    pthread_exit(NULL);
}

static void exit_thread(void *argument) {
    (void)argument;
    after_others(leave_thread);
}

/* The scheduler runs and receives other things, and the old stacks stay as they are. */
static void other_work(void *argument) {
    char b[8];
    (void)argument;
    for (int i = 0; i < WAITERS; i++) CHECK_EQ(send(pairs[i][1], "hello", 5, 0), 5);
    dyco_coroutine_sleep(20);
    for (int i = 0; i < WAITERS; i++) CHECK_EQ(recv(pairs[i][0], b, sizeof b, 0), 5);
}

static void nothing_is_written(void) {
    memset(stacks, 0x5a, sizeof stacks);
    spawn_own(other_work, NULL, 0x4000);
    run_all();
    for (size_t i = 0; i < sizeof stacks; i++) CHECK_EQ(((unsigned char *)stacks)[i], 0x5a);
    for (int i = 0; i < WAITERS; i++) {
        CHECK_EQ(close(pairs[i][0]), 0);
        CHECK_EQ(close(pairs[i][1]), 0);
    }
}

static void aborted(void) {
    all_wait();
    spawn_own(abort_all, NULL, 0x4000);
    CHECK_EQ(dyco_schedule_run(), -1);
    nothing_is_written();
}

static void freed(void) {
    all_wait();
    spawn_own(stop_all, NULL, 0x4000);
    CHECK_EQ(dyco_schedule_run(), 1);
    dyco_schedule_free(NULL);
    nothing_is_written();
}

static void *thread(void *end) {
    all_wait();
    spawn_own(*(proc_coroutine *)end, NULL, 0x4000);
    dyco_schedule_run();
    return NULL;
}

static void with_thread(proc_coroutine end) {
    pthread_t id;
    CHECK_EQ(pthread_create(&id, NULL, thread, &end), 0);
    CHECK_EQ(pthread_join(id, NULL), 0);
    nothing_is_written();
}

static int many_ends[2];

static void receives_forever(void *argument) {
    char b;
    (void)argument;
    recv(many_ends[0], &b, 1, 0);
    TEST_FAIL("received");
}

/* Milliseconds of CPU time. */
static double time_to_end(int many) {
    for (int i = 0; i < many; i++) spawn_shared(receives_forever, NULL);
    spawn_own(stop_all, NULL, 0x4000);
    CHECK_EQ(dyco_schedule_run(), 1);
    double before = cpu_ms();
    dyco_schedcall_abort();
    CHECK_EQ(dyco_schedule_getCoroCount(), 0);
    return cpu_ms() - before;
}

/* What it takes to end one does not grow with their number by more than caches explain. */
static void many(void) {
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, many_ends), 0);
    double small = time_to_end(2500), large = time_to_end(20000);
    printf("%.1f ms to end 2,500, %.1f ms to end 20,000\n", small, large);
    CHECK(large < small * 8 * 3 + 600);
    close_pair(many_ends);
}

static int received;

static void receive_once(void *argument) {
    char b[64];
    CHECK_EQ(recv(pairs[(intptr_t)argument][0], b, sizeof b, 0), 5);
    received++;
}

/* Only the caller goes on in the child, and what it receives is its own; the parent's wait is not disturbed. */
static void fork_inside(void *argument) {
    int own[2], status;
    char b[8];
    (void)argument;
    dyco_coroutine_sleep(20);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, own), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(20);
        CHECK_EQ(recv(own[0], b, sizeof b, 0), 3);
        CHECK_EQ(received, 0);
        _exit(0);
    }
    dyco_coroutine_sleep(20);
    CHECK_EQ(send(own[1], "one", 3, 0), 3);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(received, 0);
    for (int i = 0; i < WAITERS; i++) CHECK_EQ(send(pairs[i][1], "hello", 5, 0), 5);
    while (received < WAITERS) dyco_coroutine_sleep(1);
    CHECK_EQ(close(own[0]), 0);
    CHECK_EQ(close(own[1]), 0);
}

static void stop_soon(void *argument) {
    stop_all(argument);
}

/* Outside coroutines: the child has them all, and each waits anew. */
static void fork_outside(void) {
    int status;
    for (int i = 0; i < WAITERS; i++) {
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
        spawn_own(receive_once, (void *)(intptr_t)i, STACK);
    }
    received = 0;
    spawn_own(stop_soon, NULL, 0x4000);
    CHECK_EQ(dyco_schedule_run(), 1);
    for (int process = 0; process < 2; process++) {
        pid_t child = process == 0 ? fork() : 0;
        CHECK(child >= 0);
        if (child == 0) {
            alarm(20);
            for (int i = 0; i < WAITERS; i++) CHECK_EQ(send(pairs[i][1], "hello", 5, 0), 5);
            CHECK_EQ(dyco_schedule_run(), 0);
            CHECK_EQ(received, WAITERS);
            if (process == 0) _exit(0);
            alarm(0);
        } else {
            CHECK_EQ(waitpid(child, &status, 0), child);
            CHECK_EQ(status, 0);
        }
    }
}

static void close_pairs(void) {
    for (int i = 0; i < WAITERS; i++) {
        CHECK_EQ(close(pairs[i][0]), 0);
        CHECK_EQ(close(pairs[i][1]), 0);
    }
}

int main(void) {
    CHECK_EQ(setenv("DYCO_POLLER", "io_uring", 1), 0);
    int fds = count_fds();
    aborted();
    freed();
    with_thread(exit_thread);
    with_thread(stop_all);
    with_thread(abort_all);
    many();

    for (int i = 0; i < WAITERS; i++) {
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
        spawn_own(receive_once, (void *)(intptr_t)i, STACK);
    }
    spawn_own(fork_inside, NULL, 0x4000);
    run_all();
    close_pairs();
    fork_outside();
    close_pairs();
    dyco_schedule_free(NULL);
    CHECK_EQ(count_fds(), fds);
    return test_done();
}
