// timeout: 60
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * poll, select and epoll_wait in many coroutines at once: on the same descriptors, on sets of hundreds, a thousand times
 * over, with nothing left behind; timeouts neither early nor late; one epoll set for several coroutines.
 */
#include "net.h"

#include <malloc.h>

#define PAIRS 200

static int pairs[PAIRS][2], woken;

static void poll_all(void *argument) {
    struct pollfd entries[PAIRS];
    int wanted = (int)(intptr_t)argument;
    for (int i = 0; i < PAIRS; i++) entries[i] = (struct pollfd){pairs[i][0], POLLIN, 0};
    CHECK_EQ(poll(entries, PAIRS, -1), 1);
    CHECK_EQ(entries[wanted].revents, POLLIN);
    woken++;
}

static void select_all(void *argument) {
    fd_set set;
    int wanted = (int)(intptr_t)argument, most = 0;
    FD_ZERO(&set);
    for (int i = 0; i < PAIRS; i++) {
        FD_SET(pairs[i][0], &set);
        if (pairs[i][0] > most) most = pairs[i][0];
    }
    CHECK_EQ(select(most + 1, &set, NULL, NULL, NULL), 1);
    CHECK(FD_ISSET(pairs[wanted][0], &set));
    woken++;
}

static void wakes(void *argument) {
    dyco_coroutine_sleep(50);
    CHECK_EQ(send(pairs[(int)(intptr_t)argument][1], "x", 1, 0), 1);
}

/* 40 coroutines poll 200 descriptors each; one becomes ready; all see it. */
static void crowds(void) {
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(dyco_coroutine_setStack(spawn(poll_all, (void *)123), NULL, 32768), 1);
        spawn(select_all, (void *)123);
    }
    spawn(wakes, (void *)123);
    run_with_ticker();
    CHECK_EQ(woken, 40);
    drain(pairs[123][0]);
}

static void times(void *argument) {
    struct pollfd entry = {pairs[0][0], POLLIN, 0};
    (void)argument;
    for (int ms = 1; ms < 40; ms += 4) {
        int64_t begin = now_ns();
        CHECK_EQ(poll(&entry, 1, ms), 0);
        CHECK_TOOK(now_ns() - begin, ms * 1000000LL, ms * 1000000LL + 2000000000LL);
        struct timespec limit = {0, ms * 100000L};
        begin = now_ns();
        CHECK_EQ(ppoll(&entry, 1, &limit, NULL), 0);
        CHECK_TOOK(now_ns() - begin, ms * 100000LL, 2000000000LL);
    }
    int64_t begin = now_ms();
    CHECK_EQ(poll(&entry, 1, 500), 0);
    CHECK_TOOK(now_ms() - begin, 500, 950);
}

static void thousand_polls(void *argument) {
    struct pollfd entries[3] = {{pairs[1][0], POLLIN, 0}, {pairs[2][0], POLLIN, 0}, {pairs[1][0], POLLOUT, 0}};
    fd_set set;
    (void)argument;
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(poll(entries, 2, i % 50 == 0), 0);
        CHECK_EQ(poll(entries, 3, -1), 1);
        FD_ZERO(&set);
        FD_SET(pairs[3][0], &set);
        CHECK_EQ(select(pairs[3][0] + 1, &set, NULL, NULL, &(struct timeval){0, i % 50 ? 0 : 500}), 0);
    }
}

static void spawn_polls(int count) {
    for (int i = 0; i < count; i++) spawn(thousand_polls, NULL);
    run_with_ticker();
}

static void nothing_left(void) {
    spawn_polls(2);
    int fds = count_fds();
    size_t heap = mallinfo2().uordblks;
    for (int i = 0; i < 3; i++) spawn_polls(2);
    CHECK_EQ(count_fds(), fds);
    CHECK_BETWEEN((long)mallinfo2().uordblks - (long)heap, -100000, 4096);
}

/* Several coroutines wait on one epoll set; each event reaches one of them with edge triggering. */
static int set, events_seen;

static void wait_set(void *argument) {
    struct epoll_event event;
    (void)argument;
    CHECK_EQ(epoll_wait(set, &event, 1, 10000), 1);
    CHECK_EQ(event.events, EPOLLIN);
    events_seen++;
    char b;
    CHECK_EQ(recv(pairs[event.data.u32][0], &b, 1, 0), 1);
}

static void wake_set(void *argument) {
    (void)argument;
    for (int i = 0; i < 10; i++) {
        dyco_coroutine_sleep(20);
        CHECK_EQ(send(pairs[i][1], "x", 1, 0), 1);
    }
}

static void shared_set(void) {
    CHECK((set = epoll_create1(0)) >= 0);
    for (uint32_t i = 0; i < 10; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data = {.u32 = i}};
        CHECK_EQ(epoll_ctl(set, EPOLL_CTL_ADD, pairs[i][0], &event), 0);
        spawn(wait_set, NULL);
    }
    spawn(wake_set, NULL);
    run_with_ticker();
    CHECK_EQ(events_seen, 10);
    CHECK_EQ(close(set), 0);
}

int main(void) {
    for (int i = 0; i < PAIRS; i++) stream_pair(AF_UNIX, pairs[i]);
    warm_up();
    crowds();
    in_coroutine(times, NULL);
    nothing_left();
    shared_set();
    return test_done();
}
