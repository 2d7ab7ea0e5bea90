// flags: -frounding-math
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A coroutine that has not run keeps what it is, whatever stacks it is given and however often: function, argument, the
 * program's pointer, the maker's rounding. Who gets a stack that another has left gets nothing else from that one.
 */
#include "core.h"

#include <fenv.h>

enum { SHARED, OWN, LARGE, CALLER, KINDS };

static char memory[32768];
static int things[2], ran;

static void *udata_of(int cid) {
    void *udata = memory;
    CHECK_EQ(dyco_coroutine_getUdata(cid, &udata), 0);
    return udata;
}

static void give(int cid, int kind) {
    static const size_t sizes[KINDS] = {0, 16384, 1 << 20, sizeof memory};
    void *base = NULL;
    size_t size = 0;
    CHECK_EQ(dyco_coroutine_setStack(cid, kind == CALLER ? memory : NULL, sizes[kind]), kind != SHARED);
    CHECK_EQ(dyco_coroutine_getStack(cid, &base, &size), kind != SHARED);
    CHECK(size >= sizes[kind]);
    CHECK(kind != CALLER || (base == memory && size == sizeof memory));
}

/* Fills its stack, whose memory the next one gets. */
static void body(void *argument) {
    volatile char used[2048];
    memset((void *)used, 0xa5, sizeof used);
    CHECK(argument == &things[0]);
    CHECK(udata_of(dyco_coroutine_coroID()) == &things[1]);
    CHECK_EQ(fegetround(), FE_UPWARD);
    dyco_coroutine_sleep(0);
    CHECK(udata_of(dyco_coroutine_coroID()) == &things[1]);
    CHECK_EQ(used[0], (char)0xa5);
    ran++;
}

static void without(void *argument) {
    CHECK(argument == NULL);
    CHECK(udata_of(dyco_coroutine_coroID()) == NULL);
    ran++;
}

static void changes(void *argument) {
    (void)argument;
    int expected = 0;
    for (int kinds = 0; kinds < KINDS * KINDS * KINDS; kinds++) {
        fesetround(FE_UPWARD);
        int cid = dyco_coroutine_create(body, &things[0]);
        fesetround(FE_TONEAREST);
        CHECK(cid > 0);
        CHECK(udata_of(cid) == NULL);
        give(cid, kinds % KINDS);
        if (kinds % 2) CHECK_EQ(dyco_coroutine_setUdata(cid, &things[1]), 0);
        give(cid, kinds / KINDS % KINDS);
        if (kinds % 2 == 0) CHECK_EQ(dyco_coroutine_setUdata(cid, &things[1]), 0);
        give(cid, kinds / KINDS / KINDS);
        CHECK(udata_of(cid) == &things[1]);
        if (kinds % 3 == 0) CHECK_EQ(dyco_coroutine_setUrgent(cid), 0);
        dyco_coroutine_sleep(1);
        CHECK_EQ(ran, ++expected);

        cid = dyco_coroutine_create(without, NULL);
        give(cid, kinds / KINDS / KINDS);
        dyco_coroutine_sleep(1);
        CHECK_EQ(ran, ++expected);
    }

    dyco_coropool *pool = dyco_coropool_create(1, 16384);
    CHECK(pool != NULL);
    for (int i = 0; i < 4; i++) {
        fesetround(FE_UPWARD);
        int cid = dyco_coropool_obtain(pool, i % 2 ? without : body, i % 2 ? NULL : &things[0], -1);
        fesetround(FE_TONEAREST);
        CHECK(cid > 0);
        CHECK(udata_of(cid) == NULL);
        if (i % 2 == 0) CHECK_EQ(dyco_coroutine_setUdata(cid, &things[1]), 0);
        dyco_coroutine_sleep(1);
        CHECK_EQ(ran, ++expected);
    }
    CHECK_EQ(dyco_coropool_destroy(&pool), 0);
}

int main(void) {
    /* Those that are ended without having run give back what they were given. */
    spawn_own(changes, NULL, 65536);
    run_all();
    for (int kind = 0; kind < KINDS; kind++) give(dyco_coroutine_create(without, NULL), kind);
    dyco_schedule_free(NULL);
    return test_done();
}
