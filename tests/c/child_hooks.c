/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * waitpid, wait, wait3, wait4 and waitid inside coroutines: as their man pages say, and only the coroutine waits.
 */
#include "core.h"

#include <sys/resource.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static int ticks, done;

static int gate[2], opens_at;

/* A child that ends after a while, or (after_ms < 0) when the gate opens. */
static pid_t child_that(int code, int after_ms) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        char byte;
        struct timespec time = {after_ms / 1000, after_ms % 1000 * 1000000L};
        if (after_ms < 0) {
            while (syscall(SYS_read, gate[0], &byte, 1) != 1) {}
        } else {
            while (syscall(SYS_nanosleep, &time, &time) != 0) {}
        }
        _exit(code);
    }
    return child;
}

static void ticker(void *argument) {
    (void)argument;
    while (!done) {
        if (++ticks == opens_at) CHECK_EQ(write(gate[1], "x", 1), 1);
        dyco_coroutine_sleep(1);
    }
}

/* The child ends while others go on. */
#define PARKS(call) \
    do { \
        opens_at = ticks + 5; \
        call; \
        CHECK(ticks >= opens_at); \
    } while (0)

static void hooked(void *argument) {
    int status;
    struct rusage usage;
    siginfo_t info;
    (void)argument;
    CHECK_ERRNO(waitpid(-1, &status, 0), ECHILD);
    CHECK_ERRNO(wait(NULL), ECHILD);
    CHECK_ERRNO(waitpid(getpid(), &status, WNOHANG), ECHILD);
    CHECK_ERRNO(waitpid(INT_MIN, &status, 0), ESRCH);
    CHECK_ERRNO(waitpid(-1, &status, 0x10000), EINVAL);
    CHECK_ERRNO(waitid(P_ALL, 0, &info, 0), EINVAL);
    CHECK_ERRNO(waitid(P_ALL, 0, &info, WEXITED | 0x10000), EINVAL);
    CHECK_ERRNO(waitid((idtype_t)9, 0, &info, WEXITED), EINVAL);
    CHECK_ERRNO(waitid(P_PID, 0, &info, WEXITED), EINVAL);
    CHECK_ERRNO(waitid(P_PIDFD, 999, &info, WEXITED), EBADF);

    pid_t child = child_that(1, -1);
    CHECK_EQ(waitpid(child, &status, WNOHANG), 0);
    CHECK_EQ(waitpid(-1, &status, WNOHANG), 0);
    PARKS(CHECK_EQ(waitpid(child, &status, 0), child));
    CHECK_EQ(status, 1 << 8);
    child = child_that(2, -1);
    PARKS(CHECK_EQ(wait(&status), child));
    CHECK_EQ(status, 2 << 8);
    child = child_that(3, -1);
    memset(&usage, 0xff, sizeof usage);
    PARKS(CHECK_EQ(wait3(&status, 0, &usage), child));
    CHECK_EQ(status, 3 << 8);
    CHECK(usage.ru_maxrss > 0 && usage.ru_utime.tv_sec == 0);
    child = child_that(4, -1);
    memset(&usage, 0xff, sizeof usage);
    PARKS(CHECK_EQ(wait4(child, &status, 0, &usage), child));
    CHECK_EQ(status, 4 << 8);
    CHECK(usage.ru_maxrss > 0 && usage.ru_utime.tv_sec == 0);

    child = child_that(5, -1);
    memset(&info, 0xff, sizeof info);
    CHECK_EQ(waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG), 0);
    CHECK_EQ(info.si_pid, 0);
    CHECK_EQ(info.si_signo, 0);
    for (int i = 0; i < 2; i++) {
        if (i == 0) PARKS(CHECK_EQ(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0));
        if (i == 1) CHECK_EQ(waitid(P_PID, (id_t)child, &info, WEXITED), 0);
        CHECK_EQ(info.si_pid, child);
        CHECK_EQ(info.si_signo, SIGCHLD);
        CHECK_EQ(info.si_code, CLD_EXITED);
        CHECK_EQ(info.si_status, 5);
        CHECK_EQ(info.si_uid, getuid());
    }
    CHECK_ERRNO(waitid(P_PID, (id_t)child, NULL, WEXITED), ECHILD);
    child = child_that(6, -1);
    PARKS(CHECK_EQ(waitid(P_ALL, 0, NULL, WEXITED), 0));

    int pidfd = -1;
    child = child_that(7, -1);
#ifdef SYS_pidfd_open
    pidfd = (int)syscall(SYS_pidfd_open, child, 0);
#endif
    if (pidfd >= 0) {
        PARKS(CHECK_EQ(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED), 0));
        CHECK_EQ(info.si_status, 7);
        close(pidfd);
        child = child_that(7, -1);
        pidfd = (int)syscall(SYS_pidfd_open, child, O_NONBLOCK);
        if (pidfd >= 0) {
            CHECK_ERRNO(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED), EAGAIN);
            close(pidfd);
        }
    }
    PARKS(CHECK_EQ(waitpid(child, NULL, 0), child));

    /* Process groups */
    child = child_that(8, -1);
    CHECK_EQ(setpgid(child, child), 0);
    CHECK_ERRNO(waitpid(0, &status, 0), ECHILD);
    PARKS(CHECK_EQ(waitpid(-child, &status, 0), child));
    child = child_that(8, -1);
    PARKS(CHECK_EQ(waitpid(0, &status, 0), child));

    /* Stops and continuations */
    child = child_that(9, -1);
    kill(child, SIGSTOP);
    CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    kill(child, SIGCONT);
    CHECK_EQ(waitpid(-1, &status, WCONTINUED), child);
    CHECK(WIFCONTINUED(status));
    kill(child, SIGSTOP);
    CHECK_EQ(waitid(P_ALL, 0, &info, WSTOPPED), 0);
    CHECK_EQ(info.si_code, CLD_STOPPED);
    CHECK_EQ(info.si_status, SIGSTOP);
    kill(child, SIGCONT);
    PARKS(CHECK_EQ(waitpid(child, &status, WUNTRACED), child));
    CHECK_EQ(status, 9 << 8);
    done = 1;
}

/* A status that somebody takes behind our back, and children that nobody wants to know of. */
static void taken(void *argument) {
    int status;
    (void)argument;
    pid_t child = child_that(0, 20);
    CHECK_ERRNO(waitpid(child, &status, 0), ECHILD);
    signal(SIGCHLD, SIG_IGN);
    child = child_that(0, 20);
    CHECK_ERRNO(waitpid(child, &status, 0), ECHILD);
    child_that(0, 20);
    CHECK_ERRNO(wait(&status), ECHILD);
    signal(SIGCHLD, SIG_DFL);
    done = 1;
}

static void takes(void *argument) {
    (void)argument;
    CHECK(syscall(SYS_wait4, -1, NULL, 0, NULL) > 0);
}

/* A handler that reaps whatever has ended leaves what coroutines wait for to them. */
static void reap(int signal) {
    int before = errno;
    (void)signal;
    while (waitpid(-1, NULL, WNOHANG) > 0) {}
    errno = before;
}

static int finished;

static void awaits(void *argument) {
    int status;
    /* Before it is waited for it must not end. */
    pid_t child = child_that(20, 30 * patience());
    (void)argument;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 20 << 8);
    finished++;
}

static void forgets(void *argument) {
    (void)argument;
    for (int i = 0; i < 10; i++) child_that(0, i);
}

int main(void) {
    CHECK_EQ(pipe(gate), 0);
    spawn(ticker, NULL);
    spawn(hooked, NULL);
    run_all();
    int fds = count_fds();
    done = 0;
    spawn(taken, NULL);
    spawn(takes, NULL);
    run_all();
    signal(SIGCHLD, reap);
    for (int i = 0; i < 20; i++) spawn(awaits, NULL);
    spawn(forgets, NULL);
    run_all();
    CHECK_EQ(finished, 20);
    signal(SIGCHLD, SIG_DFL);
    CHECK_EQ(count_fds(), fds);
    while (waitpid(-1, NULL, 0) > 0) {}
    CHECK_ERRNO(waitpid(-1, NULL, WNOHANG), ECHILD);
    pid_t child = child_that(1, 10);
    CHECK_EQ(wait(NULL), child);
    return test_done();
}
