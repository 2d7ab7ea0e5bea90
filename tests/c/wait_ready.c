/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * waitRead, waitWrite, waitRW: ready, timeout, error; any number of waiters; any kind of descriptor.
 */
#include "core.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

static int ends[2], pair[2], woke, failed, timed_out;

static void reads_ever(void *argument) {
    CHECK(dyco_coroutine_waitRead((int)(intptr_t)argument, -1) > 0);
    woke++;
}

/* The first one takes the byte; the others are told all the same. */
static void takes(void *argument) {
    char byte;
    CHECK(dyco_coroutine_waitRead((int)(intptr_t)argument, -1) > 0);
    if (recv((int)(intptr_t)argument, &byte, 1, MSG_DONTWAIT) == 1) failed++;
    woke++;
}

static void reads_long(void *argument) {
    int result = dyco_coroutine_waitRead((int)(intptr_t)argument, 60000);
    CHECK(result > 0);
    woke++;
}

static void reads_short(void *argument) {
    int64_t begin = now_ns();
    int result = dyco_coroutine_waitRead((int)(intptr_t)argument, 30);
    CHECK_EQ(result, 0);
    CHECK(now_ns() - begin >= 30000000);
    timed_out++;
}

static void either_ever(void *argument) {
    CHECK(dyco_coroutine_waitRW((int)(intptr_t)argument, -1) > 0);
    woke++;
}

static void writes_ever(void *argument) {
    CHECK(dyco_coroutine_waitWrite((int)(intptr_t)argument, -1) > 0);
    woke++;
}

static void reads_bad(void *argument) {
    CHECK_ERRNO(dyco_coroutine_waitRead((int)(intptr_t)argument, -1), EBADF);
    failed++;
}

static void write_one(void *argument) {
    dyco_coroutine_sleep(20);
    CHECK_EQ(write((int)(intptr_t)argument, "x", 1), 1);
}

static void drain(void *argument) {
    static char buffer[1 << 20];
    dyco_coroutine_sleep(20);
    CHECK(read((int)(intptr_t)argument, buffer, sizeof buffer) > 0);
    while (recv((int)(intptr_t)argument, buffer, sizeof buffer, MSG_DONTWAIT) > 0) continue;
}

static void write_later(void *argument) {
    dyco_coroutine_sleep(80);
    CHECK_EQ(write((int)(intptr_t)argument, "x", 1), 1);
}

static void races(void *argument) {
    for (int i = 0; i < 3; i++) {
        int result = dyco_coroutine_waitRead((int)(intptr_t)argument, 19 + i);
        CHECK(result >= 0);
        if (i < 2) dyco_coroutine_sleep(0);
        else if (result > 0) woke++;
        else timed_out++;
    }
}

static void close_it(void *argument) {
    dyco_coroutine_sleep(20);
    CHECK_EQ(close((int)(intptr_t)argument), 0);
}

static void *fd(int number) {
    return (void *)(intptr_t)number;
}

static void fill_up(int number) {
    static char block[65536];
    while (send(number, block, sizeof block, MSG_DONTWAIT) > 0) continue;
}

static void answers(void *argument) {
    int64_t begin;
    (void)argument;
    begin = now_ms();
    CHECK_EQ(dyco_coroutine_waitRead(ends[0], 0), 0);
    CHECK(now_ms() - begin < 1000);
    begin = now_ns();
    CHECK_EQ(dyco_coroutine_waitRead(ends[0], 20), 0);
    CHECK(now_ns() - begin >= 20000000);
    CHECK(dyco_coroutine_waitWrite(ends[1], 0) > 0);
    CHECK(dyco_coroutine_waitWrite(ends[1], -1) > 0);
    CHECK(dyco_coroutine_waitRW(ends[1], -1) > 0);
    CHECK_EQ(dyco_coroutine_waitRW(ends[0], 10), 0);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    CHECK(dyco_coroutine_waitRead(ends[0], -1) > 0);
    CHECK(dyco_coroutine_waitRead(ends[0], -1) > 0); /* still there: a level, not an edge */
    CHECK(dyco_coroutine_waitRead(ends[0], 0) > 0);
    CHECK(dyco_coroutine_waitRW(ends[0], INT_MIN) > 0);
    char byte;
    CHECK_EQ(read(ends[0], &byte, 1), 1);
    CHECK_EQ(dyco_coroutine_waitRead(ends[0], 5), 0);

    CHECK_ERRNO(dyco_coroutine_waitRead(-1, 10), EBADF);
    CHECK_ERRNO(dyco_coroutine_waitWrite(-1, -1), EBADF);
    CHECK_ERRNO(dyco_coroutine_waitRW(-1, 0), EBADF);
    CHECK_ERRNO(dyco_coroutine_waitRead(1000000, -1), EBADF);
    CHECK_ERRNO(dyco_coroutine_waitRead(INT_MAX, -1), EBADF);
    CHECK_ERRNO(dyco_coroutine_waitRead(INT_MIN, 0), EBADF);

    int file = open("/proc/self/exe", O_RDONLY);
    CHECK(file >= 0);
    CHECK(dyco_coroutine_waitRead(file, -1) > 0);
    CHECK(dyco_coroutine_waitWrite(file, -1) > 0);
    CHECK(dyco_coroutine_waitRW(file, 0) > 0);
    close(file);
    CHECK_ERRNO(dyco_coroutine_waitRead(file, -1), EBADF);

    int event = eventfd(0, EFD_CLOEXEC);
    CHECK_EQ(dyco_coroutine_waitRead(event, 5), 0);
    CHECK(dyco_coroutine_waitWrite(event, 5) > 0);
    CHECK_EQ(eventfd_write(event, 1), 0);
    CHECK(dyco_coroutine_waitRead(event, -1) > 0);
    close(event);

    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    struct itimerspec in_20 = {{0, 0}, {0, 20000000}};
    CHECK_EQ(timerfd_settime(timer, 0, &in_20, NULL), 0);
    begin = now_ns();
    CHECK(dyco_coroutine_waitRead(timer, -1) > 0);
    CHECK_TOOK((now_ns() - begin) / 1000000, 15, 2000);
    close(timer);

    /* Hang-up and errors are ready, as for poll. */
    int broken[2];
    CHECK_EQ(pipe(broken), 0);
    close(broken[1]);
    CHECK(dyco_coroutine_waitRead(broken[0], -1) > 0);
    close(broken[0]);
    CHECK_EQ(pipe(broken), 0);
    close(broken[0]);
    CHECK(dyco_coroutine_waitWrite(broken[1], -1) > 0);
    CHECK(dyco_coroutine_waitRead(broken[1], -1) > 0);
    close(broken[1]);
    woke++;
}

/* The same number for one descriptor after another. */
static void reuses(void *argument) {
    (void)argument;
    for (int i = 0; i < 50; i++) {
        int new_pair[2];
        char byte;
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, new_pair), 0);
        CHECK_EQ(dyco_coroutine_waitRead(new_pair[0], 1), 0);
        CHECK_EQ(send(new_pair[1], "x", 1, 0), 1);
        CHECK(dyco_coroutine_waitRead(new_pair[0], -1) > 0);
        CHECK_EQ(recv(new_pair[0], &byte, 1, 0), 1);
        if (i % 2) close(new_pair[0]);
        else syscall(SYS_close, new_pair[0]); /* behind the library's back */
        close(new_pair[1]);
    }
    woke++;
}

int main(void) {
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);

    spawn(answers, NULL);
    spawn(reuses, NULL);
    run_all();
    CHECK_EQ(woke, 2);

    /* Outside a coroutine: poll. */
    int64_t begin = now_ns();
    CHECK_EQ(dyco_coroutine_waitRead(ends[0], 20), 0);
    CHECK(now_ns() - begin >= 20000000);
    CHECK(dyco_coroutine_waitWrite(ends[1], -1) > 0);
    CHECK_ERRNO(dyco_coroutine_waitRead(-1, -1), EBADF);
    CHECK_ERRNO(dyco_coroutine_waitRead(1000000, -1), EBADF);

    /* Many readers, with and without a timeout: one byte wakes all that are there. */
    woke = 0;
    for (int i = 0; i < 50; i++) spawn(reads_ever, fd(ends[0]));
    for (int i = 0; i < 50; i++) spawn(reads_long, fd(ends[0]));
    spawn(write_one, fd(ends[1]));
    run_all();
    CHECK_EQ(woke, 100);
    char byte;
    CHECK_EQ(read(ends[0], &byte, 1), 1);

    woke = failed = 0;
    for (int i = 0; i < 30; i++) spawn(takes, fd(pair[0]));
    spawn(write_one, fd(pair[1]));
    run_all();
    CHECK_EQ(woke, 30);
    CHECK_EQ(failed, 1);

    /* A timed-out waiter is gone, the others stay. */
    woke = 0;
    for (int i = 0; i < 20; i++) spawn(reads_short, fd(pair[0]));
    for (int i = 0; i < 20; i++) spawn(reads_ever, fd(pair[0]));
    spawn(reads_short, fd(ends[0]));
    spawn(write_later, fd(pair[1]));
    run_all();
    CHECK_EQ(timed_out, 21);
    CHECK_EQ(woke, 20);
    CHECK_EQ(read(pair[0], &byte, 1), 1);

    /* Readers and writers of one descriptor, each woken by its own. */
    woke = 0;
    fill_up(pair[0]);
    for (int i = 0; i < 20; i++) {
        spawn(writes_ever, fd(pair[0]));
        spawn(reads_ever, fd(pair[0]));
        spawn(either_ever, fd(pair[0]));
    }
    spawn(drain, fd(pair[1]));
    spawn(write_later, fd(pair[1]));
    run_all();
    CHECK_EQ(woke, 60);

    /* Closed under its waiters. */
    failed = 0;
    for (int i = 0; i < 20; i++) spawn(reads_bad, fd(ends[0]));
    spawn(close_it, fd(ends[0]));
    run_all();
    CHECK_EQ(failed, 20);

    /* More than 128 woken at once, each by event and deadline about the same time: nobody is lost. */
    woke = timed_out = 0;
    CHECK_EQ(pipe(ends), 0);
    for (int i = 0; i < 800; i++) spawn(races, fd(ends[0]));
    spawn(write_one, fd(ends[1]));
    run_all();
    CHECK_EQ(woke + timed_out, 800);
    return test_done();
}
