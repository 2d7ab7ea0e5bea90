/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Signal handlers that stop or abort the loop while coroutines do nothing but end and make the next ones: whenever the
 * signal comes, between any two steps of one that ends, the loop ends soon.
 */
#include "core.h"

#include <sys/time.h>

enum { ROUNDS = 300, SOON = 5000 };

static dyco_coropool *pool;
static volatile long lives, told;
static volatile int aborts, is_late;

static void soon(int microseconds) {
    struct itimerval once = {{0, 0}, {0, microseconds}};
    CHECK_EQ(setitimer(ITIMER_REAL, &once, NULL), 0);
}

static void tells(int signal) {
    (void)signal;
    if (dyco_coroutine_coroID() <= 0) {
        soon(100); /* Where the loop does not run yet there is nothing to stop. */
    } else if (told < 0) {
        told = lives;
        if (aborts) dyco_schedcall_abort();
        else dyco_schedcall_stop();
    }
}

/* Coroutines that end go from one to the next: nobody parks. */
static void lives_shortly(void *argument) {
    lives++;
    if (told >= 0 && lives - told > SOON) is_late = 1;
    if (is_late) return;
    if (argument) CHECK(dyco_coropool_obtain(pool, lives_shortly, argument, 0) > 0);
    else spawn_own(lives_shortly, NULL, 16384);
}

static void populate(void) {
    for (int i = 0; i < 3; i++) {
        spawn_own(lives_shortly, NULL, 16384);
        CHECK(dyco_coropool_obtain(pool, lives_shortly, "pool", 0) > 0);
    }
}

static void interrupted(int by_abort) {
    aborts = by_abort;
    populate();
    for (int round = 0; round < ROUNDS; round++) {
        told = -1;
        soon(100 + round % 97);
        CHECK_EQ(dyco_schedule_run(), by_abort ? -1 : 1);
        CHECK(!is_late);
        CHECK_EQ(dyco_schedule_getCoroCount(), by_abort ? 0 : 6);
        if (by_abort) populate();
    }
    told = -1;
    dyco_schedcall_abort();
    CHECK_EQ(dyco_schedule_getCoroCount(), 0);
}

int main(void) {
    CHECK((pool = dyco_coropool_create(8, 16384)) != NULL);
    CHECK(signal(SIGALRM, tells) == SIG_DFL);
    interrupted(0);
    interrupted(1);
    CHECK_EQ(dyco_coropool_destroy(&pool), 0);
    return test_done();
}
