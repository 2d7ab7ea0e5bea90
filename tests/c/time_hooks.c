/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Many coroutines sleep in every way at once: each for its time, neither early nor one after the other; an idle wait
 * costs no processor time.
 */
#include "net.h"

#define EACH 50

static int done;

static void sleeper(void *argument) {
    int how = (int)(intptr_t)argument % 6, ms = 200 + (int)(intptr_t)argument % 7 * 13;
    struct timespec pause = {0, ms * 1000000L}, at;
    int64_t begin = now_ns();
    switch (how) {
    case 0: CHECK_EQ(usleep((useconds_t)ms * 1000), 0); break;
    case 1: CHECK_EQ(nanosleep(&pause, NULL), 0); break;
    case 2: CHECK_EQ(clock_nanosleep(CLOCK_REALTIME, 0, &pause, NULL), 0); break;
    case 3:
        CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &at), 0);
        at.tv_nsec += ms * 1000000L;
        at.tv_sec += at.tv_nsec / 1000000000;
        at.tv_nsec %= 1000000000;
        CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL), 0);
        break;
    case 4: CHECK_EQ(poll(NULL, 0, ms), 0); break;
    case 5: CHECK_EQ(select(0, NULL, NULL, NULL, &(struct timeval){0, ms * 1000}), 0); break;
    }
    CHECK_TOOK(now_ns() - begin, ms * 1000000LL, ms * 1000000LL + 2000000000LL);
    done++;
}

static void whole_second(void *argument) {
    int64_t begin = now_ns();
    (void)argument;
    CHECK_EQ(sleep(1), 0);
    CHECK_TOOK(now_ns() - begin, 1000000000, 3000000000);
    done++;
}

/* usleep(0) and sleep(0) let others go on, or at least come back. */
static void no_time(void *argument) {
    (void)argument;
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(usleep(0), 0);
        CHECK_EQ(sleep(0), 0);
        CHECK_EQ(nanosleep(&(struct timespec){0, 0}, NULL), 0);
    }
    done++;
}

static void idle(void *argument) {
    double before = cpu_ms();
    (void)argument;
    CHECK_EQ(usleep(700000), 0);
    CHECK_EQ(poll(NULL, 0, 300), 0);
    CHECK(cpu_ms() - before < 100);
    done++;
}

int main(void) {
    int64_t begin = now_ms();
    for (int i = 0; i < 6 * EACH; i++) spawn(sleeper, (void *)(intptr_t)i);
    for (int i = 0; i < EACH; i++) spawn(whole_second, NULL);
    spawn(no_time, NULL);
    run_with_ticker();
    CHECK_TOOK(now_ms() - begin, 1000, 4000);
    CHECK_EQ(done, 7 * EACH + 1);
    spawn(idle, NULL);
    run_all();
    CHECK_EQ(done, 7 * EACH + 2);
    return test_done();
}
