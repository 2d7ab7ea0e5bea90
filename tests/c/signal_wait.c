/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * dyco_signal_*: every holder gets every signal of its mask, masks are reference-counted, waits end in time, and nothing
 * stays behind.
 */
#include "core.h"

static sigset_t set_of(int first, int second) {
    sigset_t set;
    sigemptyset(&set);
    if (first) sigaddset(&set, first);
    if (second) sigaddset(&set, second);
    return set;
}

static int is_blocked(int signal) {
    sigset_t now;
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
    return sigismember(&now, signal);
}

static int next_signal(int timeout) {
    struct signalfd_siginfo info;
    memset(&info, 0xff, sizeof info);
    int size = dyco_signal_wait(&info, timeout);
    if (size < 0) return -1;
    CHECK_EQ(size, sizeof info);
    return (int)info.ssi_signo;
}

static void errors(void *argument) {
    sigset_t set = set_of(SIGUSR1, 0);
    struct signalfd_siginfo info;
    (void)argument;
    CHECK_ERRNO(dyco_signal_wait(&info, 0), EINVAL);
    CHECK_ERRNO(dyco_signal_init(NULL), EINVAL);
    dyco_signal_destroy();
    CHECK_EQ(is_blocked(SIGUSR1), 0);
    CHECK_EQ(dyco_signal_init(&set), 0);
    CHECK_EQ(is_blocked(SIGUSR1), 1);
    CHECK_ERRNO(dyco_signal_init(&set), EBUSY);
    CHECK_ERRNO(dyco_signal_wait(NULL, 0), EINVAL);
    CHECK_ERRNO(dyco_signal_wait(&info, 0), ETIMEDOUT);
    int64_t begin = now_ms();
    CHECK_ERRNO(dyco_signal_wait(&info, 40), ETIMEDOUT);
    CHECK_TOOK(now_ms() - begin, 40, 1000);
    union sigval value = {.sival_int = 4711};
    CHECK_EQ(sigqueue(getpid(), SIGUSR1, value), 0);
    CHECK_EQ(dyco_signal_wait(&info, 0), sizeof info);
    CHECK_EQ(info.ssi_signo, SIGUSR1);
    CHECK_EQ(info.ssi_pid, getpid());
    CHECK_EQ(info.ssi_int, 4711);
    CHECK_EQ(info.ssi_code, SI_QUEUE);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(next_signal(-1), SIGUSR1);
    CHECK_EQ(kill(getpid(), SIGUSR1), 0);
    dyco_signal_destroy(); /* that one was for this coroutine, and does not end the program now */
    CHECK_EQ(is_blocked(SIGUSR1), 0);
    CHECK_ERRNO(dyco_signal_wait(&info, 0), EINVAL);
    CHECK_EQ(dyco_signal_init(&set), 0);
    CHECK_ERRNO(dyco_signal_wait(&info, 0), ETIMEDOUT);
}

static int got[8][65], running;

/* argument: index, first signal, second signal, how many are expected */
static void holder(void *argument) {
    int *want = argument;
    sigset_t set = set_of(want[1], want[2]);
    CHECK_EQ(dyco_signal_init(&set), 0);
    running++;
    for (int i = 0; i < want[3]; i++) got[want[0]][next_signal(-1)]++;
    CHECK_EQ(next_signal(20), -1);
    CHECK_EQ(errno, ETIMEDOUT);
    running--;
}

static void sender(void *argument) {
    (void)argument;
    while (running < 3) dyco_coroutine_sleep(1);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(kill(getpid(), SIGUSR1), 0);
        CHECK_EQ(kill(getpid(), SIGUSR2), 0);
        dyco_coroutine_sleep(1);
    }
    CHECK_EQ(is_blocked(SIGUSR1), 1);
    while (running) dyco_coroutine_sleep(1);
}

/* What comes while a holder does something else is kept, real-time signals one by one. */
static void slow(void *argument) {
    sigset_t set = set_of(SIGRTMIN, SIGCHLD);
    (void)argument;
    CHECK_EQ(dyco_signal_init(&set), 0);
    for (int i = 0; i < 2000; i++) {
        union sigval value = {.sival_int = i};
        CHECK_EQ(sigqueue(getpid(), SIGRTMIN, value), 0);
        if (i % 100 == 99) dyco_coroutine_sleep(1);
    }
    CHECK_EQ(kill(getpid(), SIGCHLD), 0); /* ignored by default, but not when it is held */
    dyco_coroutine_sleep(1);
    int kept = 0, child = 0;
    struct signalfd_siginfo info;
    while (dyco_signal_wait(&info, 0) > 0) {
        if (info.ssi_signo == SIGCHLD) {
            child++;
        } else if (kept++ < 1024) {
            CHECK_EQ(info.ssi_signo, SIGRTMIN);
            CHECK_EQ(info.ssi_int, kept - 1);
        }
    }
    CHECK_EQ(child, 1);
    CHECK_BETWEEN(kept, 1024, 1025);
}

static int phase;

/* The last one lets go, whoever that is; what the program had blocked stays. argument: when, and how */
static void counted(void *argument) {
    int *end = argument;
    sigset_t set = set_of(SIGUSR1, SIGTERM);
    CHECK_EQ(dyco_signal_init(&set), 0);
    while (phase < end[0]) dyco_coroutine_sleep(0);
    CHECK_EQ(is_blocked(SIGUSR1), 1);
    if (end[1] == 1) dyco_signal_destroy();
    if (end[1] == 2) dyco_coroutine_abort();
}

static void watches(void *argument) {
    (void)argument;
    for (phase = 0; phase < 4; phase++) {
        for (int i = 0; i < 10; i++) dyco_coroutine_sleep(0);
        CHECK_EQ(is_blocked(SIGUSR1), phase < 3);
        CHECK_EQ(is_blocked(SIGTERM), 1);
    }
}

static void for_ever(void *argument) {
    sigset_t set = set_of(SIGUSR1, 0);
    CHECK_EQ(dyco_signal_init(&set), 0);
    next_signal(-1);
    CHECK(argument == NULL);
}

static void aborts(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(2);
    CHECK_EQ(is_blocked(SIGUSR1), 1);
    dyco_schedcall_abort();
}

static void stops(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(2);
    dyco_schedcall_stop();
}

static void wakes_alone(void *argument) {
    (void)argument;
    CHECK_EQ(next_signal(-1), -1);
    sigset_t set = set_of(SIGALRM, 0);
    CHECK_EQ(dyco_signal_init(&set), 0);
    alarm(1); /* nothing else will wake it: no deadlock */
    CHECK_EQ(next_signal(-1), SIGALRM);
}

static void masks(void *argument) {
    sigset_t set = set_of(SIGUSR1, 0), other = set_of(SIGUSR1, SIGUSR2), before;
    (void)argument;
    CHECK_ERRNO(dyco_schedcall_sigprocmask(77, &set, NULL), EINVAL);
    CHECK_EQ(dyco_schedcall_sigprocmask(77, NULL, &before), 0);
    CHECK_EQ(sigismember(&before, SIGUSR1), 0);
    CHECK_EQ(dyco_schedcall_sigprocmask(SIG_BLOCK, &other, &before), 0);
    CHECK_EQ(sigismember(&before, SIGUSR1), 0);
    CHECK_EQ(is_blocked(SIGUSR2), 1);
    CHECK_EQ(dyco_schedcall_sigprocmask(SIG_UNBLOCK, &other, &before), 0);
    CHECK_EQ(sigismember(&before, SIGUSR2), 1);
    CHECK_EQ(is_blocked(SIGUSR1), 0);
    CHECK_EQ(is_blocked(SIGUSR2), 0);
    /* What is held stays blocked, and is afterwards as the program wants it. */
    CHECK_EQ(dyco_signal_init(&set), 0);
    CHECK_EQ(dyco_schedcall_sigprocmask(SIG_UNBLOCK, &other, &before), 0);
    CHECK_EQ(sigismember(&before, SIGUSR1), 1);
    CHECK_EQ(is_blocked(SIGUSR1), 1);
    CHECK_EQ(dyco_schedcall_sigprocmask(SIG_SETMASK, &before, NULL), 0);
    dyco_signal_destroy();
    CHECK_EQ(is_blocked(SIGUSR1), 0);
    CHECK_EQ(dyco_signal_init(&set), 0);
    CHECK_EQ(dyco_schedcall_sigprocmask(SIG_BLOCK, &set, NULL), 0);
    dyco_signal_destroy();
    CHECK_EQ(is_blocked(SIGUSR1), 1);
    CHECK_EQ(dyco_schedcall_sigprocmask(SIG_UNBLOCK, &set, NULL), 0);
}

int main(void) {
    sigset_t set = set_of(SIGUSR1, 0);
    struct signalfd_siginfo info;
    CHECK_ERRNO(dyco_signal_init(&set), EPERM);
    CHECK_ERRNO(dyco_signal_wait(&info, 0), EPERM);
    dyco_signal_destroy();

    spawn(errors, NULL);
    run_all();
    int fds = count_fds();
    CHECK_EQ(is_blocked(SIGUSR1), 0);

    static int a[] = {0, SIGUSR1, SIGUSR2, 20}, b[] = {1, SIGUSR1, 0, 10}, c[] = {2, SIGUSR2, SIGTERM, 10};
    spawn(holder, a);
    spawn(holder, b);
    spawn(holder, c);
    spawn(sender, NULL);
    run_all();
    CHECK_EQ(got[0][SIGUSR1], 10);
    CHECK_EQ(got[0][SIGUSR2], 10);
    CHECK_EQ(got[1][SIGUSR1], 10);
    CHECK_EQ(got[2][SIGUSR2], 10);

    spawn(slow, NULL);
    run_all();

    set = set_of(SIGTERM, 0);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    static int d[] = {1, 0}, e[] = {2, 1}, f[] = {3, 2};
    spawn(counted, d);
    spawn(counted, e);
    spawn(counted, f);
    spawn(watches, NULL);
    run_all();
    CHECK_EQ(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
    CHECK_EQ(count_fds(), fds);

    spawn(wakes_alone, NULL);
    run_all();
    spawn(masks, NULL);
    run_all();

    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 5; i++) spawn(for_ever, (void *)1);
        spawn(aborts, NULL);
        CHECK_EQ(dyco_schedule_run(), -1);
        CHECK_EQ(is_blocked(SIGUSR1), 0);
        CHECK_EQ(count_fds(), fds);
    }
    for (int i = 0; i < 5; i++) spawn(for_ever, (void *)1);
    spawn(stops, NULL);
    CHECK_EQ(dyco_schedule_run(), 1);
    CHECK_EQ(kill(getpid(), SIGUSR1), 0);
    dyco_schedule_free(NULL);
    CHECK_EQ(is_blocked(SIGUSR1), 0);
    CHECK_EQ(count_fds(), fds - 3); /* the scheduler's own: a set, an eventfd, a timerfd */
    return test_done();
}
