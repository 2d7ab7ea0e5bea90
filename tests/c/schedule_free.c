/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * schedule_free: with all that the scheduler still holds, never while it runs, never another thread's.
 */
#include "core.h"

static int after;
static dyco_schedule *theirs;
static pthread_barrier_t barrier;

static void parks(void *argument) {
    volatile char block[1000];
    block[0] = 1;
    switch ((intptr_t)argument % 4) {
    case 0: dyco_coroutine_sleep(UINT32_MAX); break;
    case 1: dyco_coroutine_waitRead(0, -1); break;
    case 2: poll(NULL, 0, 100000); break;
    default:
        for (;;) dyco_coroutine_sleep(0);
    }
    after += block[0];
}

static void stop(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(5);
    dyco_schedcall_stop();
    after++;
}

static void frees(void *argument) {
    dyco_schedule *mine = dyco_schedule_current();
    int *ran = argument;
    CHECK(mine != NULL);
    errno = 0;
    dyco_schedule_free(NULL);
    CHECK_EQ(errno, EBUSY);
    errno = 0;
    dyco_schedule_free(mine);
    CHECK_EQ(errno, EBUSY);
    CHECK(dyco_schedule_current() == mine);
    dyco_coroutine_sleep(1);
    ++*ran;
}

static void *thread(void *argument) {
    int cid = spawn(nothing, NULL);
    theirs = dyco_schedule_current();
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    CHECK(dyco_schedule_current() == theirs);
    CHECK_EQ(dyco_coroutine_getSchedCount(cid), 0);
    run_all();
    return argument;
}

int main(void) {
    static char memory[20][8192];
    int ran = 0, input[2];
    CHECK_EQ(pipe(input), 0);
    CHECK_EQ(dup2(input[0], 0), 0);
    dyco_schedule_free(NULL); /* none */

    CHECK_EQ(dyco_schedule_create(0, 0), 0);
    dyco_schedule_free(NULL);
    CHECK(dyco_schedule_current() == NULL);
    CHECK_EQ(dyco_schedule_schedID(), -1);
    CHECK_EQ(dyco_schedule_getCoroCount(), -1);

    CHECK_EQ(dyco_schedule_create(0, 0), 0);
    dyco_schedule_free(dyco_schedule_current());
    CHECK(dyco_schedule_current() == NULL);

    for (int round = 0; round < 50; round++) {
        for (intptr_t i = 0; i < 60; i++) {
            int cid = spawn(parks, (void *)i);
            if (i % 3 == 1) CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 16384), 1);
            if (i % 3 == 2) CHECK_EQ(dyco_coroutine_setStack(cid, memory[i / 3], sizeof memory[0]), 1);
        }
        if (round % 2) {
            spawn(stop, NULL);
            CHECK_EQ(dyco_schedule_run(), 1);
            CHECK_EQ(dyco_schedule_getCoroCount(), 61);
        }
        dyco_schedule_free(NULL);
        CHECK(dyco_schedule_current() == NULL);
    }
    CHECK_EQ(after, 0);

    spawn(frees, &ran);
    run_all();
    CHECK_EQ(ran, 1);

    pthread_t other;
    CHECK_EQ(pthread_barrier_init(&barrier, NULL, 2), 0);
    CHECK_EQ(pthread_create(&other, NULL, thread, NULL), 0);
    pthread_barrier_wait(&barrier);
    errno = 0;
    dyco_schedule_free(theirs);
    CHECK_EQ(errno, EINVAL);
    errno = 0;
    dyco_schedule_free((dyco_schedule *)memory); /* nobody's */
    CHECK_EQ(errno, EINVAL);
    CHECK(dyco_schedule_current() != NULL);
    pthread_barrier_wait(&barrier);
    CHECK_EQ(pthread_join(other, NULL), 0);
    spawn(nothing, NULL);
    run_all();
    return test_done();
}
