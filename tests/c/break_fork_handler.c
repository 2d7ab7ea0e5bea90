// timeout: 60
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Signal handlers that fork wherever a coroutine or the loop is interrupted, while coroutines are made, end, take turns and
 * wait. A child may end in the handler, or go on: then it is the interrupted coroutine alone that does, and it can wait.
 */
#include "core.h"

#include <sys/time.h>

enum { FORKS = 250, CROWD = 8 };

static dyco_coropool *pool;
static volatile int forks, quit, goes_on, is_child;
static int silent[2];

static void soon(void) {
    struct itimerval once = {{0, 0}, {0, 200 + forks % 97}};
    CHECK_EQ(setitimer(ITIMER_REAL, &once, NULL), 0);
}

static void forks_here(int signal) {
    (void)signal;
    int status, saved = errno;
    pid_t child = fork();
    if (child == 0) {
        if (!goes_on) _exit(0);
        is_child = quit = 1;
    } else {
        CHECK(child > 0);
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK_EQ(status, 0);
        if (++forks == FORKS) quit = 1;
        else soon();
    }
    errno = saved;
}

static void lives_shortly(void *argument) {
    volatile char frame[500];
    memset((void *)frame, 1, sizeof frame);
    if (quit) return;
    if (!argument || dyco_coropool_obtain(pool, lives_shortly, argument, 0) <= 0) {
        int cid = dyco_coroutine_create(lives_shortly, argument);
        /* Not in a child in which only this one goes on. */
        if (dyco_coroutine_setStack(cid, NULL, 16384) != 1) CHECK(is_child);
    }
}

static void takes_turns(void *argument) {
    (void)argument;
    while (!quit) dyco_coroutine_sleep(0);
    if (is_child) dyco_coroutine_sleep(1);
}

static void waits(void *argument) {
    struct pollfd item = {silent[0], POLLIN, 0};
    (void)argument;
    while (!quit) CHECK_EQ(poll(&item, 1, 1), 0);
    if (is_child) CHECK_EQ(poll(&item, 1, 1), 0);
}

static void play(int children_go_on) {
    goes_on = children_go_on;
    forks = quit = 0;
    for (int i = 0; i < CROWD; i++) {
        spawn_own(lives_shortly, i % 2 ? "pool" : NULL, 16384);
        spawn(i % 2 ? takes_turns : waits, NULL);
    }
    soon();
    CHECK_EQ(dyco_schedule_run(), 0);
    if (is_child) _exit(dyco_schedule_getCoroCount());
    CHECK_EQ(forks, FORKS);
}

int main(void) {
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, silent), 0);
    CHECK((pool = dyco_coropool_create(4, 16384)) != NULL);
    CHECK(signal(SIGALRM, forks_here) == SIG_DFL);
    play(0);
    play(1);
    CHECK_EQ(dyco_coropool_destroy(&pool), 0);
    return test_done();
}
