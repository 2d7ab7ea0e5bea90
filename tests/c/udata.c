/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * One pointer of the program's own per coroutine, and one per scheduler.
 */
#include "core.h"

static int things[100], cids[100];

static void check_own(void *argument) {
    intptr_t i = (intptr_t)argument;
    void *udata = NULL;
    CHECK_EQ(dyco_coroutine_getUdata(dyco_coroutine_coroID(), &udata), 0);
    CHECK(udata == &things[i]);
    for (int turn = 0; turn < 10; turn++) {
        dyco_coroutine_sleep(0);
        CHECK_EQ(dyco_coroutine_getUdata(cids[i], &udata), 0);
        CHECK(udata == &things[(i + turn) % 100]);
        CHECK_EQ(dyco_coroutine_setUdata(cids[i], &things[(i + turn + 1) % 100]), 0);
    }
    CHECK_EQ(dyco_schedule_getUdata(&udata), 0);
    CHECK(udata == things);
}

static void others(void *argument) {
    (void)argument;
    void *udata;
    CHECK_EQ(dyco_coroutine_getUdata(cids[3], &udata), 0);
    CHECK_EQ(dyco_coroutine_setUdata(cids[3], udata), 0);
    CHECK_EQ(dyco_schedule_setUdata(NULL), 0);
    CHECK_EQ(dyco_schedule_setUdata(things), 0);
}

static void *thread(void *argument) {
    void *udata = &udata;
    errno = 0;
    CHECK_EQ(dyco_schedule_getUdata(&udata), -1);
    CHECK(errno != 0);
    CHECK_EQ(dyco_schedule_create(0, 0), 0);
    CHECK_EQ(dyco_schedule_getUdata(&udata), 0);
    CHECK(udata == NULL);
    CHECK_EQ(dyco_schedule_setUdata(argument), 0);
    CHECK_EQ(dyco_schedule_getUdata(&udata), 0);
    CHECK(udata == argument);
    return NULL;
}

int main(void) {
    void *udata = things;
    errno = 0;
    CHECK_EQ(dyco_schedule_setUdata(things), -1); /* no scheduler yet */
    CHECK(errno != 0);
    errno = 0;
    CHECK_EQ(dyco_schedule_getUdata(&udata), -1);
    CHECK(errno != 0);
    CHECK(udata == things);

    for (intptr_t i = 0; i < 100; i++) {
        cids[i] = spawn(check_own, (void *)i);
        CHECK_EQ(dyco_coroutine_getUdata(cids[i], &udata), 0);
        CHECK(udata == NULL);
        CHECK_EQ(dyco_coroutine_setUdata(cids[i], &things[i]), 0);
    }
    CHECK_EQ(dyco_schedule_getUdata(&udata), 0);
    CHECK(udata == NULL);
    CHECK_EQ(dyco_schedule_setUdata(things), 0);
    CHECK_ERRNO(dyco_schedule_getUdata(NULL), EINVAL);
    spawn(others, NULL);

    pthread_t other;
    CHECK_EQ(pthread_create(&other, NULL, thread, cids), 0);
    CHECK_EQ(pthread_join(other, NULL), 0);
    run_all();
    CHECK_EQ(dyco_schedule_getUdata(&udata), 0);
    CHECK(udata == things);
    return test_done();
}
