/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * sleep, usleep, nanosleep and clock_nanosleep return in a coroutine what they return in a plain thread, and never early.
 */
#include "same.h"

static struct timespec in_ms(clockid_t clock, int ms) {
    struct timespec at;
    CHECK_EQ(clock_gettime(clock, &at), 0);
    at.tv_nsec += ms * 1000000L;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
}

#define TAKES_AT_LEAST(ms, statement) \
    do { \
        int64_t begin = now_ns(); \
        statement; \
        CHECK_TOOK(now_ns() - begin, (ms) * 1000000LL, (ms) * 1000000LL + 4000000000LL); \
    } while (0)

static void sleeps(void) {
    struct timespec pause = {0, 70000000}, left = {7, 8};
    TAKES_AT_LEAST(1000, TRY(sleep(1)));
    TRY(sleep(0));
    TAKES_AT_LEAST(70, TRY(usleep(70000)));
    TRY(usleep(0));
    TAKES_AT_LEAST(1100, TRY(usleep(1100000)));
    TAKES_AT_LEAST(70, TRY(nanosleep(&pause, &left)));
    say("%ld %ld\n", (long)left.tv_sec, left.tv_nsec);
    TAKES_AT_LEAST(70, TRY(nanosleep(&pause, NULL)));
    pause.tv_nsec = 0;
    TRY(nanosleep(&pause, NULL));
    pause.tv_nsec = 1;
    TRY(nanosleep(&pause, NULL));
}

static void bad_times(void) {
    struct timespec pause = {0, 1000000000};
    TRY(nanosleep(&pause, NULL));
    TRY(clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL));
    TRY(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &pause, NULL));
    pause.tv_nsec = -1;
    TRY(nanosleep(&pause, NULL));
    pause = (struct timespec){-1, 0};
    TRY(nanosleep(&pause, NULL));
    TRY(clock_nanosleep(CLOCK_REALTIME, 0, &pause, NULL));
    pause = (struct timespec){0, 1000000};
    TRY(clock_nanosleep(12345, 0, &pause, NULL));
    TRY(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &pause, NULL));
    TRY(clock_nanosleep(CLOCK_MONOTONIC_RAW, 0, &pause, NULL));
}

static void clocks(void) {
    static const clockid_t all[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_TAI};
    for (size_t i = 0; i < COUNT(all); i++) {
        struct timespec pause = {0, 70000000}, left = {7, 8}, at;
        TAKES_AT_LEAST(70, TRY(clock_nanosleep(all[i], 0, &pause, &left)));
        say("%ld %ld\n", (long)left.tv_sec, left.tv_nsec);
        at = in_ms(all[i], 80);
        TAKES_AT_LEAST(79, TRY(clock_nanosleep(all[i], TIMER_ABSTIME, &at, &left)));
        struct timespec now;
        CHECK_EQ(clock_gettime(all[i], &now), 0);
        CHECK(now.tv_sec > at.tv_sec || (now.tv_sec == at.tv_sec && now.tv_nsec >= at.tv_nsec));
        say("%ld %ld\n", (long)left.tv_sec, left.tv_nsec);
        at.tv_sec -= 100;
        TRY(clock_nanosleep(all[i], TIMER_ABSTIME, &at, NULL));
        at = (struct timespec){0, 0};
        TRY(clock_nanosleep(all[i], TIMER_ABSTIME, &at, NULL));
    }
}

int main(void) {
    same_start();
    SAME(sleeps);
    SAME(bad_times);
    SAME(clocks);
    return test_done();
}
