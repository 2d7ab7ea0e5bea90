/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * flock, lockf and fcntl's locks return in a coroutine what they return in a plain thread, and only the coroutine waits for
 * them; a circle of waiting processes is found.
 */
#include "same.h"

#include <sys/file.h>

static char path[64];
static int file;

/* A process that takes a lock, says so, and gives it back after so long, or when it is told to. */
static pid_t holder(int kind, int ms) {
    int ready[2];
    char b;
    CHECK_EQ(pipe(ready), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR, 0);
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 10};
        if (kind == 0 && flock(fd, LOCK_EX) != 0) _exit(1);
        if (kind == 1 && fcntl(fd, F_SETLK, &lock) != 0) _exit(1);
        if (kind == 2 && fcntl(fd, F_OFD_SETLK, &lock) != 0) _exit(1);
        if (syscall(SYS_write, ready[1], "x", 1) != 1) _exit(1);
        struct timespec pause = {ms / 1000, ms % 1000 * 1000000L};
        syscall(SYS_nanosleep, &pause, NULL);
        _exit(0);
    }
    CHECK_EQ(read(ready[0], &b, 1), 1);
    CHECK_EQ(close(ready[0]), 0);
    CHECK_EQ(close(ready[1]), 0);
    return child;
}

static void gone(pid_t child) {
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

static void whole_files(void) {
    pid_t child = holder(0, 200);
    TRY(flock(file, LOCK_EX | LOCK_NB));
    TRY(flock(file, LOCK_SH | LOCK_NB));
    TAKES(100, TRY(flock(file, LOCK_SH)));
    gone(child);
    TRY(flock(file, LOCK_EX));
    TRY(flock(file, LOCK_UN));
    child = holder(0, 200);
    TAKES(100, TRY(flock(file, LOCK_EX)));
    gone(child);
    TRY(flock(file, LOCK_UN));
    TRY(flock(file, 0));
    TRY(flock(file, 99));
    TRY(flock(-1, LOCK_EX));
}

static void records(void) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 105, .l_len = 10};
    pid_t child = holder(1, 200);
    TRY(fcntl(file, F_SETLK, &lock));
    TAKES(100, TRY(fcntl(file, F_SETLKW, &lock)));
    gone(child);
    say("%d %d\n", lock.l_type, (int)lock.l_start);
    lock.l_type = F_UNLCK;
    TRY(fcntl(file, F_SETLKW, &lock));
    lock.l_type = F_RDLCK;
    child = holder(2, 200);
    TAKES(100, TRY(fcntl(file, F_OFD_SETLKW, &lock)));
    gone(child);
    lock.l_type = F_UNLCK;
    TRY(fcntl(file, F_OFD_SETLKW, &lock));
    lock.l_type = 77;
    TRY(fcntl(file, F_SETLKW, &lock));
    TRY(fcntl(-1, F_SETLKW, &lock));
    TRY(fcntl(file, F_SETLKW, (void *)8));
    lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = -5, .l_len = 1};
    TRY(fcntl(file, F_OFD_SETLKW, &lock));
}

static void by_lockf(void) {
    pid_t child = holder(1, 200);
    TRY(lseek(file, 95, SEEK_SET));
    TRY(lockf(file, F_TEST, 5));
    TRY(lockf(file, F_TEST, 10));
    TRY(lockf(file, F_TLOCK, 10));
    TRY(lockf(file, F_LOCK, 5));
    TAKES(100, TRY(lockf(file, F_LOCK, 10)));
    gone(child);
    TRY(lockf(file, F_TEST, 10));
    TRY(lockf(file, F_ULOCK, 10));
    TRY(lockf64(file, F_LOCK, 0));
    TRY(lockf64(file, F_ULOCK, 0));
    TRY(lockf(file, 99, 0));
    TRY(lockf(-1, F_LOCK, 0));
}

/* We hold 1 and wait for 100, another holds 100 and waits for 1. */
static void circle(void) {
    struct flock ours = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1, .l_len = 1};
    struct flock theirs = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 1};
    TRY(fcntl(file, F_SETLK, &ours));
    int ready[2];
    char b;
    CHECK_EQ(pipe(ready), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR, 0);
        if (syscall(SYS_fcntl, fd, F_SETLK, &theirs) != 0) _exit(1);
        if (syscall(SYS_write, ready[1], "x", 1) != 1) _exit(1);
        _exit(syscall(SYS_fcntl, fd, F_SETLKW, &ours) == 0 ? 0 : 1);
    }
    CHECK_EQ(read(ready[0], &b, 1), 1);
    CHECK_EQ(close(ready[0]), 0);
    CHECK_EQ(close(ready[1]), 0);
    usleep(200000);
    TRY(fcntl(file, F_SETLKW, &theirs));
    ours.l_type = F_UNLCK;
    TRY(fcntl(file, F_SETLK, &ours));
    gone(child);
    TRY(fcntl(file, F_SETLKW, &theirs));
    theirs.l_type = F_UNLCK;
    TRY(fcntl(file, F_SETLK, &theirs));
}

/* Many wait for locks at a time; those that are ended while they wait take no lock afterwards. */
static int got;

static void waits(void *argument) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100 + (intptr_t)argument % 10, .l_len = 1};
    CHECK_EQ(fcntl(file, F_SETLKW, &lock), 0);
    got++;
}

static void ends_them(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(150);
    dyco_schedcall_abort();
}

static void is_free(void) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
    int fd = open(path, O_RDWR);
    CHECK_EQ(fcntl(fd, F_GETLK, &lock), 0);
    CHECK_EQ(lock.l_type, F_UNLCK);
}

static void among_coroutines(void) {
    struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    pid_t child = holder(1, 400);
    for (intptr_t i = 0; i < 50; i++) spawn(waits, (void *)i);
    run_with_ticker();
    CHECK_EQ(got, 50);
    gone(child);
    CHECK_EQ(fcntl(file, F_SETLK, &all), 0);
    child = holder(1, 400);
    for (intptr_t i = 0; i < 20; i++) spawn(waits, (void *)i);
    spawn(ends_them, NULL);
    CHECK_EQ(dyco_schedule_run(), -1);
    CHECK_EQ(got, 50);
    gone(child);
    usleep(200000);
    CHECK_CHILD(is_free);
}

int main(void) {
    snprintf(path, sizeof path, "/tmp/dyco-test-%d.locks", getpid());
    file = open(path, O_RDWR | O_CREAT, 0600);
    CHECK(file >= 0);
    same_start();
    SAME(whole_files);
    SAME(records);
    SAME(by_lockf);
    SAME(circle);
    if (!PLAIN) among_coroutines();
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(close(file), 0);
    return test_done();
}
