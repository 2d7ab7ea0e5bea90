/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Every call that takes a cid knows the thread's live coroutines only: a dead cid, another thread's and one that
 * never was are ESRCH; wrong pointers are EINVAL.
 */
#include "core.h"

static int foreign, foreign_up, foreign_done;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static char memory[8192];

static void refused(int cid) {
    void *pointer = memory;
    size_t size = 1;
    CHECK_ERRNO(dyco_coroutine_setStack(cid, NULL, 16384), ESRCH);
    CHECK_ERRNO(dyco_coroutine_setStack(cid, memory, sizeof memory), ESRCH);
    CHECK_ERRNO(dyco_coroutine_setStack(cid, NULL, 0), ESRCH);
    CHECK_ERRNO(dyco_coroutine_getStack(cid, &pointer, &size), ESRCH);
    CHECK_ERRNO(dyco_coroutine_getStack(cid, NULL, NULL), ESRCH);
    CHECK_ERRNO(dyco_coroutine_setUdata(cid, memory), ESRCH);
    CHECK_ERRNO(dyco_coroutine_getUdata(cid, &pointer), ESRCH);
    CHECK_ERRNO(dyco_coroutine_getSchedCount(cid), ESRCH);
    CHECK_ERRNO(dyco_coroutine_setUrgent(cid), ESRCH);
    CHECK_ERRNO(dyco_coroutine_unsetUrgent(cid), ESRCH);
    CHECK(pointer == memory);
    CHECK_EQ(size, 1);
}

static void all_refused(int dead) {
    const int never[] = {dead, 0, -1, -2, INT_MIN, INT_MAX};
    for (size_t i = 0; i < COUNT(never); i++) refused(never[i]);
    if (foreign) refused(foreign);
    CHECK_ERRNO(dyco_coroutine_create(NULL, memory), EINVAL);
    CHECK_ERRNO(dyco_coroutine_create_urgent(NULL, memory), EINVAL);
}

static void *other_thread(void *argument) {
    (void)argument;
    pthread_mutex_lock(&lock);
    foreign = spawn_shared(nothing, NULL);
    foreign_up = 1;
    pthread_cond_signal(&changed);
    while (!foreign_done) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    CHECK_EQ(dyco_coroutine_getSchedCount(foreign), 0);
    run_all();
    return NULL;
}

static int mine;

static void inside(void *argument) {
    (void)argument;
    CHECK_EQ(dyco_coroutine_coroID(), mine);
    CHECK_ERRNO(dyco_coroutine_getUdata(mine, NULL), EINVAL);
    CHECK_EQ(dyco_coroutine_getStack(mine, NULL, NULL), 0);
    int child = spawn_shared(nothing, NULL);
    CHECK(child != mine);
    all_refused(INT_MAX - 1);
    dyco_coroutine_sleep(0);
    refused(child); /* it has run and ended */
    CHECK_EQ(dyco_coroutine_coroID(), mine);
}

int main(void) {
    pthread_t thread;
    CHECK_EQ(dyco_coroutine_coroID(), -1);
    all_refused(1); /* before this thread has a scheduler */

    pthread_mutex_lock(&lock);
    CHECK_EQ(pthread_create(&thread, NULL, other_thread, NULL), 0);
    while (!foreign_up) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    refused(foreign); /* still without a scheduler here */

    int dead = spawn_shared(nothing, NULL);
    CHECK_EQ(dyco_coroutine_setUdata(dead, memory), 0);
    run_all();
    all_refused(dead);

    mine = spawn_shared(inside, NULL);
    CHECK(mine != dead);
    run_all();
    refused(mine);
    CHECK_EQ(dyco_coroutine_coroID(), -1);

    pthread_mutex_lock(&lock);
    foreign_done = 1;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    refused(foreign);
    return test_done();
}
