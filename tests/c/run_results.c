/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What dyco_schedule_run returns, and when.
 */
#include "core.h"

static int ran;

static void inside(void *argument) {
    (void)argument;
    CHECK_ERRNO(dyco_schedule_run(), EBUSY);
    dyco_coroutine_sleep(1);
    CHECK_ERRNO(dyco_schedule_run(), EBUSY);
    ran++;
}

static void stop(void *argument) {
    (void)argument;
    dyco_schedcall_stop();
    ran++;
}

static void abort_all(void *argument) {
    (void)argument;
    dyco_schedcall_abort();
    ran += 1000;
}

static void *thread(void *argument) {
    CHECK(dyco_schedule_current() == NULL);
    CHECK_EQ(dyco_schedule_run(), -2); /* this thread has none, whatever others have */
    spawn(inside, NULL);
    CHECK_EQ(dyco_schedule_run(), 0);
    return argument;
}

int main(void) {
    CHECK_EQ(dyco_schedule_run(), -2);
    CHECK_EQ(dyco_schedule_run(), -2);

    CHECK_EQ(dyco_schedule_create(0, 0), 0);
    CHECK_EQ(dyco_schedule_run(), 0); /* nothing to do */
    CHECK_EQ(dyco_schedule_run(), 0);

    spawn(inside, NULL);
    CHECK_EQ(dyco_schedule_run(), 0);
    CHECK_EQ(ran, 1);
    CHECK_EQ(dyco_schedule_run(), 0);

    spawn(stop, NULL);
    spawn(inside, NULL);
    CHECK_EQ(dyco_schedule_run(), 1);
    CHECK_EQ(dyco_schedule_run(), 0);
    CHECK_EQ(ran, 3);

    spawn(inside, NULL);
    spawn(abort_all, NULL);
    spawn(inside, NULL);
    CHECK_EQ(dyco_schedule_run(), -1);
    CHECK_EQ(ran, 3);
    CHECK_EQ(dyco_schedule_run(), -2);
    CHECK_EQ(dyco_schedule_run(), -2);
    spawn(inside, NULL);
    CHECK_EQ(dyco_schedule_run(), 0);
    CHECK_EQ(ran, 4);
    CHECK_EQ(dyco_schedule_run(), 0);

    pthread_t other;
    CHECK_EQ(pthread_create(&other, NULL, thread, NULL), 0);
    CHECK_EQ(pthread_join(other, NULL), 0);
    CHECK_EQ(ran, 5);

    dyco_schedule_free(NULL);
    CHECK_EQ(dyco_schedule_run(), -2);
    return test_done();
}
