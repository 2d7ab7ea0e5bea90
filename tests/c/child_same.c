/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * wait, waitpid, wait3, wait4 and waitid return in a coroutine what libc's own return in a plain thread: of children that
 * end, stop and go on, of those that are not there, and of groups. So does vfork.
 */
#include "same.h"

#include <sys/resource.h>
#include <sys/wait.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static pid_t child;

/* A child that waits to be told by a signal; SIGUSR1: to exit with `code`. */
static int exit_code;

static void exits(int signal) {
    (void)signal;
    _exit(exit_code);
}

static void bear(int code) {
    sigset_t mask, before;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &mask, &before), 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct sigaction action = {.sa_handler = exits};
        exit_code = code;
        sigaction(SIGUSR1, &action, NULL);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        for (;;) syscall(SYS_nanosleep, &(struct timespec){100, 0}, NULL);
    }
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
}

static void tell(void *signal) {
    CHECK_EQ(kill(child, (int)(intptr_t)signal), 0);
}

/* A pid as what it is of: 1 the child. */
#define TRY_PID(call) \
    ({ \
        errno = 77; \
        pid_t try_pid = (call); \
        int try_errno = errno; \
        say("%d: %s = %s", __LINE__, #call, try_pid == child ? "child" : try_pid > 0 ? "other" : try_pid == 0 ? "0" : "-1"); \
        say(" (errno %d)\n", try_errno == 77 ? 0 : try_errno); \
        try_pid; \
    })

static void say_info(const siginfo_t *info) {
    say("signal %d code %d status %d pid %d uid %d\n", info->si_signo, info->si_code, info->si_status,
        info->si_pid == child ? 1 : info->si_pid, (int)info->si_uid);
}

static void nobody(void) {
    int status = 1234;
    siginfo_t info;
    child = -2;
    TRY_PID(wait(&status));
    TRY_PID(waitpid(-1, &status, 0));
    TRY_PID(waitpid(-1, &status, WNOHANG));
    TRY_PID(waitpid(0, &status, 0));
    TRY_PID(waitpid(getpid(), &status, 0));
    TRY_PID(waitpid(getppid(), &status, WNOHANG));
    TRY_PID(waitpid(-getpid(), &status, 0));
    TRY_PID(waitpid(INT_MIN, &status, 0));
    TRY_PID(waitpid(-1, &status, 0x10000));
    TRY_PID(waitpid(-1, &status, __WALL));
    TRY_PID(waitpid(-1, &status, __WCLONE));
    TRY_PID(wait3(&status, 0, NULL));
    TRY_PID(wait4(-1, &status, WNOHANG, NULL));
    TRY(waitid(P_ALL, 0, &info, WEXITED));
    TRY(waitid(P_ALL, 0, &info, WEXITED | WNOHANG));
    TRY(waitid(P_ALL, 0, &info, 0));
    TRY(waitid(P_ALL, 0, &info, WEXITED | 0x10000));
    TRY(waitid((idtype_t)9, 0, &info, WEXITED));
    TRY(waitid(P_PID, 0, &info, WEXITED));
    TRY(waitid(P_PGID, (id_t)-1, &info, WEXITED));
    TRY(waitid(P_PIDFD, 9999, &info, WEXITED));
    TRY(waitid(P_PIDFD, 0, &info, WEXITED));
    say("%d\n", status);
}

static void one(void) {
    int status = 0;
    struct rusage usage;
    static const int ways[] = {0, 1, 7, 255, 256, -SIGTERM, -SIGKILL};
    for (size_t i = 0; i < COUNT(ways); i++) {
        void *signal = (void *)(intptr_t)(ways[i] < 0 ? -ways[i] : SIGUSR1);
        bear(ways[i]);
        TRY_PID(waitpid(child, &status, WNOHANG));
        TRY_PID(waitpid(-1, &status, WNOHANG | WUNTRACED));
        after(60, tell, signal);
        COMES(60, TRY_PID(waitpid(child, &status, 0)));
        say("%#x\n", (unsigned)status);
        TRY_PID(waitpid(child, &status, 0));
        bear(ways[i]);
        after(60, tell, signal);
        COMES(60, TRY_PID(wait(&status)));
        say("%#x\n", (unsigned)status);
    }
    bear(3);
    memset(&usage, 0xff, sizeof usage);
    after(60, tell, (void *)SIGUSR1);
    COMES(60, TRY_PID(wait3(&status, 0, &usage)));
    say("%#x %d %d\n", (unsigned)status, usage.ru_maxrss > 0, (int)usage.ru_utime.tv_sec);
    bear(4);
    memset(&usage, 0xff, sizeof usage);
    after(60, tell, (void *)SIGUSR1);
    COMES(60, TRY_PID(wait4(child, &status, __WALL, &usage)));
    say("%#x %d %d\n", (unsigned)status, usage.ru_maxrss > 0, (int)usage.ru_utime.tv_sec);
    bear(5);
    after(60, tell, (void *)SIGUSR1);
    COMES(60, TRY_PID(waitpid(child, NULL, 0)));
    /* It is gone before anybody waits. */
    bear(6);
    tell((void *)SIGUSR1);
    usleep(50000);
    TRY_PID(waitpid(-1, &status, WNOHANG));
    say("%#x\n", (unsigned)status);
}

static void by_waitid(void) {
    siginfo_t info;
    bear(5);
    memset(&info, 0xff, sizeof info);
    TRY(waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG));
    say("%d %d\n", info.si_pid, info.si_signo);
    after(60, tell, (void *)SIGUSR1);
    COMES(60, TRY(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT)));
    say_info(&info);
    TRY(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT));
    say_info(&info);
    TRY(waitid(P_PID, (id_t)child, &info, WEXITED));
    say_info(&info);
    TRY(waitid(P_PID, (id_t)child, &info, WEXITED));
    bear(0);
    after(60, tell, (void *)SIGTERM);
    COMES(60, TRY(waitid(P_ALL, 0, &info, WEXITED)));
    say_info(&info);
    bear(6);
    after(60, tell, (void *)SIGUSR1);
    COMES(60, TRY(waitid(P_ALL, 0, NULL, WEXITED)));
#if defined SYS_pidfd_open && !defined __aarch64__ /* qemu-user knows no such number */
    bear(7);
    int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    if (pidfd >= 0) {
        after(60, tell, (void *)SIGUSR1);
        COMES(60, TRY(waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED)));
        say_info(&info);
        CHECK_EQ(close(pidfd), 0);
    } else {
        tell((void *)SIGUSR1);
        CHECK_EQ(waitpid(child, NULL, 0), child);
    }
#endif
}

static void stops(void) {
    int status;
    siginfo_t info;
    bear(9);
    after(60, tell, (void *)SIGSTOP);
    COMES(60, TRY_PID(waitpid(child, &status, WUNTRACED)));
    say("%#x\n", (unsigned)status);
    TRY_PID(waitpid(child, &status, WUNTRACED | WNOHANG));
    after(60, tell, (void *)SIGCONT);
    COMES(60, TRY_PID(waitpid(-1, &status, WCONTINUED)));
    say("%#x\n", (unsigned)status);
    after(60, tell, (void *)SIGSTOP);
    COMES(60, TRY(waitid(P_ALL, 0, &info, WSTOPPED)));
    say_info(&info);
    after(60, tell, (void *)SIGCONT);
    COMES(60, TRY(waitid(P_PID, (id_t)child, &info, WCONTINUED)));
    say_info(&info);
    /* Who waits for the end is not told of a stop. */
    tell((void *)SIGSTOP);
    usleep(20000);
    tell((void *)SIGCONT);
    after(60, tell, (void *)SIGUSR1);
    COMES(60, TRY_PID(waitpid(child, &status, 0)));
    say("%#x\n", (unsigned)status);
}

static void groups(void) {
    int status;
    siginfo_t info;
    bear(8);
    CHECK_EQ(setpgid(child, child), 0);
    TRY_PID(waitpid(0, &status, 0));
    after(60, tell, (void *)SIGUSR1);
    COMES(60, TRY_PID(waitpid(-child, &status, 0)));
    say("%#x\n", (unsigned)status);
    bear(9);
    after(60, tell, (void *)SIGUSR1);
    COMES(60, TRY_PID(waitpid(0, &status, 0)));
    say("%#x\n", (unsigned)status);
    bear(10);
    CHECK_EQ(setpgid(child, child), 0);
    after(60, tell, (void *)SIGUSR1);
    COMES(60, TRY(waitid(P_PGID, (id_t)child, &info, WEXITED)));
    say_info(&info);
}

/* Whoever ends first comes first. */
static void several(void) {
    pid_t children[3];
    int status;
    for (int i = 0; i < 3; i++) {
        bear(20 + i);
        children[i] = child;
    }
    for (int i = 2; i >= 0; i--) {
        child = children[i];
        after(60, tell, (void *)SIGUSR1);
        COMES(60, TRY_PID(i == 1 ? wait(&status) : waitpid(-1, &status, 0)));
        say("%#x\n", (unsigned)status);
    }
    TRY_PID(wait(&status));
}

/* With SIGCHLD ignored nobody is told: ECHILD, once all have ended. */
static void ignored(void) {
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    int status = 99;
    CHECK_EQ(sigaction(SIGCHLD, &ignore, &before), 0);
    bear(1);
    after(60, tell, (void *)SIGUSR1);
    COMES(60, TRY_PID(waitpid(child, &status, 0)));
    bear(1);
    after(60, tell, (void *)SIGUSR1);
    COMES(60, TRY_PID(wait(&status)));
    say("%d\n", status);
    CHECK_EQ(sigaction(SIGCHLD, &before, NULL), 0);
}

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/* Runs in its parent's memory, with descriptors of its own. */
static void by_vfork(void) {
    int pipes[2], status;
    static volatile int seen;
    char b = 0;
    CHECK_EQ(pipe(pipes), 0);
    seen = 0;
    child = vfork();
    CHECK(child >= 0);
    if (child == 0) {
        close(pipes[0]);
        seen = write(pipes[1], "x", 1) == 1 && fcntl(pipes[0], F_GETFD) == -1;
        _exit(11);
    }
    TRY(seen);
    TRY(fcntl(pipes[0], F_GETFD));
    TRY(read(pipes[0], &b, 1));
    TRY_PID(waitpid(child, &status, 0));
    say("%c %#x\n", b, (unsigned)status);
    close_pair(pipes);
}

int main(void) {
    same_start();
    SAME(nobody);
    SAME(one);
    SAME(by_waitid);
    SAME(stops);
    SAME(groups);
    SAME(several);
    SAME(ignored);
    SAME(by_vfork);
    return test_done();
}
