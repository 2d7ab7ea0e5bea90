// busy: much
// modes: shared ring
// arch: x86_64
// timeout: 120
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A million coroutines, each waiting on a channel, a semaphore or a sleep; all finish, and their memory comes back. The
 * cost of one does not grow with their number by more than caches explain. One receives meanwhile, which by io_uring keeps
 * the loop in the ring.
 */
#include "sync.h"

static dyco_channel *chan;
static dyco_semaphore *sem;
static int waiting, finished, crowd;
static long peak_kb;
static int ends[2];

static void receives(void *argument) {
    char byte;
    (void)argument;
    CHECK_EQ(recv(ends[0], &byte, 1, 0), 1);
}

static void waits(void *argument) {
    int number = (int)(intptr_t)argument, got = -1;
    waiting++;
    switch (number % 3) {
    case 0:
        CHECK_EQ(dyco_channel_recv(chan, &got, sizeof got, -1), sizeof got);
        CHECK_EQ(got % 3, 0);
        CHECK_EQ(got, number); /* first come, first served */
        break;
    case 1: CHECK_EQ(dyco_semaphore_wait(sem, number % 2 ? -1 : 3600000), 0); break;
    default:
        /* A few stay longer: the loop sleeps in between, and gives back then, and again at the end. */
        dyco_coroutine_sleep((uint32_t)(number < 1000 ? 3000 : 300 + number % 200));
    }
    finished++;
}

static void serves(void *argument) {
    (void)argument;
    CHECK_EQ(waiting, crowd);
    peak_kb = rss_kb();
    for (int i = 0; i < crowd; i++) {
        if (i % 3 == 0) CHECK_EQ(dyco_channel_send(chan, &i, sizeof i, -1), sizeof i);
        if (i % 3 == 1) CHECK_EQ(dyco_semaphore_signal(sem), 0);
    }
    while (finished < crowd) dyco_coroutine_sleep(10);
    CHECK_EQ(send(ends[1], "", 1, 0), 1);
}

/* Nanoseconds of CPU time for each. */
static double round_of(int count) {
    double before = cpu_ms();
    crowd = count;
    waiting = finished = 0;
    spawn_own(receives, NULL, 65536);
    /* With every other one on a stack of its own they would take more than 2 GiB. */
    for (intptr_t i = 0; i < crowd; i++) spawn_shared(waits, (void *)i);
    spawn_own(serves, NULL, 65536);
    run_all();
    CHECK_EQ(finished, crowd);
    return (cpu_ms() - before) * 1e6 / count;
}

int main(void) {
    chan = dyco_channel_create(sizeof(int));
    sem = dyco_semaphore_create(0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    double small = round_of(10000);
    int fds = count_fds();
    long empty_kb = rss_kb();
    double large = round_of(1000000);
    printf("%.0f ns each of 10,000, %.0f ns each of 1,000,000, at most %ld MiB\n", small, large, peak_kb >> 10);
    CHECK(large < small * 8 + 2000);
    CHECK(peak_kb < 2L << 20);
    CHECK_EQ(count_fds(), fds);
    if (rss_kb() > empty_kb + (peak_kb - empty_kb) / 4)
        TEST_FAIL("%ld KiB before, %ld KiB at most, and %ld KiB left", empty_kb, peak_kb, rss_kb());
    dyco_channel_destroy(&chan);
    dyco_semaphore_destroy(&sem);
    return test_done();
}
