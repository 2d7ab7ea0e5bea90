/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * sigwait, sigwaitinfo and sigtimedwait return in a coroutine what they return in a plain thread, and only the coroutine
 * waits.
 */
#include "same.h"

static sigset_t set, other;

static void kills(void *argument) {
    CHECK_EQ(kill(getpid(), (int)(intptr_t)argument), 0);
}

static void queues(void *argument) {
    union sigval value = {.sival_int = 42};
    CHECK_EQ(sigqueue(getpid(), (int)(intptr_t)argument, value), 0);
}

static void waits(void) {
    int number = 0;
    siginfo_t info;
    struct timespec limit;
    memset(&info, 0, sizeof info);
    /* One that is there already. */
    kills((void *)SIGUSR1);
    TRY(sigwait(&set, &number));
    say("%d\n", number);
    after(100, kills, (void *)SIGUSR2);
    COMES(100, TRY(sigwait(&set, &number)));
    say("%d\n", number);
    after(100, queues, (void *)(intptr_t)SIGRTMIN);
    COMES(100, TRY(sigwaitinfo(&set, &info)));
    say("%d %d %d\n", info.si_signo == SIGRTMIN, info.si_code, info.si_value.sival_int);
    after(100, kills, (void *)SIGUSR1);
    COMES(100, TRY(sigwaitinfo(&set, NULL)));
    CHECK_EQ(raise(SIGUSR2), 0);
    TRY(sigwaitinfo(&set, &info));
    say("%d %d\n", info.si_code, info.si_pid == getpid());
    limit = (struct timespec){0, 100000000};
    TAKES(100, TRY(sigtimedwait(&set, &info, &limit)));
    limit = (struct timespec){0, 0};
    TRY(sigtimedwait(&set, &info, &limit));
    kills((void *)SIGUSR1);
    TRY(sigtimedwait(&set, &info, &limit));
    limit = (struct timespec){10, 0};
    after(100, kills, (void *)SIGUSR2);
    COMES(100, TRY(sigtimedwait(&set, &info, &limit)));
    say("%d\n", info.si_signo);
    limit = (struct timespec){0, 1000000000};
    TRY(sigtimedwait(&set, &info, &limit));
    limit = (struct timespec){-1, 0};
    TRY(sigtimedwait(&set, NULL, &limit));
    /* One that nobody waits for stays. */
    CHECK_EQ(kill(getpid(), SIGHUP), 0);
    limit = (struct timespec){0, 50000000};
    TRY(sigtimedwait(&set, NULL, &limit));
    TRY(sigtimedwait(&other, NULL, &limit));
    /* Real-time signals queue up, lowest first. */
    queues((void *)(intptr_t)(SIGRTMIN + 1));
    queues((void *)(intptr_t)SIGRTMIN);
    queues((void *)(intptr_t)SIGRTMIN);
    for (int i = 0; i < 3; i++) say("%d ", sigwaitinfo(&set, NULL) - SIGRTMIN);
    TRY(sigtimedwait(&set, NULL, &limit));
}

/* Each signal goes to one of those who wait for it. */
static int woken;

static void waits_once(void *argument) {
    int number;
    (void)argument;
    CHECK_EQ(sigwait(&set, &number), 0);
    CHECK_EQ(number, SIGRTMIN);
    woken++;
}

static void sends(void *argument) {
    (void)argument;
    for (int i = 1; i <= 10; i++) {
        dyco_coroutine_sleep(5);
        queues((void *)(intptr_t)SIGRTMIN);
        dyco_coroutine_sleep(20);
        CHECK_EQ(woken, i);
    }
}

static void ends_them(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(50);
    dyco_schedcall_abort();
}

static void among_coroutines(void) {
    for (int i = 0; i < 10; i++) spawn(waits_once, NULL);
    spawn(sends, NULL);
    run_with_ticker();
    int fds = fds_left();
    spawn(waits_once, NULL);
    spawn(ends_them, NULL);
    CHECK_EQ(dyco_schedule_run(), -1);
    CHECK_EQ(fds_left(), fds);
}

int main(void) {
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGRTMIN + 1);
    sigemptyset(&other);
    sigaddset(&other, SIGHUP);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &other, NULL), 0);
    same_start();
    SAME(waits);
    if (!PLAIN) among_coroutines();
    return test_done();
}
