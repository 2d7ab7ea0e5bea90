// busy: much
// timeout: 90
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * After ten rounds of anything, open descriptors and the heap are where they were.
 */
#include "core.h"
#include "heap.h"

#include <sys/socket.h>

#if defined __x86_64__
#define ROUNDS 40
#else
#define ROUNDS 10 /* under an emulator, as a rule */
#endif

static char memory[100][8192];
static int ends[2], may_end_early;

static void mixed(void *argument) {
    struct pollfd items[2] = {{ends[0], POLLIN, 0}, {-1, POLLIN, 0}};
    char byte;
    int pair[2];
    switch ((intptr_t)argument % 8) {
    case 0: dyco_coroutine_sleep(2); break;
    case 1: CHECK_EQ(dyco_coroutine_waitRead(ends[0], 2), 0); break;
    case 2: CHECK_EQ(poll(items, 2, 2), 0); break;
    case 3: dyco_coroutine_abort(); break;
    case 4:
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        /* Descriptors of the program's own are its own matter. */
        if (!may_end_early) CHECK_EQ(dyco_coroutine_waitRead(pair[0], 1), 0);
        CHECK_EQ(send(pair[1], "x", 1, 0), 1);
        CHECK_EQ(recv(pair[0], &byte, 1, 0), 1);
        close(pair[0]);
        close(pair[1]);
        break;
    case 5: spawn(mixed, NULL); break;
    case 6: CHECK_EQ(dyco_coroutine_waitRead(-1, 5), -1); break;
    default: dyco_coroutine_sleep(0);
    }
}

static void fill(int count) {
    for (intptr_t i = 0; i < count; i++) {
        int cid = spawn(mixed, (void *)i);
        if (i % 3 == 1) CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 16384u << (i % 4)), 1);
        if (i % 3 == 2 && i < 300) CHECK_EQ(dyco_coroutine_setStack(cid, memory[i / 3], sizeof memory[0]), 1);
    }
}

static void abort_all(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(1);
    dyco_schedcall_abort();
}

static void stop(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(1);
    dyco_schedcall_stop();
}

static void finish(void) {
    fill(2000);
    run_all();
}

static void aborted(void) {
    may_end_early = 1;
    fill(2000);
    spawn(abort_all, NULL);
    CHECK_EQ(dyco_schedule_run(), -1);
    may_end_early = 0;
}

static void freed(void) {
    may_end_early = 1;
    fill(2000);
    spawn(stop, NULL);
    CHECK_EQ(dyco_schedule_run(), 1);
    dyco_schedule_free(NULL);
    may_end_early = 0;
}

static void freed_new(void) {
    CHECK_EQ(dyco_schedule_create(1 << 18, 10), 0);
    fill(500);
    dyco_schedule_free(NULL);
}

static void refused(void) {
    int cid = spawn(nothing, NULL);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(dyco_coroutine_setStack(cid, NULL, SIZE_MAX / 2), -1);
        CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 32768), 1);
        CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 0), 0);
        CHECK_EQ(dyco_coroutine_create(NULL, NULL), -1);
        CHECK_EQ(dyco_schedule_create(0, 0), -1);
    }
    run_all();
}

int main(int argc, char **argv) {
    size_t slack = heap_start(argv);
    (void)argc;
    void (*const rounds[])(void) = {finish, aborted, finish, freed, finish, refused};
    CHECK_EQ(pipe(ends), 0);

    /* One scheduler throughout. */
    void (*const same[])(void) = {finish, aborted, finish, refused};
    for (size_t r = 0; r < COUNT(same); r++) {
        for (int i = 0; i < 20; i++) same[r](); /* pools of blocks find their size */
        int fds = count_fds();
        size_t bytes = heap();
        long rss = rss_kb();
        for (int i = 0; i < ROUNDS; i++) same[r]();
        CHECK_EQ(count_fds(), fds);
        /* How much it keeps for the next crowd depends on how many were alive at once: 8 bytes of each would be more. */
        if (heap() > bytes + slack + 600000) TEST_FAIL("round %zu: %zu bytes more", r, heap() - bytes);
        if (rss_kb() > rss + 4096) TEST_FAIL("round %zu: %ld KiB more", r, rss_kb() - rss);
    }
    dyco_schedule_free(NULL);

    /* Nothing left at all after free. */
    int fds = 0;
    size_t bytes = 0;
    for (int i = 0; i < 10; i++) {
        for (size_t r = 0; r < COUNT(rounds); r++) rounds[r]();
        dyco_schedule_free(NULL);
        freed_new();
        if (i == 0) fds = count_fds(), bytes = heap();
        CHECK_EQ(count_fds(), fds);
        if (heap() > bytes + slack) TEST_FAIL("after free: %zu bytes more", heap() - bytes);
    }
    return test_done();
}
