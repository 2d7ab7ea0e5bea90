/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Sleeps beyond every integer width on the way (71.6 minutes in µs, 2^31 ms, 2^32-1 ms) neither end early nor are
 * forgotten by run.
 */
#include "core.h"

static const uint32_t lengths[] = {4294967u, 4294968u, 5000000u, 86400000u, INT32_MAX, 2147483648u, UINT32_MAX - 1, UINT32_MAX};
static int begun, woke, fd_woke;

static void sleeper(void *argument) {
    begun++;
    dyco_coroutine_sleep(*(const uint32_t *)argument);
    woke++;
}

static void waiter(void *argument) {
    begun++;
    int result = dyco_coroutine_waitRead((int)(intptr_t)argument, INT_MAX);
    (void)result;
    fd_woke++;
}

static void stopper(void *argument) {
    (void)argument;
    for (int i = 0; i < 3; i++) {
        dyco_coroutine_sleep(100);
        dyco_schedcall_stop();
    }
    dyco_schedcall_abort();
}

static void *long_thread(void *argument) {
    dyco_coroutine_sleep(UINT32_MAX);
    woke++;
    return argument;
}

int main(void) {
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    for (size_t i = 0; i < COUNT(lengths); i++) spawn(sleeper, (void *)&lengths[i]);
    spawn(waiter, (void *)(intptr_t)ends[0]);
    spawn(stopper, NULL);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, long_thread, NULL), 0);
    for (int i = 0; i < 3; i++) {
        double cpu = cpu_ms();
        CHECK_EQ(dyco_schedule_run(), 1);
        CHECK(cpu_ms() - cpu < 60);
        CHECK_EQ(begun, COUNT(lengths) + 1);
        CHECK_EQ(dyco_schedule_getCoroCount(), COUNT(lengths) + 2);
    }
    CHECK_EQ(dyco_schedule_run(), -1);
    CHECK_EQ(woke, 0);
    CHECK_EQ(fd_woke, 0);
    return test_done();
}
