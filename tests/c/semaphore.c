// timeout: 60
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Semaphores: first come first served, no permit is lost, and 100,000 waiters use no descriptor.
 */
#include "sync.h"

static dyco_semaphore *sem;

static void take(void *argument) {
    CHECK_EQ(dyco_semaphore_wait(sem, -1), 0);
    note((char)(intptr_t)argument);
}

static void give(void *argument) {
    for (intptr_t i = (intptr_t)argument; i > 0; i--) CHECK_EQ(dyco_semaphore_signal(sem), 0);
}

static void order(void) {
    sem = dyco_semaphore_create(2);
    for (char c = 'a'; c <= 'f'; c++) spawn(take, (void *)(intptr_t)c);
    spawn(give, (void *)4);
    run_all();
    CHECK_TRACE("abcdef");
    dyco_semaphore_destroy(&sem);
    CHECK(sem == NULL);
}

/* A permit belongs to who waits, before it has run. */
static void no_overtaking(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(1);
    CHECK_EQ(dyco_semaphore_signal(sem), 0);
    CHECK_FAILS(dyco_semaphore_wait(sem, 0), -1, ETIMEDOUT);
    note('n');
}

/* ---- Timeouts ---- */

static void timeouts(void *argument) {
    (void)argument;
    CHECK_FAILS(dyco_semaphore_wait(sem, 0), -1, ETIMEDOUT);
    CHECK_TAKES(30, CHECK_FAILS(dyco_semaphore_wait(sem, 30), -1, ETIMEDOUT));
    CHECK_EQ(dyco_semaphore_signal(sem), 0);
    CHECK_EQ(dyco_semaphore_wait(sem, 30), 0);
    CHECK_FAILS(dyco_semaphore_wait(sem, 1), -1, ETIMEDOUT);
}

/* Waiters that time out while permits come: each permit is taken by a waiter or is there at the end. */
static int taken, missed;

static void impatient(void *argument) {
    if (dyco_semaphore_wait(sem, (int)(intptr_t)argument) == 0) {
        taken++;
    } else {
        CHECK_EQ(errno, ETIMEDOUT);
        missed++;
    }
}

static void trickle(void *argument) {
    (void)argument;
    for (int i = 0; i < 500; i++) {
        CHECK_EQ(dyco_semaphore_signal(sem), 0);
        if (i % 20 == 0) dyco_coroutine_sleep(1);
    }
}

static void no_permit_lost(void) {
    sem = dyco_semaphore_create(0);
    for (intptr_t i = 0; i < 1000; i++) spawn(impatient, (void *)(i % 30 + 1));
    spawn(trickle, NULL);
    run_all();
    CHECK_EQ(taken + missed, 1000);
    int left = 0;
    while (dyco_semaphore_wait(sem, 0) == 0) left++;
    CHECK_EQ(errno, ETIMEDOUT);
    CHECK_EQ(taken + left, 500);
    dyco_semaphore_destroy(&sem);
}

/* ---- Destroyed ---- */

static void waits_for_end(void *argument) {
    CHECK_FAILS(dyco_semaphore_wait(sem, (int)(intptr_t)argument), -1, EIDRM);
    note('e');
}

static void signal_and_destroy(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(1);
    CHECK_EQ(dyco_semaphore_signal(sem), 0);
    dyco_semaphore_destroy(&sem);
    CHECK(sem == NULL);
    note('d');
}

static void destroyed(void) {
    sem = dyco_semaphore_create(0);
    spawn(take, (void *)(intptr_t)'t'); /* has its permit when the semaphore goes */
    for (int i = 0; i < 3; i++) spawn(waits_for_end, (void *)(intptr_t)(i == 1 ? 1000 : -1));
    spawn(signal_and_destroy, NULL);
    run_all();
    CHECK_TRACE("dteee");
}

/* ---- Arguments, outside coroutines, other threads ---- */

static void *other_thread(void *argument) {
    (void)argument;
    CHECK_FAILS(dyco_semaphore_signal(sem), -1, EPERM);
    CHECK_FAILS(dyco_semaphore_wait(sem, -1), -1, EPERM);
    dyco_semaphore *copy = sem;
    errno = 0;
    dyco_semaphore_destroy(&copy);
    CHECK_EQ(errno, EPERM);
    CHECK(copy == sem);
    return NULL;
}

static void stop(void *argument) {
    (void)argument;
    dyco_schedcall_stop();
}

static void arguments(void) {
    errno = 0;
    CHECK(dyco_semaphore_create((size_t)INT_MAX + 1) == NULL);
    CHECK_EQ(errno, EINVAL);
    CHECK(dyco_semaphore_create(SIZE_MAX) == NULL);
    CHECK_FAILS(dyco_semaphore_wait(NULL, -1), -1, EINVAL);
    CHECK_FAILS(dyco_semaphore_signal(NULL), -1, EINVAL);
    dyco_semaphore_destroy(NULL);
    dyco_semaphore_destroy(&sem);

    CHECK((sem = dyco_semaphore_create(INT_MAX)) != NULL);
    CHECK_FAILS(dyco_semaphore_signal(sem), -1, EOVERFLOW);
    CHECK_EQ(dyco_semaphore_wait(sem, -1), 0);
    CHECK_EQ(dyco_semaphore_signal(sem), 0);
    dyco_semaphore_destroy(&sem);

    sem = dyco_semaphore_create(1);
    CHECK_EQ(dyco_semaphore_wait(sem, -1), 0); /* outside: it need not wait */
    CHECK_FAILS(dyco_semaphore_wait(sem, -1), -1, EPERM);
    CHECK_FAILS(dyco_semaphore_wait(sem, 10), -1, EPERM);
    CHECK_FAILS(dyco_semaphore_wait(sem, 0), -1, ETIMEDOUT);
    spawn(take, (void *)(intptr_t)'1');
    spawn(take, (void *)(intptr_t)'2');
    spawn(stop, NULL);
    CHECK_EQ(dyco_schedule_run(), 1);
    in_thread(other_thread, NULL);
    give((void *)2); /* outside wakes inside */
    run_all();
    CHECK_TRACE("12");
    dyco_semaphore_destroy(&sem);
}

/* ---- 100,000 waiters ---- */

enum { CROWD = 100000 };
static int started, fds_before;

static void one_of_many(void *argument) {
    started++;
    CHECK_EQ(dyco_semaphore_wait(sem, (intptr_t)argument % 2 ? -1 : 600000), 0);
    taken++;
}

static void count_and_release(void *argument) {
    (void)argument;
    CHECK_EQ(started, CROWD);
    CHECK_EQ(count_fds(), fds_before);
    give((void *)(intptr_t)CROWD);
}

static void crowd(void) {
    started = taken = 0;
    sem = dyco_semaphore_create(0);
    fds_before = count_fds();
    for (intptr_t i = 0; i < CROWD; i++) spawn(one_of_many, (void *)i);
    int cid = spawn(count_and_release, NULL);
    CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 65536), 1);
    run_all();
    CHECK_EQ(taken, CROWD);
    dyco_semaphore_destroy(&sem);
}

int main(void) {
    int fds = count_fds();
    order();

    sem = dyco_semaphore_create(0);
    spawn(take, (void *)(intptr_t)'t');
    spawn(no_overtaking, NULL);
    run_all();
    CHECK_TRACE("nt");
    in_coroutine(timeouts, NULL);
    dyco_semaphore_destroy(&sem);

    no_permit_lost();
    destroyed();
    arguments();
    crowd();
    CHECK_EQ(count_fds(), fds);
    return test_done();
}
