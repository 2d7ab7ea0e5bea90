/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the library remembers of the numbers that eventfd, pipe and their like have returned is right for all who share the
 * descriptor; and their calls' errors are the kernel's.
 */
#include "born.h"

/* Bytes that nobody can read, and numbers that are closed. */
static void faults(void *argument) {
    void *volatile bad = (void *)16;
    (void)argument;
    for (int kind = 0; kind < KINDS; kind++) {
        int fd = born(kind, 0), writable = kind == PIPE ? ends[1] : fd;
        CHECK(fd >= 0);
        if (kind == EVENT || kind == PIPE) CHECK_ERRNO(write(writable, bad, 8), EFAULT);
        if (kind == EVENT) CHECK_ERRNO(write(fd, "1234567", 7), EINVAL);
        if (kind == EVENT) CHECK_ERRNO(write(fd, "", 0), EINVAL);
        if (kind == EVENT) CHECK_EQ(eventfd_write(fd, 3), 0);
        if (kind == EVENT || kind == SEMAPHORE) CHECK_ERRNO(read(fd, bad, 8), EFAULT);
        if (kind == PIPE) CHECK_ERRNO(read(ends[1], &fd, 1), EBADF);
        if (kind == PIPE) CHECK_ERRNO(write(ends[0], &fd, 1), EBADF);
        CHECK_EQ(syscall(SYS_close, fd), 0);
        CHECK_ERRNO(read(fd, &kind, 4), EBADF);
        CHECK_ERRNO(write(fd, &(uint64_t){1}, 8), EBADF);
        CHECK_ERRNO(write(fd, &kind, 4), EBADF);
        if (kind == PIPE) CHECK_EQ(close(ends[1]), 0);
    }
}

/* A child, or who has another number, changes O_NONBLOCK: it counts. */
static void shared(void *argument) {
    int kind = (int)(intptr_t)argument;
    char space[512];
    for (int how = 0; how < 2; how++) {
        int fd = born(kind, 0), twin = -1;
        if (kind == SEMAPHORE) CHECK_EQ(read(fd, space, 8) + read(fd, space, 8), 16);
        if (how == 0) {
            twin = dup(fd);
            CHECK_EQ(syscall(SYS_fcntl, twin, F_SETFL, O_NONBLOCK), 0);
        } else {
            pid_t child = fork();
            CHECK(child >= 0);
            if (child == 0) _exit(fcntl(fd, F_SETFL, O_NONBLOCK) != 0);
            int status;
            CHECK_EQ(waitpid(child, &status, 0), child);
            CHECK_EQ(status, 0);
        }
        CHECK_ERRNO(read(fd, space, sizeof space), EAGAIN);
        if (twin >= 0) CHECK_ERRNO(read(twin, space, sizeof space), EAGAIN);
        if (twin >= 0) CHECK_EQ(close(twin), 0);
        CHECK_EQ(close(fd), 0);
        if (kind == PIPE) CHECK_EQ(close(ends[1]), 0);
    }
}

/* glibc's own two functions wait in their coroutine as read and write do. */
static void by_functions(void *argument) {
    eventfd_t count = 0;
    int fd = eventfd(0, 0);
    (void)argument;
    CHECK(fd >= 0);
    runs = 0;
    spawn(run, NULL);
    spawn(add_late, (void *)(intptr_t)fd);
    CHECK_EQ(eventfd_read(fd, &count), 0);
    CHECK_EQ(count, 1);
    CHECK_EQ(runs, 1);
    CHECK_EQ(eventfd_write(fd, UINT64_MAX - 1), 0);
    for (eventfd_t more = 1; more < 6; more += 4) {
        runs = 0;
        spawn(run, NULL);
        spawn(take_late, (void *)(intptr_t)fd);
        CHECK_EQ(eventfd_write(fd, more), 0);
        CHECK_EQ(runs, 1);
        CHECK_EQ(eventfd_read(fd, &count), 0);
        CHECK_EQ(count, more);
        CHECK_EQ(eventfd_write(fd, UINT64_MAX - 1), 0);
    }
    CHECK_ERRNO(eventfd_write(fd, UINT64_MAX), EINVAL);
    CHECK_EQ(close(fd), 0);
    CHECK_ERRNO(eventfd_write(fd, 1), EBADF);
    CHECK_ERRNO(eventfd_read(fd, &count), EBADF);
}

/* A signalfd that gets another mask stays what it was; an epoll set is not read. */
static void others(void *argument) {
    sigset_t set;
    char space[512];
    (void)argument;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    int fd = born(SIGNALS, 1);
    CHECK_EQ(signalfd(fd, &set, 0), fd);
    CHECK_ERRNO(read(fd, space, sizeof space), EAGAIN);
    CHECK_EQ(close(fd), 0);
    CHECK_ERRNO(epoll_create(0), EINVAL);
    CHECK((fd = epoll_create(1)) >= 0);
    CHECK_ERRNO(read(fd, space, sizeof space), EINVAL);
    struct epoll_event event;
    CHECK_EQ(epoll_wait(fd, &event, 1, 10), 0);
    CHECK_ERRNO(read(fd, space, sizeof space), EINVAL);
    CHECK_EQ(close(fd), 0);
}

int main(void) {
    warm_up();
    int fds = count_fds();
    in_coroutine(faults, NULL);
    for (intptr_t kind = 0; kind < KINDS; kind++) in_coroutine(shared, (void *)kind);
    in_coroutine(by_functions, NULL);
    in_coroutine(others, NULL);
    CHECK_EQ(count_fds(), fds);
    return test_done();
}
