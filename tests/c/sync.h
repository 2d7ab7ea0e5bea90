/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the tests of channels, semaphores, waitgroups, pools and asymmetric coroutines share.
 */
#ifndef DYCO_TEST_SYNC_H
#define DYCO_TEST_SYNC_H

#include "core.h"

/* What happened, in order, a character each. */
static char trace[4096];
static size_t trace_length;

static inline void note(char event) {
    CHECK(trace_length + 1 < sizeof trace);
    trace[trace_length++] = event;
    trace[trace_length] = 0;
}

#define CHECK_TRACE(wanted) \
    do { \
        trace[trace_length] = 0; \
        CHECK_STR(trace, wanted); \
        trace_length = 0; \
    } while (0)

/* Runs `body` as the only coroutine, and to its end. */
static inline void in_coroutine(proc_coroutine body, void *argument) {
    spawn(body, argument);
    run_all();
}

/* Runs `body` in another thread, and waits for it. */
static inline void in_thread(void *(*body)(void *), void *argument) {
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, body, argument), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* A call that has to wait `ms` milliseconds waits that long, and not much longer. */
#define CHECK_TAKES(ms, statement) \
    do { \
        int64_t takes_begin = now_ns(); \
        statement; \
        int64_t takes_ns = now_ns() - takes_begin; \
        CHECK_BETWEEN(takes_ns, (int64_t)(ms) * 1000000, ((int64_t)(ms) + 2000) * 1000000); \
    } while (0)

/* The call returns `wanted` and leaves that errno. */
#define CHECK_FAILS(expr, wanted, error) \
    do { \
        errno = 0; \
        long long fails_r = (long long)(expr); \
        int fails_e = errno; \
        if (fails_r != (wanted) || fails_e != (error)) \
            TEST_FAIL("%s:%d: expected %s == %lld with %s, but it is %lld with errno %d (%s)", __FILE__, __LINE__, \
                      #expr, (long long)(wanted), #error, fails_r, fails_e, strerror(fails_e)); \
    } while (0)

#endif
