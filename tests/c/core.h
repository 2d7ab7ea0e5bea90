/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the tests of coroutines, stacks and schedulers share.
 */
#ifndef DYCO_TEST_CORE_H
#define DYCO_TEST_CORE_H

#include "test.h"

#include <sys/mman.h>
#include <sys/resource.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Whether receiving and sending are to go by io_uring. */
static inline int ring_is_asked_for(void) {
    const char *poller = getenv("DYCO_POLLER");
    return poller && strcmp(poller, "io_uring") == 0;
}

/* A coroutine that the test relies on, on a shared stack. */
static inline int spawn_shared(proc_coroutine function, void *argument) {
    int cid = dyco_coroutine_create(function, argument);
    CHECK(cid > 0);
    return cid;
}

/* The same on any stack. Where io_uring is asked for every other one has a stack of its own: the kernel gets the addresses
 * of buffers on these, and not on shared ones. */
static inline int spawn(proc_coroutine function, void *argument) {
    static int turn;
    int cid = spawn_shared(function, argument);
    if (ring_is_asked_for() && __atomic_add_fetch(&turn, 1, __ATOMIC_RELAXED) % 2)
        CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 64 << 10), 1);
    return cid;
}

/* A coroutine on a stack of its own, whose locals may be lent. */
static inline int spawn_own(proc_coroutine function, void *argument, size_t size) {
    int cid = spawn(function, argument);
    CHECK_EQ(dyco_coroutine_setStack(cid, NULL, size), 1);
    return cid;
}

static inline void run_all(void) {
    CHECK_EQ(dyco_schedule_run(), 0);
    CHECK_EQ(dyco_schedule_getCoroCount(), 0);
}

static inline void nothing(void *argument) {
    (void)argument;
}

/* CPU time of the process, in milliseconds. */
static inline double cpu_ms(void) {
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

/* Runs `body` in a child process, which ends with 0 if body returns, and takes what it writes to stderr.
 * Returns the status of waitpid(2). */
static inline int in_child(void (*body)(void), char *output, size_t size) {
    int ends[2], status;
    size_t length = 0;
    CHECK_EQ(pipe(ends), 0);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        body();
        _exit(0);
    }
    close(ends[1]);
    while (length + 1 < size) {
        ssize_t n = read(ends[0], output + length, size - length - 1);
        if (n <= 0) break;
        length += (size_t)n;
    }
    output[length] = 0;
    close(ends[0]);
    CHECK_EQ(waitpid(child, &status, 0), child);
    return status;
}

/* The child above ended well: what failed in it is on our stderr otherwise. */
#define CHECK_CHILD(body) \
    do { \
        static char child_output[4096]; \
        int child_status = in_child(body, child_output, sizeof child_output); \
        if (child_status != 0) TEST_FAIL("%s:%d: %s ended with %#x: %s", __FILE__, __LINE__, #body, child_status, child_output); \
    } while (0)

static inline int count_lines(const char *text) {
    int lines = 0;
    for (; *text; text++) lines += *text == '\n';
    return lines;
}

/* Whether the number stands in the text as a word of its own. */
static inline int names_number(const char *text, int number) {
    char digits[16];
    int length = snprintf(digits, sizeof digits, "%d", number);
    for (const char *at = text; (at = strstr(at, digits)) != NULL; at++) {
        int before = at > text && at[-1] >= '0' && at[-1] <= '9';
        int after = at[length] >= '0' && at[length] <= '9';
        if (!before && !after) return 1;
    }
    return 0;
}

#endif
