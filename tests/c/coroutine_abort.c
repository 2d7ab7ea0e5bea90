/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * dyco_coroutine_abort ends its caller at once, wherever it is, and nobody else. Outside a coroutine it does nothing.
 */
#include "core.h"

static int reached, others_done;
static char memory[16384];

static void deep(int depth) {
    volatile char frame[100];
    frame[0] = (char)depth;
    if (depth > 0) deep(depth - 1);
    reached++;
    dyco_coroutine_abort();
    reached += 1000000 + frame[0];
}

static void quitter(void *argument) {
    if (argument) dyco_coroutine_sleep(1);
    deep(20);
}

static void other(void *argument) {
    (void)argument;
    for (int i = 0; i < 10; i++) dyco_coroutine_sleep(1);
    others_done++;
}

int main(void) {
    void *udata;
    dyco_coroutine_abort();
    for (int i = 0; i < 10; i++) spawn(other, NULL);
    int shared = spawn(quitter, NULL);
    int slept = spawn(quitter, memory);
    int own = spawn_own(quitter, memory, 16384);
    int lent = spawn(quitter, memory);
    CHECK_EQ(dyco_coroutine_setStack(lent, memory, sizeof memory), 1);
    for (int i = 0; i < 10; i++) spawn(other, NULL);
    CHECK_EQ(dyco_schedule_getCoroCount(), 24);
    dyco_coroutine_abort();
    CHECK_EQ(dyco_schedule_getCoroCount(), 24);
    run_all();
    CHECK_EQ(reached, 4);
    CHECK_EQ(others_done, 20);
    CHECK_ERRNO(dyco_coroutine_getUdata(shared, &udata), ESRCH);
    CHECK_ERRNO(dyco_coroutine_getUdata(slept, &udata), ESRCH);
    CHECK_ERRNO(dyco_coroutine_getUdata(own, &udata), ESRCH);
    CHECK_ERRNO(dyco_coroutine_getUdata(lent, &udata), ESRCH);

    reached = 0;
    for (int i = 0; i < 1000; i++) spawn(quitter, NULL);
    run_all();
    CHECK_EQ(reached, 1000);
    return test_done();
}
