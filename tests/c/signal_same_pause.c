/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * pause and sigsuspend return in a coroutine what they return in a plain thread: when a signal handler has run, and not
 * before; only the coroutine waits.
 */
#include "same.h"

static pthread_t waiting;
static volatile sig_atomic_t handled;

static void handler(int number) {
    handled += number;
}

static void sends(void *argument) {
    CHECK_EQ(pthread_kill(waiting, (int)(intptr_t)argument), 0);
}

static void pauses(void) {
    sigset_t none, one, other;
    waiting = pthread_self();
    handled = 0;
    sigemptyset(&none);
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    sigemptyset(&other);
    sigaddset(&other, SIGUSR2);
    after(100, sends, (void *)SIGUSR1);
    COMES(100, TRY(pause()));
    say("%d\n", (int)handled);
    /* One that is ignored is no end; one by default either. */
    after(50, sends, (void *)SIGURG);
    after(150, sends, (void *)SIGUSR2);
    COMES(150, TRY(pause()));
    say("%d\n", (int)handled);
    /* Blocked, and let through by the mask. */
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &one, NULL), 0);
    sends((void *)SIGUSR1);
    say("%d\n", (int)handled);
    TRY(sigsuspend(&none));
    say("%d\n", (int)handled);
    after(100, sends, (void *)SIGUSR1);
    COMES(100, TRY(sigsuspend(&other)));
    say("%d\n", (int)handled);
    after(100, sends, (void *)SIGUSR2);
    COMES(100, TRY(sigsuspend(&none)));
    say("%d\n", (int)handled);
    CHECK_EQ(pthread_sigmask(SIG_UNBLOCK, &one, NULL), 0);
}

/* Every one that waits comes back, whoever's time the handler has taken. */
static int back;

static void waits(void *argument) {
    (void)argument;
    CHECK_ERRNO(pause(), EINTR);
    back++;
}

static void works(void *argument) {
    (void)argument;
    for (int i = 1; i <= 3; i++) {
        dyco_coroutine_sleep(30);
        CHECK_EQ(back, 0);
    }
    CHECK_EQ(raise(SIGUSR1), 0);
    dyco_coroutine_sleep(30);
    CHECK_EQ(back, 10);
}

static void ends_them(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(50);
    dyco_schedcall_abort();
}

/* One that is ended while it waits leaves nothing that would disturb. */
static void is_ended(void) {
    spawn(waits, NULL);
    spawn(ends_them, NULL);
    CHECK_EQ(dyco_schedule_run(), -1);
}

static void many(void) {
    for (int i = 0; i < 10; i++) spawn(waits, NULL);
    spawn(works, NULL);
    run_with_ticker();
    dyco_schedule_free(NULL);
}

int main(void) {
    signal(SIGUSR1, handler);
    signal(SIGUSR2, handler);
    same_start();
    if (!PLAIN) is_ended();
    SAME(pauses);
    if (!PLAIN) many();
    return test_done();
}
