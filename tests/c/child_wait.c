// busy: much
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * dyco_signal_waitchild: results, statuses and timeouts; hundreds at once; any child; what ends a wait early.
 */
#include "net.h"

/* The argument, if there is one: valgrind knows no pidfds, so that each wait asks again and again. */
static int children = 200;

static int ticks, finished, done;

/* Exits with `code`, or ends by signal -code, after a while. */
static pid_t child_that(int code, int after_ms) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct timespec time = {after_ms / 1000, after_ms % 1000 * 1000000L};
        syscall(SYS_nanosleep, &time, NULL);
        if (code < 0) {
            struct rlimit none = {0, 0};
            setrlimit(RLIMIT_CORE, &none);
            signal(-code, SIG_DFL);
            kill(getpid(), -code);
        }
        _exit(code);
    }
    return child;
}

static void counts_ticks(void *argument) {
    (void)argument;
    while (!done) {
        ticks++;
        dyco_coroutine_sleep(1);
    }
}

static void results(void *argument) {
    int status = 12345;
    (void)argument;
    CHECK_ERRNO(dyco_signal_waitchild(getpid(), &status, -1), ECHILD);
    CHECK_ERRNO(dyco_signal_waitchild(1, &status, -1), ECHILD);
    CHECK_ERRNO(dyco_signal_waitchild(0x3ffffff, &status, 0), ECHILD);
    CHECK_ERRNO(dyco_signal_waitchild(-1, &status, -1), ECHILD);
    CHECK_ERRNO(dyco_signal_waitchild(-1, &status, 0), ECHILD);
    CHECK_ERRNO(dyco_signal_waitchild(0, &status, 10), ECHILD);
    CHECK_ERRNO(dyco_signal_waitchild(-77777, &status, 10), ECHILD);

    pid_t child = child_that(7, 500 * patience());
    int before = ticks;
    CHECK_EQ(dyco_signal_waitchild(child, &status, 0), 0);
    int64_t begin = now_ms();
    CHECK_EQ(dyco_signal_waitchild(child, &status, 20), 0);
    CHECK_TOOK(now_ms() - begin, 20, 499);
    CHECK_EQ(status, 12345);
    CHECK_EQ(dyco_signal_waitchild(child, &status, -1), child);
    CHECK_EQ(status, 7 << 8);
    CHECK(ticks > before + 10);
    CHECK_ERRNO(dyco_signal_waitchild(child, &status, -1), ECHILD);

    child = child_that(-SIGKILL, 0);
    CHECK_EQ(dyco_signal_waitchild(child, &status, -1), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    child = child_that(-SIGSEGV, 5);
    CHECK_EQ(dyco_signal_waitchild(child, &status, -1), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    child = child_that(3, 0);
    dyco_coroutine_sleep(20);
    CHECK_EQ(dyco_signal_waitchild(child, NULL, 5000 * patience()), child);

    /* Stopped is not ended. */
    child = child_that(0, 10000);
    kill(child, SIGSTOP);
    CHECK_EQ(dyco_signal_waitchild(child, &status, 20), 0);
    kill(child, SIGKILL);
    CHECK_EQ(dyco_signal_waitchild(-1, &status, -1), child);
    CHECK(WIFSIGNALED(status));
    done = 1;
}

static void awaits(void *argument) {
    int status, code = (int)(intptr_t)argument;
    pid_t child = child_that(code % 100, 20);
    CHECK_EQ(dyco_signal_waitchild(child, &status, -1), child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), code % 100);
    finished++;
}

static int starts[2];

/* All end at once: when the pipe is closed. */
static void awaits_together(void *argument) {
    int status, code = (int)(intptr_t)argument;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        char byte;
        close(starts[1]);
        syscall(SYS_read, starts[0], &byte, 1);
        _exit(code % 100);
    }
    CHECK_EQ(dyco_signal_waitchild(child, &status, -1), child);
    CHECK_EQ(status, code % 100 << 8);
    finished++;
}

static void starts_all(void *argument) {
    dyco_coroutine_sleep(50);
    close(starts[1]);
    if (argument) {
        /* Others' children are not mine. */
        int status;
        while (waitpid(-1, &status, WNOHANG) == 0) dyco_coroutine_sleep(1);
        CHECK_EQ(errno, ECHILD);
    }
}

static pid_t own;

static void takes_any(void *argument) {
    int status;
    (void)argument;
    own = child_that(55, 40);
    CHECK_EQ(dyco_signal_waitchild(-1, &status, -1), own);
    CHECK_EQ(status, 55 << 8);
    CHECK_ERRNO(dyco_signal_waitchild(-1, &status, 5000 * patience()), ECHILD); /* when the claimed ones are gone */
    finished++;
}

static void two_for_any(void *argument) {
    int status;
    (void)argument;
    CHECK(dyco_signal_waitchild(-1, &status, -1) > 0);
    finished++;
}

static void starts_later(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(10);
    child_that(1, 10);
    child_that(2, 20);
}

static void times_out(void *argument) {
    int status;
    (void)argument;
    pid_t child = child_that(0, 500);
    CHECK_EQ(dyco_signal_waitchild(-1, &status, 30), 0);
    CHECK_EQ(dyco_signal_waitchild(-1, &status, 5000 * patience()), child);
}

static void forgotten(void *argument) {
    int status;
    dyco_signal_waitchild(argument ? -1 : own, &status, -1);
    CHECK(!"woken");
}

static void aborts(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(5);
    dyco_schedcall_abort();
}

int main(int argc, char **argv) {
    int status;
    if (argc > 1) children = atoi(argv[1]);
    /* Outside coroutines the thread waits. */
    CHECK_ERRNO(dyco_signal_waitchild(-1, &status, -1), ECHILD);
    pid_t child = child_that(9, 300);
    CHECK_EQ(dyco_signal_waitchild(child, &status, 0), 0);
    CHECK_EQ(dyco_signal_waitchild(child, &status, 5), 0);
    CHECK_EQ(dyco_signal_waitchild(child, &status, 5000 * patience()), child);
    CHECK_EQ(status, 9 << 8);
    child = child_that(8, 10);
    CHECK_EQ(dyco_signal_waitchild(-1, &status, -1), child);

    spawn(counts_ticks, NULL);
    spawn(results, NULL);
    run_all();
    warm_up(); /* where the machine is slow, all these children had ended before anybody waited for them */
    int fds = count_fds();

    for (int i = 0; i < children; i++) spawn(awaits, (void *)(intptr_t)i);
    run_all();
    CHECK_EQ(finished, children);

    for (int round = 0; round < 3; round++) {
        finished = 0;
        CHECK_EQ(pipe(starts), 0);
        for (int i = 0; i < children; i++) spawn(awaits_together, (void *)(intptr_t)i);
        if (round == 1) spawn(takes_any, NULL);
        spawn(starts_all, round == 2 ? &fds : NULL);
        run_all();
        CHECK_EQ(finished, children + (round == 1));
        close(starts[0]);
    }

    finished = 0;
    spawn(starts_later, NULL);
    child_that(3, 50 * patience()); /* so that there is one to wait for from the beginning */
    spawn(two_for_any, NULL);
    spawn(two_for_any, NULL);
    spawn(two_for_any, NULL);
    run_all();
    CHECK_EQ(finished, 3);
    spawn(times_out, NULL);
    run_all();
    CHECK_EQ(count_fds(), fds);

    own = child_that(0, 10000);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 5; i++) spawn(forgotten, i % 2 ? &fds : NULL);
        spawn(aborts, NULL);
        CHECK_EQ(dyco_schedule_run(), -1);
        CHECK_EQ(count_fds(), fds);
    }
    kill(own, SIGKILL);
    CHECK_EQ(waitpid(own, &status, 0), own);
    usleep(20000); /* the helper thread has seen it, and is gone */
    return test_done();
}
