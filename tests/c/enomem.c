// modes: shared ring
// flags: -fno-builtin
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Memory that runs out at any allocation: the call says ENOMEM, nothing is lost, nothing aborts. The program defines
 * malloc and its kin (and mmap) itself, and the nth call of the library's fails.
 */
#include "core.h"

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static int is_counting, calls, fail_from, fail_to;

static int fails(void) {
    if (!__atomic_load_n(&is_counting, __ATOMIC_RELAXED)) return 0;
    calls++;
    if (calls < fail_from || calls > fail_to) return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size) { return fails() ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return fails() ? NULL : __libc_calloc(count, size); }
void *realloc(void *memory, size_t size) { return fails() ? NULL : __libc_realloc(memory, size); }
void *aligned_alloc(size_t alignment, size_t size) { return fails() ? NULL : __libc_memalign(alignment, size); }

void *mmap(void *address, size_t length, int protection, int flags, int file, off_t offset) {
    if (fails()) return MAP_FAILED;
    return (void *)syscall(SYS_mmap, address, length, protection, flags, file, offset);
}

static int ran, silent[2];

/* Mapped memory, in KiB. */
static long mapped(void) {
    long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    CHECK(statm != NULL && fscanf(statm, "%ld", &pages) == 1);
    fclose(statm);
    return pages * 4;
}

static char memory[50][8192];

static void runs(void *argument) {
    volatile unsigned char block[300];
    memset((void *)block, (int)(intptr_t)argument, sizeof block);
    for (int i = 0; i < 4; i++) {
        dyco_coroutine_sleep((uint32_t)(i % 2));
        for (size_t b = 0; b < sizeof block; b++) CHECK_EQ(block[b], (unsigned char)(intptr_t)argument);
    }
    ran++;
}

static void waits(void *argument) {
    int result = dyco_coroutine_waitRead((int)(intptr_t)argument, 3);
    if (result < 0) CHECK_EQ(errno, ENOMEM);
    else CHECK_EQ(result, 0);
    ran++;
}

static void polls(void *argument) {
    struct pollfd items[5];
    for (size_t i = 0; i < COUNT(items); i++) items[i] = (struct pollfd){(int)(intptr_t)argument, POLLIN, 0};
    int result = poll(items, COUNT(items), 3);
    if (result < 0) CHECK_EQ(errno, ENOMEM);
    else CHECK_EQ(result, 0);
    ran++;
}

/* By io_uring this needs the ring's memory, too. */
static void receives(void *argument) {
    char byte;
    (void)argument;
    CHECK_EQ(recv(silent[0], &byte, 1, 0), -1);
    CHECK(errno == EAGAIN || errno == ENOMEM);
    ran++;
}

/* Memory is back after a while: what could not go on for want of it must. */
static void *give_back(void *argument) {
    usleep(15000);
    __atomic_store_n(&is_counting, 0, __ATOMIC_RELAXED);
    return argument;
}

/* One life of a scheduler, in which the allocations fail_from … fail_to fail. Says whether any did. */
static int live(int quiet) {
    int made = 0;
    calls = 0;
    is_counting = 1;
    if (dyco_schedule_create(0, 0) != 0) {
        CHECK_EQ(errno, ENOMEM);
        CHECK(dyco_schedule_current() == NULL);
    }
    ran = 0;
    for (int i = 0; i < 60; i++) {
        proc_coroutine kinds[] = {runs, runs, receives, waits, polls};
        proc_coroutine kind = kinds[i % 5];
        errno = 0;
        int cid = dyco_coroutine_create(kind, (void *)(intptr_t)(kind == runs ? i : quiet));
        if (cid < 0) {
            CHECK_EQ(cid, -1);
            CHECK_EQ(errno, ENOMEM);
            continue;
        }
        CHECK(cid > 0);
        made++;
        CHECK_EQ(dyco_schedule_getCoroCount(), made);
        if (i % 3 == 1) {
            errno = 0;
            int result = dyco_coroutine_setStack(cid, NULL, (size_t)16384 << (i % 4));
            if (result < 0) {
                CHECK_EQ(errno, ENOMEM);
                CHECK_EQ(dyco_coroutine_getStack(cid, NULL, NULL), 0); /* as it was before */
            } else {
                CHECK_EQ(result, 1);
            }
        }
        if (i % 3 == 2) CHECK_EQ(dyco_coroutine_setStack(cid, memory[i % 50], sizeof memory[0]), 1);
    }
    int failed = calls >= fail_from;
    int result;
    for (int tries = 0; made > 0 && (result = dyco_schedule_run()) != 0; tries++) {
        CHECK_EQ(result, -1);
        CHECK_EQ(errno, ENOMEM);
        CHECK(tries < 1000);
        usleep(1000);
    }
    failed |= calls >= fail_from;
    is_counting = 0;
    CHECK_EQ(ran, made); /* nobody is lost */
    if (dyco_schedule_current()) CHECK_EQ(dyco_schedule_getCoroCount(), 0);
    dyco_schedule_free(NULL);
    return failed;
}

int main(void) {
    int quiet[2], single = 0;
    struct timeval limit = {0, 3000};
    CHECK_EQ(pipe(quiet), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, silent), 0);
    CHECK_EQ(setsockopt(silent[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    fail_from = INT_MAX;
    live(quiet[0]);
    long before = mapped();
    for (fail_from = 1;; fail_from++) {
        fail_to = fail_from;
        single = live(quiet[0]);
        if (!single) break;
        CHECK(fail_from < 10000);
    }
#if defined __x86_64__ /* an emulator's own memory is in the number */
    CHECK_BETWEEN(mapped(), 0, before + 200); /* what was got before the failure came back */
#else
    (void)before;
#endif
    CHECK(fail_from > 10); /* the library does ask for memory by these names */
    int fds = count_fds();
    for (fail_from = 1; fail_from < 60; fail_from++) {
        fail_to = fail_from + 5;
        live(quiet[0]);
    }
    CHECK_EQ(count_fds(), fds);

    /* From some point on, nothing; until memory comes back. */
    pthread_t other;
    for (fail_from = 1; fail_from < 200; fail_from += 3) {
        fail_to = INT_MAX;
        CHECK_EQ(pthread_create(&other, NULL, give_back, NULL), 0);
        live(quiet[0]);
        CHECK_EQ(pthread_join(other, NULL), 0);
    }
    return test_done();
}
