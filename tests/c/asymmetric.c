/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Asymmetric coroutines: resumed by the main program, by coroutines and by each other; what may not be resumed or freed.
 */
#include "sync.h"

/* ---- Values one at a time ---- */

static int value;

static void counts(void *argument) {
    int top = (int)(intptr_t)argument;
    for (value = 1; value <= top; value++) dyco_asymcoro_yield();
}

static void resumes_counter(void *argument) {
    (void)argument;
    int cid = dyco_asymcoro_create(counts, (void *)5);
    CHECK(cid > 0);
    for (int i = 1; i <= 5; i++) {
        CHECK_EQ(dyco_asymcoro_resume(cid), cid);
        CHECK_EQ(value, i);
        if (i == 3) dyco_coroutine_sleep(1); /* its state outlives switches of the scheduler */
    }
    CHECK_EQ(dyco_asymcoro_resume(cid), 0);
    CHECK_EQ(dyco_asymcoro_resume(cid), 0);
    CHECK_EQ(dyco_asymcororesume(cid), 0);
    dyco_asymcoro_free(cid);
    CHECK_FAILS(dyco_asymcoro_resume(cid), -1, ESRCH);
}

static void yields_old_name(void *argument) {
    (void)argument;
    dyco_asymcoroyield();
}

static void values(void) {
    resumes_counter(NULL);
    CHECK_EQ(dyco_schedule_getCoroCount(), 0);
    in_coroutine(resumes_counter, NULL);

    int cid = dyco_asymcoro_create(yields_old_name, NULL);
    CHECK_EQ(dyco_asymcororesume(cid), cid);
    CHECK_EQ(dyco_asymcororesume(cid), 0);
    dyco_asymcoro_free(cid);
}

/* Begun by the main program, continued by a coroutine, ended by the main program. */
static int travelling;

static void resumes_traveller(void *argument) {
    (void)argument;
    CHECK_EQ(dyco_asymcoro_resume(travelling), travelling);
    CHECK_EQ(value, 2);
}

static void travels(void) {
    travelling = dyco_asymcoro_create(counts, (void *)3);
    CHECK_EQ(dyco_asymcoro_resume(travelling), travelling);
    CHECK_EQ(value, 1);
    spawn(resumes_traveller, NULL);
    CHECK_EQ(dyco_schedule_run(), 0);
    CHECK_EQ(dyco_schedule_getCoroCount(), 1);
    CHECK_EQ(dyco_asymcoro_resume(travelling), travelling);
    CHECK_EQ(value, 3);
    CHECK_EQ(dyco_asymcoro_resume(travelling), 0);
    dyco_asymcoro_free(travelling);
}

/* ---- Chains ---- */

enum { DEPTH = 100 };
static int chain[DEPTH];

static void link_of_chain(void *argument) {
    intptr_t depth = (intptr_t)argument;
    CHECK_EQ(dyco_asymcoro_coroID(), chain[depth]);
    CHECK_EQ(dyco_coroutine_coroID(), chain[depth]);
    if (depth + 1 < DEPTH) {
        chain[depth + 1] = dyco_asymcoro_create(link_of_chain, (void *)(depth + 1));
        CHECK_EQ(dyco_asymcoro_resume(chain[depth + 1]), chain[depth + 1]);
    } else {
        for (int i = 0; i < DEPTH; i++) {
            CHECK_FAILS(dyco_asymcoro_resume(chain[i]), -1, EBUSY); /* itself, and all who resumed it */
            errno = 0;
            dyco_asymcoro_free(chain[i]);
            CHECK_EQ(errno, EBUSY);
        }
        CHECK_FAILS(dyco_schedule_run(), -1, EBUSY);
    }
    dyco_asymcoro_yield();
    if (depth + 1 < DEPTH) {
        CHECK_EQ(dyco_asymcoro_resume(chain[depth + 1]), 0);
        dyco_asymcoro_free(chain[depth + 1]);
    }
    note('e');
}

static void chains(void *argument) {
    (void)argument;
    chain[0] = dyco_asymcoro_create(link_of_chain, (void *)0);
    CHECK_EQ(dyco_asymcoro_resume(chain[0]), chain[0]);
    CHECK_EQ(dyco_asymcoro_resume(chain[0]), 0);
    dyco_asymcoro_free(chain[0]);
    CHECK_EQ(trace_length, DEPTH);
    trace_length = 0;
}

/* ---- What may not be done ---- */

static int waits_inside;

static void sleeps(void *argument) {
    dyco_coroutine_sleep((uint32_t)(intptr_t)argument);
}

static void resumes_sleeper(void *argument) {
    (void)argument;
    CHECK_EQ(dyco_asymcoro_resume(waits_inside), 0);
    note('r');
}

static void looks_at_sleeper(void *argument) {
    (void)argument;
    CHECK_FAILS(dyco_asymcoro_resume(waits_inside), -1, EBUSY);
    errno = 0;
    dyco_asymcoro_free(waits_inside);
    CHECK_EQ(errno, EBUSY);
    note('l');
}

static void *other_thread(void *argument) {
    int cid = (int)(intptr_t)argument;
    CHECK_FAILS(dyco_asymcoro_resume(cid), -1, ESRCH);
    errno = 0;
    dyco_asymcoro_free(cid);
    CHECK_EQ(errno, ESRCH);
    return NULL;
}

static void yields_in_vain(void *argument) {
    (void)argument;
    errno = 0;
    dyco_asymcoro_yield();
    CHECK_EQ(errno, EPERM);
}

static void refusals(void) {
    CHECK_FAILS(dyco_asymcoro_create(NULL, NULL), -1, EINVAL);
    CHECK_FAILS(dyco_asymcoro_resume(0), -1, ESRCH);
    CHECK_FAILS(dyco_asymcoro_resume(-7), -1, ESRCH);
    yields_in_vain(NULL);
    in_coroutine(yields_in_vain, NULL);
    int symmetric = spawn(nothing, NULL);
    CHECK_FAILS(dyco_asymcoro_resume(symmetric), -1, EINVAL);
    errno = 0;
    dyco_asymcoro_free(symmetric);
    CHECK_EQ(errno, EINVAL);
    CHECK_EQ(dyco_coroutine_isasymmetric(symmetric), 0);
    run_all();
    CHECK_FAILS(dyco_coroutine_isasymmetric(symmetric), -1, ESRCH);

    waits_inside = dyco_asymcoro_create(sleeps, (void *)20);
    CHECK_EQ(dyco_coroutine_isasymmetric(waits_inside), 1);
    in_thread(other_thread, (void *)(intptr_t)waits_inside);
    spawn(resumes_sleeper, NULL);
    spawn(looks_at_sleeper, NULL);
    CHECK_EQ(dyco_schedule_run(), 0);
    CHECK_TRACE("lr");
    dyco_asymcoro_free(waits_inside);
    errno = 0;
    dyco_asymcoro_free(waits_inside);
    CHECK_EQ(errno, ESRCH);
}

/* ---- Freed unfinished, ended by themselves ---- */

static void ends_early(void *argument) {
    (void)argument;
    dyco_asymcoro_yield();
    dyco_coroutine_abort();
    TEST_FAIL("abort returned");
}

static void resumes_ender(void *argument) {
    (void)argument;
    int cid = dyco_asymcoro_create(ends_early, NULL);
    CHECK_EQ(dyco_asymcoro_resume(cid), cid);
    CHECK_EQ(dyco_asymcoro_resume(cid), 0); /* only the asymmetric one has ended */
    CHECK_EQ(dyco_asymcoro_resume(cid), 0);
    note('a');
    dyco_asymcoro_free(cid);
    for (int i = 0; i < 100; i++) {
        dyco_asymcoro_free(dyco_asymcoro_create(counts, (void *)5)); /* never begun */
        cid = dyco_asymcoro_create(counts, (void *)5);
        CHECK_EQ(dyco_asymcoro_resume(cid), cid);
        dyco_asymcoro_free(cid); /* in the middle */
    }
}

/* Never scheduled: run() neither runs them nor waits for them, and free frees them. */
static void never_scheduled(void) {
    int cid = dyco_asymcoro_create(ends_early, NULL);
    CHECK_EQ(dyco_schedule_run(), 0);
    CHECK_EQ(dyco_schedule_getCoroCount(), 1);
    CHECK_EQ(dyco_asymcoro_resume(cid), cid);
    CHECK_EQ(dyco_schedule_run(), 0);
    dyco_schedule_free(NULL);
    CHECK_FAILS(dyco_asymcoro_resume(cid), -1, ESRCH);
}

static void aborts_all(void *argument) {
    (void)argument;
    dyco_schedcall_abort();
    TEST_FAIL("abort returned");
}

static void resumes_aborter(void *argument) {
    (void)argument;
    dyco_asymcoro_resume(dyco_asymcoro_create(aborts_all, NULL));
    TEST_FAIL("an aborted coroutine went on");
}

static void aborts(void) {
    spawn(resumes_aborter, NULL);
    CHECK_EQ(dyco_schedule_run(), -1);
    CHECK_EQ(dyco_schedule_getCoroCount(), 0);
    CHECK_FAILS(dyco_asymcoro_resume(dyco_asymcoro_create(aborts_all, NULL)), -1, ECANCELED);
    CHECK_EQ(dyco_schedule_getCoroCount(), 0);
    in_coroutine(resumes_counter, NULL);
}

static void stops(void *argument) {
    (void)argument;
    note('1');
    dyco_schedcall_stop();
    note('3');
}

static void resumes_stopper(void *argument) {
    (void)argument;
    int cid = dyco_asymcoro_create(stops, NULL);
    CHECK_EQ(dyco_asymcoro_resume(cid), 0);
    dyco_asymcoro_free(cid);
    note('4');
}

static void stopped(void) {
    spawn(resumes_stopper, NULL);
    CHECK_EQ(dyco_schedule_run(), 1);
    note('2');
    run_all();
    CHECK_TRACE("1234");
}

/* ---- Stacks and user data: the twins ---- */

static char memory[32768];

static void where(void *argument) {
    char *local = __builtin_frame_address(0);
    CHECK((local >= memory && local < memory + sizeof memory) == (argument != NULL));
    dyco_asymcoro_yield();
}

static void twins(void *argument) {
    void *stack, *data;
    size_t size;
    (void)argument;
    int cid = dyco_asymcoro_create(where, memory);
    CHECK_EQ(dyco_asymcoro_setStack(cid, memory, sizeof memory), 1);
    CHECK_EQ(dyco_asymcoro_getStack(cid, &stack, &size), 1);
    CHECK(stack == memory && size == sizeof memory);
    CHECK_EQ(dyco_asymcoro_getUdata(cid, &data), 0);
    CHECK(data == NULL);
    CHECK_EQ(dyco_asymcoro_setUdata(cid, memory), 0);
    CHECK_EQ(dyco_coroutine_getUdata(cid, &data), 0);
    CHECK(data == memory);
    CHECK_FAILS(dyco_asymcoro_getUdata(cid, NULL), -1, EINVAL);
    CHECK_FAILS(dyco_asymcoro_getUdata(-1, &data), -1, ESRCH);
    CHECK_FAILS(dyco_asymcoro_setUdata(-1, data), -1, ESRCH);
    CHECK_FAILS(dyco_asymcoro_getStack(-1, NULL, NULL), -1, ESRCH);
    CHECK_FAILS(dyco_asymcoro_setStack(-1, NULL, 8192), -1, ESRCH);
    CHECK_EQ(dyco_asymcoro_resume(cid), cid);
    CHECK_FAILS(dyco_asymcoro_setStack(cid, NULL, 8192), -1, EBUSY);
    dyco_asymcoro_free(cid);

    cid = dyco_asymcoro_create(where, NULL);
    CHECK_EQ(dyco_asymcoro_getStack(cid, NULL, NULL), 0);
    CHECK_EQ(dyco_asymcoro_setStack(cid, NULL, 20000), 1);
    CHECK_EQ(dyco_asymcoro_setStack(cid, NULL, 0), 0);
    CHECK_EQ(dyco_asymcoro_resume(cid), cid);
    CHECK_EQ(dyco_asymcoro_getStack(cid, &stack, &size), 1); /* one of its own by now */
    CHECK(size >= DYCO_MAX_STACKSIZE);
    dyco_asymcoro_free(cid);
}

int main(void) {
    int fds = count_fds();
    CHECK_FAILS(dyco_asymcoro_coroID(), -1, EPERM);
    values();
    travels();
    chains(NULL);
    in_coroutine(chains, NULL);
    refusals();
    resumes_ender(NULL);
    in_coroutine(resumes_ender, NULL);
    CHECK_TRACE("aa");
    never_scheduled();
    aborts();
    stopped();
    twins(NULL);
    in_coroutine(twins, NULL);
    CHECK_EQ(count_fds(), fds);
    return test_done();
}
