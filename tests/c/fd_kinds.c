// timeout: 60
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the library remembers of the numbers that eventfd, pipe and their like have returned: where the number was closed
 * behind the library's back and means something else now, calls do what the new descriptor asks for, and never hold up
 * the thread.
 */
#include "born.h"

/* A number that a hook has seen as `kind`, used in all ways, and closed without a hook. */
static int stale(int kind, int nonblock) {
    uint64_t one = 1;
    char space[512];
    int fd = born(kind, nonblock);
    CHECK(fd >= 0);
    if (kind == PIPE) CHECK_EQ(write(ends[1], "x", 1), 1);
    else if (kind == EVENT) CHECK_EQ(write(fd, &one, 8), 8);
    else if (kind == TIMER) CHECK_EQ(timerfd_settime(fd, 0, &(struct itimerspec){{0, 0}, {0, 1}}, NULL), 0);
    if (kind <= TIMER || kind == PIPE) CHECK(read(fd, space, sizeof space) > 0);
    if (nonblock) CHECK(read(fd, space, sizeof space) == -1 || kind == SEMAPHORE);
    else CHECK_EQ(dyco_coroutine_waitRead(fd, 1), kind == SEMAPHORE ? POLLIN : 0);
    if (nonblock && kind != SEMAPHORE) CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(syscall(SYS_close, fd), 0);
    if (kind == PIPE) CHECK_EQ(close(ends[1]), 0);
    return fd;
}

/* Gives `number`, which is free, to `fd`. */
static void give(int number, int fd) {
    if (fd == number) return;
    CHECK(syscall(SYS_dup3, fd, number, 0) == number);
    CHECK_EQ(syscall(SYS_close, fd), 0);
}

static int far, drained;

static void write_late(void *argument) {
    dyco_coroutine_sleep(40);
    CHECK_EQ(syscall(SYS_write, far, argument, 8), 8);
}

static void read_waits(int number) {
    char got[9] = "";
    runs = 0;
    spawn(run, NULL);
    spawn(write_late, "12345678");
    CHECK_EQ(read(number, got, 8), 8);
    CHECK(memcmp(got, "12345678", 8) == 0);
    CHECK_EQ(runs, 1);
}

static void drain_late(void *argument) {
    static char space[1 << 20];
    int left = (int)(intptr_t)argument;
    dyco_coroutine_sleep(40);
    while (left > 0) {
        ssize_t n = syscall(SYS_read, far, space, sizeof space);
        CHECK(n > 0);
        left -= (int)n;
        if (left > 0) dyco_coroutine_sleep(1);
    }
    drained = 1;
}

/* A blocking pipe takes all, even if it is full, and the coroutine waits. */
static void write_waits(int number) {
    static char space[300000];
    runs = 0;
    spawn(run, NULL);
    spawn(drain_late, (void *)sizeof space);
    drained = 0;
    CHECK_EQ(write(number, space, sizeof space), sizeof space);
    while (!drained) dyco_coroutine_sleep(1);
    CHECK_EQ(runs, 1);
    static char page[4096];
    CHECK_EQ(write(number, page, sizeof page), sizeof page);
    CHECK_EQ(write(number, &(uint64_t){1}, 8), 8);
}

static void as_pipe(void *argument) {
    int how = (int)(intptr_t)argument, pair[2];
    for (int side = 0; side < 2; side++) {
        int number = stale(how / 2, how % 2);
        CHECK_EQ(syscall(SYS_pipe2, pair, 0), 0);
        /* Both numbers away from the stale one. */
        for (int i = 0; i < 2; i++)
            if (pair[i] == number) {
                pair[i] = (int)syscall(SYS_dup, number);
                CHECK_EQ(syscall(SYS_close, number), 0);
            }
        far = pair[1 - side];
        give(number, pair[side]);
        if (side == 0) read_waits(number);
        else write_waits(number);
        CHECK_EQ(close(number), 0);
        CHECK_EQ(close(far), 0);
    }
}

static void as_semaphore(void *argument) {
    int how = (int)(intptr_t)argument, number = stale(how / 2, how % 2);
    uint64_t count = 0;
    give(number, (int)syscall(SYS_eventfd2, 2, EFD_SEMAPHORE));
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(read(number, &count, 8), 8);
        CHECK_EQ(count, 1);
    }
    runs = 0;
    spawn(run, NULL);
    spawn(add_late, (void *)(intptr_t)number);
    CHECK_EQ(read(number, &count, 8), 8);
    CHECK_EQ(runs, 1);
    /* Full, to one and to many. */
    count = UINT64_MAX - 1;
    CHECK_EQ(write(number, &count, 8), 8);
    for (count = 1; count < 3; count++) {
        runs = 0;
        spawn(run, NULL);
        spawn(take_late, (void *)(intptr_t)number);
        if (count == 2) spawn(take_late, (void *)(intptr_t)number);
        CHECK_EQ(write(number, &count, 8), 8);
        CHECK_EQ(runs, 1);
    }
    CHECK_EQ(close(number), 0);
}

static void as_file(void *argument) {
    int how = (int)(intptr_t)argument, number = stale(how / 2, how % 2);
    char name[] = "/tmp/dyco-test-XXXXXX", got[9] = "";
    int file = mkstemp(name);
    CHECK_EQ(unlink(name), 0);
    CHECK(file >= 0);
    give(number, file);
    CHECK_EQ(write(number, "12345678", 8), 8);
    CHECK_EQ(write(number, &(uint64_t){1}, 8), 8);
    CHECK_EQ(lseek(number, 0, SEEK_SET), 0);
    CHECK_EQ(posix_fadvise(number, 0, 0, POSIX_FADV_DONTNEED), 0);
    CHECK_EQ(read(number, got, 8), 8);
    CHECK(memcmp(got, "12345678", 8) == 0);
    CHECK_EQ(close(number), 0);
}

/* A socket's time limit counts. */
static void as_socket(void *argument) {
    int how = (int)(intptr_t)argument, number = stale(how / 2, how % 2), pair[2];
    char byte;
    CHECK_EQ(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, pair), 0);
    for (int i = 0; i < 2; i++)
        if (pair[i] == number) {
            pair[i] = (int)syscall(SYS_dup, number);
            CHECK_EQ(syscall(SYS_close, number), 0);
        }
    give(number, pair[0]);
    far = pair[1];
    read_waits(number);
    struct timeval limit = {0, 50000};
    CHECK_EQ(syscall(SYS_setsockopt, number, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    int64_t begin = now_ms();
    CHECK_ERRNO(read(number, &byte, 1), EAGAIN);
    CHECK_BETWEEN(now_ms() - begin, 50, 3000);
    CHECK_EQ(close(number), 0);
    CHECK_EQ(close(far), 0);
}

int main(void) {
    warm_up();
    int fds = count_fds();
    for (intptr_t how = 0; how < 2 * KINDS; how++) {
        in_coroutine(as_pipe, (void *)how);
        in_coroutine(as_semaphore, (void *)how);
        in_coroutine(as_file, (void *)how);
        in_coroutine(as_socket, (void *)how);
    }
    CHECK_EQ(count_fds(), fds);
    return test_done();
}
