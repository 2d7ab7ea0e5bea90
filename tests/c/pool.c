/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Pools: arrival order, timeouts, resizing with active ones and waiters, and every way for a coroutine to come back.
 */
#include "sync.h"

static dyco_coropool *pool;

static void work(void *argument) {
    dyco_coroutine_sleep(1);
    note((char)(intptr_t)argument);
}

static void obtain(void *argument) {
    CHECK(dyco_coropool_obtain(pool, work, argument, -1) > 0);
}

/* ---- Order ---- */

static void order(size_t stack) {
    CHECK((pool = dyco_coropool_create(2, stack)) != NULL);
    CHECK_EQ(dyco_coropool_available(pool), 2);
    for (char c = 'a'; c <= 'h'; c++) spawn(obtain, (void *)(intptr_t)c);
    run_all();
    CHECK_TRACE("abcdefgh");
    CHECK_EQ(dyco_coropool_available(pool), 2);
    CHECK_EQ(dyco_coropool_destroy(&pool), 0);
    CHECK(pool == NULL);
}

static void obtain_late(void *argument) {
    (void)argument;
    CHECK_EQ(dyco_coropool_available(pool), 0);
    CHECK_FAILS(dyco_coropool_obtain(pool, work, NULL, 0), 0, ETIMEDOUT);
    dyco_coroutine_sleep(0);
}

/* A place that came free is of who waits, before it has run. */
static void ends_at_once(void *argument) {
    (void)argument;
    note('e');
}

static void no_overtaking_body(void *argument) {
    (void)argument;
    CHECK(dyco_coropool_obtain(pool, ends_at_once, NULL, 0) > 0);
    spawn(obtain, (void *)(intptr_t)'w');
    spawn(obtain_late, NULL); /* runs after the first has ended, and before the waiter */
    while (dyco_coropool_available(pool) < 1) dyco_coroutine_sleep(1);
}

/* ---- Stacks ---- */

static void shows_stack(void *argument) {
    void *memory;
    size_t size, wanted = (size_t)(intptr_t)argument;
    int own = dyco_coroutine_getStack(dyco_coroutine_coroID(), &memory, &size);
    if (wanted > 0) CHECK_EQ(own, 1); /* under a sanitizer the others have own ones, too */
    if (wanted > 0) {
        CHECK(size >= wanted);
        volatile char *local = alloca(wanted / 2);
        local[0] = 1;
        CHECK((char *)local >= (char *)memory);
    }
    dyco_coroutine_sleep(0);
}

static void stacks(void *argument) {
    const size_t sizes[] = {0, 4096, 16384, 200000, 1 << 20};
    (void)argument;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        CHECK((pool = dyco_coropool_create(3, sizes[i])) != NULL);
        for (int k = 0; k < 10; k++)
            CHECK(dyco_coropool_obtain(pool, shows_stack, (void *)(intptr_t)sizes[i], -1) > 0);
        while (dyco_coropool_available(pool) < 3) dyco_coroutine_sleep(0);
        CHECK_EQ(dyco_coropool_destroy(&pool), 0);
    }
}

/* ---- Timeouts and arguments ---- */

static void sleeps(void *argument) {
    dyco_coroutine_sleep((uint32_t)(intptr_t)argument);
}

static void timeouts(void *argument) {
    (void)argument;
    CHECK(dyco_coropool_obtain(pool, sleeps, (void *)100, -1) > 0);
    CHECK_EQ(dyco_coropool_available(pool), 0);
    CHECK_FAILS(dyco_coropool_obtain(pool, sleeps, NULL, 0), 0, ETIMEDOUT);
    CHECK_TAKES(30, CHECK_FAILS(dyco_coropool_obtain(pool, sleeps, NULL, 30), 0, ETIMEDOUT));
    CHECK(dyco_coropool_obtain(pool, sleeps, NULL, 5000) > 0); /* nobody before us: who timed out is gone */
    CHECK_EQ(dyco_coropool_available(pool), 0);
}

static void urgent_first(void *argument) {
    (void)argument;
    CHECK(dyco_coropool_obtain(pool, ends_at_once, NULL, 0) > 0);
    spawn(work, (void *)(intptr_t)'n');
    while (trace_length < 2) dyco_coroutine_sleep(1);
    CHECK_TRACE("en");
    spawn(ends_at_once, NULL);
    CHECK(dyco_coropool_obtain_urgent(pool, work, (void *)(intptr_t)'u', 0) > 0);
}

static void is_urgent(void *argument) {
    note((char)(intptr_t)argument);
}

static void urgent(void *argument) {
    (void)argument;
    spawn(is_urgent, (void *)(intptr_t)'1');
    spawn(is_urgent, (void *)(intptr_t)'2');
    CHECK(dyco_coropool_obtain_urgent(pool, is_urgent, (void *)(intptr_t)'u', -1) > 0);
}

static void arguments(void) {
    CHECK_FAILS((intptr_t)dyco_coropool_create(0, 0), 0, EINVAL);
    CHECK_FAILS((intptr_t)dyco_coropool_create(-1, 0), 0, EINVAL);
    CHECK(dyco_coropool_create(1, SIZE_MAX / 2) == NULL);
    CHECK_FAILS((intptr_t)dyco_coropool_resize(NULL, 1), 0, EINVAL);
    CHECK_FAILS(dyco_coropool_available(NULL), -1, EINVAL);
    CHECK_FAILS(dyco_coropool_obtain(NULL, work, NULL, 0), -1, EINVAL);
    CHECK_FAILS(dyco_coropool_obtain_urgent(NULL, work, NULL, 0), -1, EINVAL);
    CHECK_FAILS(dyco_coropool_destroy(NULL), -1, EINVAL);
    CHECK_FAILS(dyco_coropool_destroy(&pool), -1, EINVAL); /* NULL by now */
    CHECK((pool = dyco_coropool_create(1, 0)) != NULL);
    CHECK_FAILS(dyco_coropool_obtain(pool, NULL, NULL, 0), -1, EINVAL);
    CHECK_FAILS((intptr_t)dyco_coropool_resize(pool, 0), 0, EINVAL);
    CHECK_FAILS((intptr_t)dyco_coropool_resize(pool, -5), 0, EINVAL);
    CHECK_EQ(dyco_coropool_available(pool), 1);

    /* Outside coroutines it does what needs no waiting. */
    CHECK(dyco_coropool_obtain(pool, ends_at_once, NULL, -1) > 0);
    CHECK_FAILS(dyco_coropool_obtain(pool, ends_at_once, NULL, 0), 0, ETIMEDOUT);
    CHECK_FAILS(dyco_coropool_obtain(pool, ends_at_once, NULL, -1), -1, EPERM);
    CHECK_FAILS(dyco_coropool_obtain(pool, ends_at_once, NULL, 10), -1, EPERM);
    CHECK_FAILS(dyco_coropool_destroy(&pool), -1, EBUSY);
    CHECK(pool != NULL);
    run_all();
    CHECK_TRACE("e");
    in_coroutine(timeouts, NULL);
    in_coroutine(no_overtaking_body, NULL);
    CHECK_TRACE("ew");
    in_coroutine(urgent, NULL);
    CHECK_TRACE("u12");
    in_coroutine(urgent_first, NULL);
    trace_length = 0;
    CHECK_EQ(dyco_coropool_destroy(&pool), 0);
}

/* ---- Resizing ---- */

static void resizes(void *argument) {
    (void)argument;
    for (intptr_t c = 'a'; c <= 'f'; c++) spawn(obtain, (void *)c);
    dyco_coroutine_sleep(0);
    CHECK_EQ(dyco_coropool_available(pool), 0); /* two run, four wait */
    CHECK_EQ(dyco_schedule_getCoroCount(), 1 + 2 + 4);
    CHECK(dyco_coropool_resize(pool, 4) == pool);
    CHECK_EQ(dyco_coropool_available(pool), 0); /* the two new ones are of who waited */
    dyco_coroutine_sleep(0);
    dyco_coroutine_sleep(0);
    CHECK_EQ(dyco_schedule_getCoroCount(), 1 + 4 + 2);
    CHECK(dyco_coropool_resize(pool, 1) == pool);
    CHECK_EQ(dyco_coropool_available(pool), 0); /* never negative */
    CHECK_FAILS(dyco_coropool_obtain(pool, work, NULL, 0), 0, ETIMEDOUT);
    CHECK_FAILS(dyco_coropool_destroy(&pool), -1, EBUSY);
    while (dyco_coropool_available(pool) < 1) dyco_coroutine_sleep(1);
    CHECK_TRACE("abcdef");
    CHECK(dyco_coropool_resize(pool, 5) == pool);
    CHECK_EQ(dyco_coropool_available(pool), 5);
    for (int i = 0; i < 5; i++) CHECK(dyco_coropool_obtain(pool, sleeps, (void *)5, 0) > 0);
    CHECK_FAILS(dyco_coropool_obtain(pool, sleeps, NULL, 0), 0, ETIMEDOUT);
    CHECK(dyco_coropool_resize(pool, 2) == pool);
    CHECK(dyco_coropool_obtain(pool, sleeps, (void *)5, 5000) > 0); /* when three have come back */
    while (dyco_coropool_available(pool) < 2) dyco_coroutine_sleep(1);
}

/* ---- Ways to come back ---- */

static void aborts_itself(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(0);
    dyco_coroutine_abort();
}

static void aborts_all(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(1);
    dyco_schedcall_abort();
}

static void stops(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(1);
    dyco_schedcall_stop();
}

static void occupies(void *argument) {
    (void)argument;
    CHECK(dyco_coropool_obtain(pool, aborts_itself, NULL, -1) > 0);
    while (dyco_coropool_available(pool) < 2) dyco_coroutine_sleep(0);
}

static void waits_in_vain(void *argument) {
    (void)argument;
    dyco_coropool_obtain(pool, work, NULL, -1);
    TEST_FAIL("a coroutine that was ended went on");
}

/* `ends` is a coroutine of the pool and ends the scheduler in some way while others work and wait. */
static void ended(proc_coroutine ends, int result, size_t stack) {
    CHECK((pool = dyco_coropool_create(3, stack)) != NULL);
    for (int round = 0; round < 20; round++) {
        CHECK(dyco_coropool_obtain(pool, ends, NULL, 0) > 0);
        CHECK(dyco_coropool_obtain(pool, sleeps, (void *)100000, 0) > 0);
        CHECK(dyco_coropool_obtain(pool, sleeps, (void *)100000, 0) > 0);
        for (int i = 0; i < 3; i++) spawn(waits_in_vain, NULL);
        CHECK_EQ(dyco_schedule_run(), result);
        if (result == 1) {
            CHECK_FAILS(dyco_coropool_destroy(&pool), -1, EBUSY);
            dyco_schedule_free(NULL);
        }
        CHECK_EQ(dyco_coropool_available(pool), 3);
        in_coroutine(occupies, NULL);
        CHECK_EQ(dyco_coropool_available(pool), 3);
    }
    CHECK_EQ(dyco_coropool_destroy(&pool), 0);
}

/* Promised a place, and ended before it could take it. */
static void quits(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(2);
}

static void ends_all_behind(void *argument) {
    (void)argument;
    while (dyco_schedule_getCoroCount() > 2) dyco_coroutine_sleep(0);
    dyco_schedcall_abort();
}

static void broken_promise(void) {
    CHECK((pool = dyco_coropool_create(1, 0)) != NULL);
    CHECK(dyco_coropool_obtain(pool, quits, NULL, 0) > 0);
    spawn(waits_in_vain, NULL);
    spawn(ends_all_behind, NULL);
    CHECK_EQ(dyco_schedule_run(), -1);
    CHECK_EQ(dyco_coropool_available(pool), 1);
    CHECK_EQ(dyco_coropool_destroy(&pool), 0);
    trace_length = 0;
}

/* ---- Another thread ---- */

static void *other_thread(void *argument) {
    (void)argument;
    CHECK_FAILS(dyco_coropool_obtain(pool, work, NULL, 0), -1, EPERM);
    CHECK_FAILS((intptr_t)dyco_coropool_resize(pool, 5), 0, EPERM);
    CHECK_FAILS(dyco_coropool_destroy(&pool), -1, EBUSY);
    return NULL;
}

static void *uses_pool(void *argument) {
    (void)argument;
    for (int i = 0; i < 20; i++) in_coroutine(occupies, NULL);
    return NULL;
}

static void threads(void) {
    CHECK((pool = dyco_coropool_create(2, 16384)) != NULL);
    CHECK(dyco_coropool_obtain(pool, nothing, NULL, 0) > 0);
    in_thread(other_thread, NULL);
    run_all();
    /* With nobody active it may go from thread to thread. */
    in_thread(uses_pool, NULL);
    uses_pool(NULL);
    in_thread(uses_pool, NULL);
    CHECK_EQ(dyco_coropool_destroy(&pool), 0);
}

int main(void) {
    int fds = count_fds();
    order(0);
    order(16384);
    in_coroutine(stacks, NULL);
    arguments();
    CHECK((pool = dyco_coropool_create(2, 32768)) != NULL);
    in_coroutine(resizes, NULL);
    CHECK_EQ(dyco_coropool_destroy(&pool), 0);
    ended(aborts_all, -1, 0);
    ended(aborts_all, -1, 16384);
    ended(stops, 1, 0);
    ended(stops, 1, 16384);
    broken_promise();
    threads();
    CHECK_EQ(count_fds(), fds);
    return test_done();
}
