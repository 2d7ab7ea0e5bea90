/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Files on a slow disk: where the thread has asked for it, their calls hold up the coroutine only, whatever stack the
 * buffers are on. A coroutine that is ended waits for the helper that uses its memory.
 */
// timeout: 60
#include "slow_disk.h"

#include <sys/uio.h>

#define DELAY 50
#define COROUTINES 8

static int finished, on;

static void expect(const char *bytes, size_t length, size_t offset) {
    for (size_t i = 0; i < length; i++) CHECK_EQ(bytes[i], 'a' + (offset + i) % 26);
}

/* A call that waits; where files wait in coroutines the others go on. */
#define SLOWLY(call) \
    ({ \
        int64_t slow_began = now_ms(); \
        long long slow_result = (long long)(call); \
        CHECK_TOOK(now_ms() - slow_began, DELAY - 1, 10000); \
        slow_result; \
    })

/* All buffers, paths and answers are on the stack that the coroutine has. */
static void uses(void *argument) {
    char path[64], first[300], second[5000];
    struct stat status;
    struct statx more;
    size_t offset = (size_t)(intptr_t)argument * 1000;
    snprintf(path, sizeof path, "%s", disk_file());
    memset(&status, 0, sizeof status);
    int fd = (int)SLOWLY(open(path, O_RDWR));
    CHECK(fd >= 0);
    CHECK_EQ(SLOWLY(pread(fd, first, sizeof first, (off_t)offset)), (ssize_t)sizeof first);
    expect(first, sizeof first, offset);
    CHECK_EQ(SLOWLY(read(fd, second, sizeof second)), (ssize_t)sizeof second);
    expect(second, sizeof second, 0);
    CHECK_EQ(SLOWLY(read(fd, second, 100)), 100);
    expect(second, 100, sizeof second);
    memset(first, 0, sizeof first);
    memset(second, 0, sizeof second);
    struct iovec pieces[3] = {{first, 7}, {NULL, 0}, {second, 1234}};
    CHECK_EQ(SLOWLY(preadv(fd, pieces, 3, (off_t)offset)), 1241);
    expect(first, 7, offset);
    expect(second, 1234, offset + 7);
    CHECK_EQ(first[7], 0);
    CHECK_EQ(SLOWLY(readv(fd, pieces, 3)), 1241);
    expect(second, 1234, 5100 + 7);
    /* The same letters, so that others see them all the time. */
    for (size_t i = 0; i < sizeof second; i++) second[i] = (char)('a' + (offset + i) % 26);
    CHECK_EQ(SLOWLY(pwrite(fd, second, 900, (off_t)offset)), 900);
    pieces[0] = (struct iovec){second, 26};
    pieces[1] = (struct iovec){second, 100};
    CHECK_EQ(SLOWLY(pwritev(fd, pieces, 2, (off_t)offset)), 126);
    CHECK_EQ(SLOWLY(fsync(fd)), 0);
    CHECK_EQ(SLOWLY(fdatasync(fd)), 0);
    CHECK_EQ(SLOWLY(stat(path, &status)), 0);
    CHECK_EQ(status.st_ino, 2);
    CHECK(S_ISREG(status.st_mode));
    memset(&status, 0, sizeof status);
    CHECK_EQ(SLOWLY(fstat(fd, &status)), 0);
    CHECK_EQ(status.st_ino, 2);
    memset(&status, 0, sizeof status);
    CHECK_EQ(SLOWLY(lstat(path, &status)), 0);
    CHECK_EQ(status.st_ino, 2);
    memset(&status, 0, sizeof status);
    CHECK_EQ(SLOWLY(fstatat(AT_FDCWD, path, &status, 0)), 0);
    CHECK_EQ(status.st_ino, 2);
    memset(&more, 0, sizeof more);
    CHECK_EQ(SLOWLY(statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &more)), 0);
    CHECK_EQ(more.stx_ino, 2);
    strcat(path, "-no");
    CHECK_ERRNO(SLOWLY(open(path, O_RDONLY)), ENOENT);
    CHECK_ERRNO(SLOWLY(stat(path, &status)), ENOENT);
    close(fd);
    finished++;
}

/* Runs where others have their frames, as often as it can. */
static void stirs(void *argument) {
    (void)argument;
    while (finished < COROUTINES) {
        volatile char frame[12000];
        for (size_t i = 0; i < sizeof frame; i++) frame[i] = (char)0x5a;
        dyco_coroutine_sleep(3);
    }
}

static void crowd(size_t own_stack) {
    finished = 0;
    for (int i = 0; i < COROUTINES; i++)
        if (own_stack) spawn_own(uses, (void *)(intptr_t)i, own_stack);
        else spawn(uses, (void *)(intptr_t)i);
    /* More than there are places, so that each is shared. */
    for (int i = 0; i < 40; i++) spawn(stirs, NULL);
    int64_t began = now_ms();
    run_with_ticker();
    CHECK_EQ(finished, COROUTINES);
    CHECK_TOOK(ticker_gap, 0, 50);
    CHECK_TOOK(now_ms() - began, 17 * DELAY, 17 * DELAY * COROUTINES * 3 / 4); /* the kernel lets writers wait for one another */
}

/* --- where nobody has asked, the thread waits */

static void reads(void *argument) {
    char bytes[100];
    int fd = *(int *)argument;
    CHECK_EQ(SLOWLY(pread(fd, bytes, sizeof bytes, 0)), 100);
    finished++;
}

static int other_ran;

static void counts(void *argument) {
    (void)argument;
    while (!finished) {
        other_ran++;
        dyco_coroutine_sleep(1);
    }
}

static void asked_or_not(void) {
    int fd = open(disk_file(), O_RDONLY);
    for (on = 0; on < 2; on++) {
        CHECK_EQ(dyco_hook_files(on), 1 - on);
        finished = other_ran = 0;
        spawn(reads, &fd);
        spawn(counts, NULL);
        run_all();
        if (on) CHECK_BETWEEN(other_ran, 3, DELAY + 1000);
        else CHECK_BETWEEN(other_ran, 0, 2);
    }
    close(fd);
}

static void *not_asked(void *argument) {
    CHECK_EQ(dyco_hook_files(0), 0);
    return argument;
}

/* --- ended from outside */

static void is_left(void *argument) {
    char bytes[1000];
    int fd = *(int *)argument;
    TEST_FAIL("came back with %zd", pread(fd, bytes, sizeof bytes, 0));
}

static void is_left_opening(void *argument) {
    (void)argument;
    TEST_FAIL("came back with %d", open(disk_file(), O_RDONLY));
}

static void is_left_looking(void *argument) {
    struct stat status;
    (void)argument;
    TEST_FAIL("came back with %d", stat(disk_file(), &status));
}

/* As soon as a helper is at work. */
static void aborts(void *argument) {
    unsigned before = (unsigned)(uintptr_t)argument;
    while (*disk_asked == before) dyco_coroutine_sleep(1);
    dyco_schedcall_abort();
}

static void ended(void) {
    int fd = open(disk_file(), O_RDONLY), fds = count_fds();
    for (int round = 0; round < 4; round++) {
        if (round == 0) spawn_own(is_left, &fd, 16384);
        if (round == 1) spawn(is_left, &fd);
        if (round == 2) spawn(is_left_opening, NULL);
        if (round == 3) spawn(is_left_looking, NULL);
        spawn(aborts, (void *)(uintptr_t)*disk_asked);
        int64_t began = now_ms();
        CHECK_EQ(dyco_schedule_run(), -1);
        CHECK_TOOK(now_ms() - began, DELAY - 1, 5000); /* the helpers used their memory */
        dyco_schedule_free(NULL);
        warm_up();
        CHECK_EQ(dyco_hook_files(1), 0); /* the setting went with the scheduler */
    }
    struct timespec pause = {0, 2 * DELAY * 1000000};
    syscall(SYS_nanosleep, &pause, NULL);
    CHECK_EQ(count_fds(), fds);
    close(fd);
}

int main(void) {
    pthread_t thread;
    disk_start(DELAY);
    warm_up();
    CHECK_EQ(dyco_hook_files(1), 0);
    CHECK_EQ(dyco_hook_files(2), 1);
    crowd(0);
    crowd(16384);
    asked_or_not();
    CHECK_EQ(pthread_create(&thread, NULL, not_asked, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    ended();
    disk_end();
    return test_done();
}
