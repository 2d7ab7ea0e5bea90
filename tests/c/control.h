/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Strict bounds of time on a machine that others may use. A plain thread that only sleeps, 5 ms at a time, is the control:
 * how late it wakes is the machine's doing, and nothing else is forgiven. On a machine with a processor to spare that is
 * nothing.
 */
#ifndef DYCO_TEST_CONTROL_H
#define DYCO_TEST_CONTROL_H

#include "net.h"

#define TICK_NS 5000000
/* So late any thread may wake: the timer's and the processor's own time. */
#define USUAL_NS 1000000

/* A time, in milliseconds: low <= value <= high, whatever patience() says. */
#define CHECK_STRICT(value, low, high) \
    do { \
        long long test_v = (long long)(value); \
        if (test_v < (low) || test_v > (high)) \
            TEST_END(test_v < (low) ? 1 : TEST_LATE, "%s:%d: expected %s between %d and %d, but it is %lld", __FILE__, \
                     __LINE__, #value, (int)(low), (int)(high), test_v); \
    } while (0)

static pthread_t control_thread;
static int control_ends;
/* When the control's sleep ends, and by how much its earlier ones have been too long in all. */
static int64_t control_due, control_late;

/* How long the machine has kept the control waiting so far, what it waits just now included. */
static inline int64_t machine_late_ns(void) {
    int64_t late = now_ns() - __atomic_load_n(&control_due, __ATOMIC_ACQUIRE) - USUAL_NS;
    return __atomic_load_n(&control_late, __ATOMIC_ACQUIRE) + (late > 0 ? late : 0);
}

/* By system calls, which no hook sees. */
static inline void *control(void *argument) {
    while (!__atomic_load_n(&control_ends, __ATOMIC_RELAXED)) {
        struct timespec pause = {0, TICK_NS};
        syscall(SYS_nanosleep, &pause, NULL);
        __atomic_store_n(&control_late, machine_late_ns(), __ATOMIC_RELEASE);
        __atomic_store_n(&control_due, now_ns() + TICK_NS, __ATOMIC_RELEASE);
    }
    return argument;
}

static inline void control_begin(void) {
    control_due = now_ns() + TICK_NS;
    CHECK_EQ(pthread_create(&control_thread, NULL, control, NULL), 0);
}

static inline void control_end(void) {
    __atomic_store_n(&control_ends, 1, __ATOMIC_RELAXED);
    CHECK_EQ(pthread_join(control_thread, NULL), 0);
}

#ifndef PLAIN
/* How late the ticker has been at worst, and how late with what is forgiven: what the control suffered meanwhile, or what
 * the kernel says that it has kept the ticker's own thread from a processor. */
static int64_t ticker_late, ticker_late_forgiven;

static inline void strict_ticker(void *argument) {
    (void)argument;
    while (dyco_schedule_getCoroCount() > 1) {
        int64_t machine = machine_late_ns(), kept = delay_ms() * 1000000, begin = now_ns();
        dyco_coroutine_sleep(TICK_NS / 1000000);
        int64_t late = now_ns() - begin - TICK_NS;
        machine = machine_late_ns() - machine;
        kept = delay_ms() * 1000000 - kept;
        int64_t forgiven = late - (machine > kept ? machine : kept);
        if (late > ticker_late) ticker_late = late;
        if (forgiven > ticker_late_forgiven) ticker_late_forgiven = forgiven;
    }
}

/* Runs what has been created, with a strict ticker beside it. */
static inline void run_with_control(void) {
    ticker_delays = open("/proc/thread-self/schedstat", O_RDONLY);
    spawn(strict_ticker, NULL);
    run_all();
    if (ticker_delays >= 0) close(ticker_delays);
}
#endif

#endif
