/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Waitgroups: members once each, targets, timeouts, destroyed under its waiters, outside coroutines.
 */
#include "sync.h"

static dyco_waitgroup *group;

static int turn;

static void member(void *argument) {
    while (turn < (intptr_t)argument) dyco_coroutine_sleep(1);
    note('m');
    CHECK_EQ(dyco_waitgroup_done(group), 1);
    CHECK_EQ(dyco_waitgroup_done(group), 0); /* counts once */
    CHECK_EQ(dyco_waitgroup_done(group), 0);
    dyco_coroutine_sleep(1); /* who has been woken runs before the next one is done */
    turn++;
}

static void members(int count) {
    turn = 0;
    for (intptr_t i = 0; i < count; i++) {
        int cid = spawn(member, (void *)i);
        CHECK_EQ(dyco_waitgroup_add(group, cid), 1);
        CHECK_EQ(dyco_waitgroup_add(group, cid), 0);
    }
}

/* ---- Targets ---- */

static void waits(void *argument) {
    int target = (int)(intptr_t)argument;
    int done = dyco_waitgroup_wait(group, target, -1);
    CHECK_EQ(done, target > 0 ? target : 5);
    note(target > 0 ? (char)('0' + target) : 'a');
}

static void waits_late(void *argument) {
    (void)argument;
    CHECK_EQ(dyco_waitgroup_wait(group, 0, -1), 5);
    CHECK_EQ(dyco_waitgroup_wait(group, 2, -1), 5); /* true already: how many are done */
    CHECK_EQ(dyco_waitgroup_wait(group, 5, 0), 5);
}

static void targets(void) {
    group = dyco_waitgroup_create(2); /* only a hint */
    members(5);
    for (intptr_t target = 5; target >= -1; target--) spawn(waits, (void *)target);
    run_all();
    CHECK_TRACE("m1m2m3m4m5aa");
    in_coroutine(waits_late, NULL);
    dyco_waitgroup_destroy(&group);
    CHECK(group == NULL);
}

/* ---- Timeouts ---- */

static void timeouts(void *argument) {
    (void)argument;
    CHECK_EQ(dyco_waitgroup_wait(group, 0, 0), 0); /* how many are done now */
    CHECK_TAKES(30, CHECK_FAILS(dyco_waitgroup_wait(group, 3, 30), -1, ETIMEDOUT));
    CHECK_FAILS(dyco_waitgroup_wait(group, 4, 1), -1, ETIMEDOUT);
    CHECK_EQ(dyco_waitgroup_wait(group, 3, 5000), 3);
    CHECK_EQ(dyco_waitgroup_wait(group, 4, 0), 3);
    CHECK_FAILS(dyco_waitgroup_wait(group, 4, 20), -1, ETIMEDOUT); /* more than there are: not before they come */
}

static void slow_member(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(100);
    CHECK_EQ(dyco_waitgroup_done(group), 1);
}

/* ---- Who is a member ---- */

static void stranger(void *argument) {
    (void)argument;
    CHECK_EQ(dyco_waitgroup_done(group), 0);
    CHECK_EQ(dyco_waitgroup_wait(group, 0, 0), 0);
    CHECK_EQ(dyco_waitgroup_wait(group, 0, -1), 0); /* no members: all are done */
    CHECK_FAILS(dyco_waitgroup_wait(group, 1, 10), -1, ETIMEDOUT);
}

static void adds_itself(void *argument) {
    (void)argument;
    CHECK_EQ(dyco_waitgroup_add(group, dyco_coroutine_coroID()), 1);
    CHECK_EQ(dyco_waitgroup_wait(group, 1, 0), 0);
    CHECK_EQ(dyco_waitgroup_done(group), 1);
    CHECK_EQ(dyco_waitgroup_wait(group, 1, -1), 1);
}

static void *foreign_cid(void *argument) {
    CHECK_FAILS(dyco_waitgroup_add(group, (int)(intptr_t)argument), -1, ESRCH);
    return NULL;
}

static void membership(void) {
    group = dyco_waitgroup_create(0);
    int dead = spawn(nothing, NULL);
    run_all();
    CHECK_FAILS(dyco_waitgroup_add(group, dead), -1, ESRCH);
    CHECK_FAILS(dyco_waitgroup_add(group, 0), -1, ESRCH);
    CHECK_FAILS(dyco_waitgroup_add(group, -1), -1, ESRCH);
    CHECK_FAILS(dyco_waitgroup_add(group, INT_MIN), -1, ESRCH);
    in_coroutine(stranger, NULL);
    in_coroutine(adds_itself, NULL);
    int other = spawn(nothing, NULL);
    in_thread(foreign_cid, (void *)(intptr_t)other);
    run_all();
    dyco_waitgroup_destroy(&group);

    CHECK_FAILS(dyco_waitgroup_add(NULL, 1), -1, EINVAL);
    CHECK_FAILS(dyco_waitgroup_done(NULL), -1, EINVAL);
    CHECK_FAILS(dyco_waitgroup_wait(NULL, 0, 0), -1, EINVAL);
    dyco_waitgroup_destroy(NULL);
    dyco_waitgroup_destroy(&group);
}

/* The hint may be anything. */
static void hints(void) {
    const int hints[] = {INT_MIN, -1, 0, 1, 1000, INT_MAX};
    for (size_t i = 0; i < COUNT(hints); i++) {
        CHECK((group = dyco_waitgroup_create(hints[i])) != NULL);
        members(3);
        run_all();
        CHECK_EQ(dyco_waitgroup_wait(group, 0, -1), 3);
        dyco_waitgroup_destroy(&group);
        trace_length = 0;
    }
}

/* Ten thousand members, each with its own waiter. */
static int woken;

static void crowd_member(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(1);
    CHECK_EQ(dyco_waitgroup_done(group), 1);
}

static void crowd_waiter(void *argument) {
    int done = dyco_waitgroup_wait(group, (int)(intptr_t)argument, -1);
    CHECK(done >= (int)(intptr_t)argument);
    woken++;
}

static void crowd(void) {
    group = dyco_waitgroup_create(4);
    for (intptr_t i = 1; i <= 10000; i++) {
        CHECK_EQ(dyco_waitgroup_add(group, spawn(crowd_member, NULL)), 1);
        if (i % 10 == 0) spawn(crowd_waiter, (void *)i);
    }
    run_all();
    CHECK_EQ(woken, 1000);
    CHECK_EQ(dyco_waitgroup_wait(group, 0, 0), 10000);
    dyco_waitgroup_destroy(&group);
}

/* ---- Destroyed ---- */

static void waits_for_end(void *argument) {
    CHECK_FAILS(dyco_waitgroup_wait(group, 7, (int)(intptr_t)argument), -1, EIDRM);
    note('e');
}

static void destroy(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(1);
    dyco_waitgroup_destroy(&group);
    CHECK(group == NULL);
    note('d');
}

/* All of them wake at once, and the first one destroys the group. */
static void waits_and_destroys(void *argument) {
    (void)argument;
    CHECK_EQ(dyco_waitgroup_wait(group, 0, -1), 1);
    dyco_waitgroup_destroy(&group);
    note('w');
}

static void done_and_destroys(void *argument) {
    (void)argument;
    CHECK_EQ(dyco_waitgroup_done(group), 1);
    dyco_waitgroup_destroy(&group);
    note('d');
}

static void destroyed(void) {
    group = dyco_waitgroup_create(7);
    for (int i = 0; i < 3; i++) spawn(waits_for_end, (void *)(intptr_t)(i == 1 ? 1000 : -1));
    spawn(destroy, NULL);
    run_all();
    CHECK_TRACE("deee");

    group = dyco_waitgroup_create(7);
    for (int i = 0; i < 3; i++) spawn(waits_and_destroys, NULL);
    CHECK_EQ(dyco_waitgroup_add(group, spawn(slow_member, NULL)), 1);
    run_all();
    CHECK_TRACE("www");

    group = dyco_waitgroup_create(7);
    for (int i = 0; i < 2; i++) spawn(waits_and_destroys, NULL);
    CHECK_EQ(dyco_waitgroup_add(group, spawn(done_and_destroys, NULL)), 1);
    run_all();
    CHECK_TRACE("dww");
}

/* ---- Outside coroutines, and other threads ---- */

static void *other_thread(void *argument) {
    (void)argument;
    CHECK_FAILS(dyco_waitgroup_wait(group, 9, -1), -1, EPERM);
    CHECK_FAILS(dyco_waitgroup_done(group), -1, EPERM);
    dyco_waitgroup *copy = group;
    errno = 0;
    dyco_waitgroup_destroy(&copy);
    CHECK_EQ(errno, EPERM);
    CHECK(copy == group);
    return NULL;
}

static void meanwhile(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(1);
    in_thread(other_thread, NULL);
    CHECK_EQ(dyco_waitgroup_done(group), 1);
}

static void waits_for_one(void *argument) {
    (void)argument;
    CHECK_EQ(dyco_waitgroup_wait(group, 0, -1), 1);
}

static void outside(void) {
    group = dyco_waitgroup_create(1);
    CHECK_EQ(dyco_waitgroup_wait(group, 0, -1), 0);
    CHECK_FAILS(dyco_waitgroup_done(group), -1, EPERM);
    CHECK_EQ(dyco_waitgroup_add(group, spawn(meanwhile, NULL)), 1);
    CHECK_FAILS(dyco_waitgroup_wait(group, 0, -1), -1, EPERM);
    CHECK_FAILS(dyco_waitgroup_wait(group, 0, 10), -1, EPERM);
    CHECK_EQ(dyco_waitgroup_wait(group, 0, 0), 0);
    spawn(waits_for_one, NULL);
    run_all();
    CHECK_EQ(dyco_waitgroup_wait(group, 0, -1), 1);
    dyco_waitgroup_destroy(&group);
}

int main(void) {
    int fds = count_fds();
    targets();
    group = dyco_waitgroup_create(3);
    for (int i = 0; i < 3; i++) CHECK_EQ(dyco_waitgroup_add(group, spawn(slow_member, NULL)), 1);
    in_coroutine(timeouts, NULL);
    dyco_waitgroup_destroy(&group);
    membership();
    hints();
    crowd();
    destroyed();
    outside();
    CHECK_EQ(count_fds(), fds);
    return test_done();
}
