/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Pools of asymmetric coroutines: obtained in order, given back by hand, finished or not.
 */
#include "sync.h"

static dyco_coropool *pool;

static void yields(void *argument) {
    for (;;) {
        note((char)(intptr_t)argument);
        dyco_asymcoro_yield();
    }
}

static void ends(void *argument) {
    note((char)(intptr_t)argument);
}

static void by_hand(void *argument) {
    int cids[3];
    (void)argument;
    CHECK_EQ(dyco_asymcpool_available(pool), 3);
    for (int i = 0; i < 3; i++) {
        cids[i] = dyco_asymcpool_obtain(pool, i == 1 ? ends : yields, (void *)(intptr_t)('a' + i), -1);
        CHECK(cids[i] > 0);
        CHECK_EQ(dyco_coroutine_isasymmetric(cids[i]), 1);
        CHECK_EQ(dyco_asymcpool_available(pool), 2 - i);
    }
    CHECK_FAILS(dyco_asymcpool_obtain(pool, ends, NULL, 0), 0, ETIMEDOUT);
    CHECK_EQ(dyco_asymcoro_resume(cids[0]), cids[0]);
    CHECK_EQ(dyco_asymcoro_resume(cids[1]), 0);
    CHECK_EQ(dyco_asymcpool_available(pool), 0); /* they do not come back by themselves */
    CHECK_FAILS(dyco_asymcpool_destroy(&pool), -1, EBUSY);
    for (int i = 0; i < 3; i++) {
        dyco_asymcpool_return(cids[i]); /* in the middle, finished, never begun */
        CHECK_EQ(dyco_asymcpool_available(pool), i + 1);
        CHECK_FAILS(dyco_asymcoro_resume(cids[i]), -1, ESRCH);
        errno = 0;
        dyco_asymcpool_return(cids[i]);
        CHECK_EQ(errno, ESRCH);
        CHECK_EQ(dyco_asymcpool_available(pool), i + 1);
    }
    CHECK_TRACE("ab");
}

static void refusals(void) {
    CHECK_FAILS((intptr_t)dyco_asymcpool_create(0, 0), 0, EINVAL);
    CHECK_FAILS((intptr_t)dyco_asymcpool_resize(NULL, 1), 0, EINVAL);
    CHECK_FAILS(dyco_asymcpool_available(NULL), -1, EINVAL);
    CHECK_FAILS(dyco_asymcpool_obtain(NULL, ends, NULL, 0), -1, EINVAL);
    CHECK_FAILS(dyco_asymcpool_destroy(NULL), -1, EINVAL);
    int cid = dyco_asymcoro_create(ends, NULL);
    errno = 0;
    dyco_asymcpool_return(cid);
    CHECK_EQ(errno, EINVAL); /* of no pool */
    dyco_asymcoro_free(cid);
    cid = spawn(nothing, NULL);
    errno = 0;
    dyco_asymcpool_return(cid);
    CHECK_EQ(errno, EINVAL);
    run_all();
}

/* ---- Waiters ---- */

static void waits(void *argument) {
    int cid = dyco_asymcpool_obtain(pool, ends, argument, -1);
    CHECK(cid > 0);
    CHECK_EQ(dyco_asymcoro_resume(cid), 0);
    dyco_coroutine_sleep(1);
    dyco_asymcpool_return(cid);
}

static void gives_back(void *argument) {
    dyco_coroutine_sleep(10);
    dyco_asymcpool_return((int)(intptr_t)argument);
}

static void times_out(void *argument) {
    (void)argument;
    CHECK_TAKES(5, CHECK_FAILS(dyco_asymcpool_obtain(pool, ends, NULL, 5), 0, ETIMEDOUT));
}

static void waiters(void) {
    CHECK((pool = dyco_asymcpool_create(1, 0)) != NULL);
    int cid = dyco_asymcpool_obtain(pool, yields, NULL, -1); /* outside: one is free */
    CHECK(cid > 0);
    CHECK_FAILS(dyco_asymcpool_obtain(pool, ends, NULL, -1), -1, EPERM);
    CHECK_FAILS(dyco_asymcpool_obtain(pool, ends, NULL, 0), 0, ETIMEDOUT);
    spawn(times_out, NULL);
    for (char c = 'a'; c <= 'e'; c++) spawn(waits, (void *)(intptr_t)c);
    spawn(gives_back, (void *)(intptr_t)cid);
    run_all();
    CHECK_TRACE("abcde");

    /* Growing wakes who waits; shrinking takes effect when they come back. */
    cid = dyco_asymcpool_obtain(pool, yields, NULL, -1);
    for (char c = 'a'; c <= 'e'; c++) spawn(waits, (void *)(intptr_t)c);
    CHECK(dyco_asymcpool_resize(pool, 3) == pool);
    CHECK_EQ(dyco_schedule_run(), 0);
    CHECK_TRACE("abcde");
    CHECK_EQ(dyco_asymcpool_available(pool), 2);
    int more = dyco_asymcpool_obtain(pool, yields, NULL, 0);
    CHECK(dyco_asymcpool_resize(pool, 1) == pool);
    CHECK_EQ(dyco_asymcpool_available(pool), 0);
    dyco_asymcoro_free(more); /* the same as giving it back */
    CHECK_EQ(dyco_asymcpool_available(pool), 0);
    dyco_asymcpool_return(cid);
    CHECK_EQ(dyco_asymcpool_available(pool), 1);
    CHECK_EQ(dyco_asymcpool_destroy(&pool), 0);
    CHECK(pool == NULL);
}

/* ---- Fresh pools, and those that an abort emptied ---- */

static void aborts(void *argument) {
    (void)argument;
    dyco_schedcall_abort();
}

static void lifes(void) {
    for (int i = 0; i < 20; i++) {
        CHECK((pool = dyco_asymcpool_create(5, 16384)) != NULL);
        if (i % 4 >= 2) CHECK(dyco_asymcpool_resize(pool, 2) == pool);
        for (int k = 0; k < i % 3; k++) {
            int cid = dyco_asymcpool_obtain(pool, yields, (void *)(intptr_t)'x', 0);
            CHECK_EQ(dyco_asymcoro_resume(cid), cid);
        }
        if (i % 3) {
            if (i % 2) {
                spawn(aborts, NULL);
                CHECK_EQ(dyco_schedule_run(), -1);
            } else {
                dyco_schedule_free(NULL);
            }
        }
        CHECK(dyco_schedule_getCoroCount() <= 0);
        CHECK_EQ(dyco_asymcpool_available(pool), i % 4 >= 2 ? 2 : 5);
        CHECK_EQ(dyco_asymcpool_destroy(&pool), 0);
    }
    trace_length = 0;
}

int main(void) {
    int fds = count_fds();
    for (size_t stack = 0; stack <= 32768; stack += 16384) {
        CHECK((pool = dyco_asymcpool_create(3, stack)) != NULL);
        by_hand(NULL);
        in_coroutine(by_hand, NULL);
        CHECK_EQ(dyco_asymcpool_destroy(&pool), 0);
    }
    refusals();
    waiters();
    lifes();
    CHECK_EQ(count_fds(), fds);
    return test_done();
}
