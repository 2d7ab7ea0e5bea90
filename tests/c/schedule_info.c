/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What a scheduler tells of itself: current, schedID, getCoroCount; and its thread's signal mask.
 */
#include "core.h"

static int id, turn;
static sigset_t usr1;

static int is_blocked(int number) {
    sigset_t now;
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
    return sigismember(&now, number);
}

static void creates(void *argument) {
    int before = dyco_schedule_getCoroCount();
    (void)argument;
    CHECK_EQ(dyco_schedule_schedID(), id);
    spawn(nothing, NULL);
    CHECK_EQ(dyco_schedule_getCoroCount(), before + 1);
    dyco_coroutine_sleep(0);
    CHECK(dyco_schedule_current() != NULL);
}

static void masks(void *argument) {
    sigset_t before;
    (void)argument;
    CHECK_EQ(dyco_schedcall_sigprocmask(SIG_BLOCK, &usr1, &before), 0);
    CHECK_EQ(sigismember(&before, SIGUSR1), 0);
    CHECK(is_blocked(SIGUSR1));
    turn = 1;
    while (turn == 1) dyco_coroutine_sleep(0);
    CHECK(!is_blocked(SIGUSR1));
    CHECK_ERRNO(dyco_schedcall_sigprocmask(12345, &usr1, NULL), EINVAL);
}

/* The mask is the thread's: a coroutine that ran before the call sees it, too. */
static void sees(void *argument) {
    sigset_t before;
    (void)argument;
    CHECK(!is_blocked(SIGUSR1));
    while (turn == 0) dyco_coroutine_sleep(0);
    CHECK(is_blocked(SIGUSR1));
    raise(SIGUSR1); /* would end the process */
    struct timespec zero = {0, 0};
    CHECK_EQ(sigtimedwait(&usr1, NULL, &zero), SIGUSR1);
    CHECK_EQ(dyco_schedcall_sigprocmask(SIG_UNBLOCK, &usr1, &before), 0);
    CHECK_EQ(sigismember(&before, SIGUSR1), 1);
    CHECK(!is_blocked(SIGUSR1));
    turn = 2;
}

static int ids[20];

static void *thread(void *argument) {
    int *mine = argument;
    CHECK_EQ(dyco_schedule_schedID(), -1);
    CHECK_EQ(dyco_schedule_getCoroCount(), -1);
    CHECK(dyco_schedule_current() == NULL);
    CHECK_EQ(dyco_schedule_create(0, 0), 0);
    *mine = dyco_schedule_schedID();
    CHECK(dyco_schedule_current() != NULL);
    CHECK_EQ(dyco_schedule_getCoroCount(), 0);
    usleep(50000); /* all at once */
    return NULL;
}

int main(void) {
    CHECK(dyco_schedule_current() == NULL);
    CHECK_EQ(dyco_schedule_schedID(), -1);
    CHECK_EQ(dyco_schedule_getCoroCount(), -1);

    spawn(nothing, NULL);
    dyco_schedule *scheduler = dyco_schedule_current();
    CHECK(scheduler != NULL);
    id = dyco_schedule_schedID();
    CHECK(id > 0);
    CHECK_EQ(dyco_schedule_getCoroCount(), 1);
    spawn(creates, NULL);
    CHECK_EQ(dyco_schedule_getCoroCount(), 2);
    run_all();
    CHECK(dyco_schedule_current() == scheduler);
    CHECK_EQ(dyco_schedule_schedID(), id);

    pthread_t threads[COUNT(ids)];
    for (size_t i = 0; i < COUNT(ids); i++) CHECK_EQ(pthread_create(&threads[i], NULL, thread, &ids[i]), 0);
    for (size_t i = 0; i < COUNT(ids); i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < COUNT(ids); i++) {
        CHECK(ids[i] > 0 && ids[i] != id);
        for (size_t j = 0; j < i; j++) CHECK(ids[i] != ids[j]);
    }

    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    spawn(sees, NULL);
    spawn(masks, NULL);
    run_all();
    CHECK_EQ(dyco_schedcall_sigprocmask(SIG_BLOCK, &usr1, NULL), 0); /* outside, too */
    CHECK(is_blocked(SIGUSR1));
    CHECK_EQ(dyco_schedcall_sigprocmask(SIG_SETMASK, NULL, &usr1), 0);
    CHECK_EQ(sigismember(&usr1, SIGUSR1), 1);
    return test_done();
}
