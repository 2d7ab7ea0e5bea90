// busy: much
// timeout: 60
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A million creations: every cid is positive and no two live coroutines share one; 200,000 at once can be aborted.
 */
#include "core.h"

#define WAVES 100
#define WAVE 10000
#define OLD 1000

static int ran, is_over;
static int old[OLD], wave[WAVE];

static void count(void *argument) {
    (void)argument;
    ran++;
}

static void stay(void *argument) {
    int cid = dyco_coroutine_coroID();
    CHECK_EQ(cid, old[(intptr_t)argument]);
    while (!is_over) dyco_coroutine_sleep(0);
    CHECK_EQ(dyco_coroutine_coroID(), cid);
}

static int ascending(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static void unique(void) {
    static int all[OLD + WAVE];
    memcpy(all, old, sizeof old);
    memcpy(all + OLD, wave, sizeof wave);
    qsort(all, OLD + WAVE, sizeof all[0], ascending);
    CHECK(all[0] > 0);
    for (int i = 1; i < OLD + WAVE; i++) CHECK(all[i] != all[i - 1]);
}

static void waves(void *argument) {
    (void)argument;
    for (int round = 0; round < WAVES; round++) {
        for (int i = 0; i < WAVE; i++) wave[i] = spawn(count, NULL);
        unique();
        CHECK_EQ(dyco_schedule_getCoroCount(), OLD + WAVE + 1);
        dyco_coroutine_sleep(0);
        CHECK_EQ(ran, (round + 1) * WAVE);
        CHECK_EQ(dyco_schedule_getCoroCount(), OLD + 1);
    }
    is_over = 1;
}

int main(void) {
    for (int i = 0; i < OLD; i++) old[i] = spawn(stay, (void *)(intptr_t)i);
    spawn(waves, NULL);
    run_all();
    CHECK_EQ(ran, WAVES * WAVE);

    ran = 0;
    for (int i = 0; i < 200000; i++) spawn(count, NULL);
    CHECK_EQ(dyco_schedule_getCoroCount(), 200000);
    CHECK(dyco_coroutine_create_urgent((proc_coroutine)(void (*)(void))dyco_schedcall_abort, NULL) > 0);
    CHECK_EQ(dyco_schedule_run(), -1);
    CHECK_EQ(ran, 0);
    CHECK_EQ(dyco_schedule_getCoroCount(), 0);
    spawn(count, NULL);
    run_all();
    CHECK_EQ(ran, 1);
    return test_done();
}
