/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * With a single helper: a lock that is free is taken while the helper waits for another lock.
 */
#include "core.h"

static int file;
static int order[2], got;

static struct flock at(short type, off_t start) {
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = 1};
}

/* Holds locks 0 and 1, says so, gives 1 back after 200 ms and 0 when it is told that somebody has got 1. */
static pid_t holder(const char *path, int told) {
    int ready[2];
    char b;
    CHECK_EQ(pipe(ready), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR, 0);
        struct timespec pause = {0, 200000000};
        struct flock lock;
        for (int i = 0; i < 2; i++) {
            lock = at(F_WRLCK, i);
            if (fcntl(fd, F_SETLK, &lock) != 0) _exit(1);
        }
        if (syscall(SYS_write, ready[1], "x", 1) != 1) _exit(1);
        syscall(SYS_nanosleep, &pause, NULL);
        lock = at(F_UNLCK, 1);
        if (fcntl(fd, F_SETLK, &lock) != 0) _exit(1);
        _exit(syscall(SYS_read, told, &b, 1) == 1 ? 0 : 1);
    }
    CHECK_EQ(read(ready[0], &b, 1), 1);
    CHECK_EQ(close(ready[0]), 0);
    CHECK_EQ(close(ready[1]), 0);
    return child;
}

static int tell;

static void waits(void *argument) {
    intptr_t start = (intptr_t)argument;
    struct flock lock = at(F_WRLCK, start);
    CHECK_EQ(fcntl(file, F_SETLKW, &lock), 0);
    order[got++] = (int)start;
    if (start == 1) CHECK_EQ(write(tell, "x", 1), 1);
}

int main(void) {
    char path[64];
    int told[2], status;
    snprintf(path, sizeof path, "/tmp/dyco-test-%d.locks", getpid());
    file = open(path, O_RDWR | O_CREAT, 0600);
    CHECK(file >= 0);
    CHECK_EQ(pipe(told), 0);
    tell = told[1];
    CHECK_EQ(dyco_offload_setPool(1, -1), 0);
    pid_t child = holder(path, told[0]);
    for (intptr_t i = 0; i < 2; i++) spawn(waits, (void *)i);
    run_all();
    CHECK_EQ(got, 2);
    CHECK_EQ(order[0], 1);
    CHECK_EQ(order[1], 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(unlink(path), 0);
    return test_done();
}
