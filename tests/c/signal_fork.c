/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fork() in a coroutine while signals are held: an exec'd program starts with the program's own mask and without our
 * descriptors; a child that goes on receives signals of its own; the parent notices nothing.
 */
#include "core.h"

static int received, quit;

static void hold(int signal) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    CHECK_EQ(dyco_signal_init(&set), 0);
}

static void holder(void *argument) {
    struct signalfd_siginfo info;
    (void)argument;
    hold(SIGUSR1);
    CHECK_EQ(dyco_signal_wait(&info, -1), sizeof info);
    CHECK_EQ(info.ssi_signo, SIGUSR1);
    CHECK_EQ(info.ssi_pid, getpid());
    received++;
}

static void wait_for(pid_t child) {
    int status = -1;
    CHECK_EQ(dyco_signal_waitchild(child, &status, 20000), child);
    CHECK_EQ(status, 0);
}

/* Runs a program that ends with 0 if it is pleased. */
static void runs(const char *path, const char *first, const char *second, const char *third) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        execl(path, path, first, second, third, (char *)NULL);
        _exit(127);
    }
    wait_for(child);
}

static void execs(void *argument) {
    char text[128];
    int inherited = 0;
    (void)argument;
    hold(SIGUSR2);
    dyco_coroutine_sleep(2);
    snprintf(text, sizeof text, "^SigBlk:.*%016llx", 1ull << (SIGTERM - 1));
    runs("/bin/grep", "-q", text, "/proc/self/status");
    for (int fd = 0; fd < 1024; fd++) {
        int flags = fcntl(fd, F_GETFD);
        inherited += flags >= 0 && !(flags & FD_CLOEXEC);
    }
    /* ls has the directory open, too */
    snprintf(text, sizeof text, "test $(ls /proc/self/fd | wc -l) -eq %d", inherited + 1);
    runs("/bin/sh", "-c", text, NULL);
    quit++;
}

static void goes_on(void *argument) {
    struct signalfd_siginfo info;
    (void)argument;
    hold(SIGUSR2);
    CHECK_EQ(kill(getpid(), SIGUSR2), 0); /* the parent's; a child starts without pending signals */
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK_EQ(dyco_signal_wait(&info, 0), -1);
        CHECK_EQ(kill(getpid(), SIGUSR2), 0);
        CHECK_EQ(dyco_signal_wait(&info, -1), sizeof info);
        CHECK_EQ(info.ssi_pid, getpid());
        dyco_signal_destroy();
        hold(SIGUSR1); /* only this coroutine is left */
        CHECK_EQ(kill(getpid(), SIGUSR1), 0);
        CHECK_EQ(dyco_signal_wait(&info, 1000), sizeof info);
        _exit(0);
    }
    CHECK_EQ(dyco_signal_wait(&info, -1), sizeof info);
    CHECK_EQ(info.ssi_signo, SIGUSR2);
    wait_for(child);
    quit++;
}

static void ends(void *argument) {
    (void)argument;
    while (quit < 2) dyco_coroutine_sleep(1);
    CHECK_EQ(received, 0);
    CHECK_EQ(kill(getpid(), SIGUSR1), 0);
}

static void outside(void) {
    sigset_t now;
    int before;
    spawn(holder, NULL);
    CHECK_EQ(dyco_schedule_create(0, 0), -1);
    spawn((proc_coroutine)(void (*)(void))dyco_schedcall_stop, NULL);
    CHECK_EQ(dyco_schedule_run(), 1);
    before = count_fds();
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
        CHECK_EQ(sigismember(&now, SIGUSR1), 0);
        CHECK(count_fds() < before);
        received = 0;
        quit = 2;
        spawn(ends, NULL);
        CHECK_EQ(dyco_schedule_run(), 0);
        CHECK_EQ(received, 1);
        _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    received = 0;
    quit = 2;
    spawn(ends, NULL);
    run_all();
    CHECK_EQ(received, 1);
}

int main(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    spawn(holder, NULL);
    spawn(holder, NULL);
    spawn(execs, NULL);
    spawn(goes_on, NULL);
    spawn(ends, NULL);
    run_all();
    CHECK_EQ(received, 2);
    outside();
    return test_done();
}
