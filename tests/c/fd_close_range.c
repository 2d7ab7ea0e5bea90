/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * close_range and closefrom close what is the program's, wake who waits for it, and leave the library's own descriptors
 * alone: those of this thread and of others, with signals held, a child awaited, an epoll set of a coroutine's own.
 */
#include "net.h"

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE 2
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4
#endif

static int pair[2], woken, got_signal, got_child, ticks;
static volatile int other_ready, other_done;

static void waits_read(void *argument) {
    char b;
    (void)argument;
    CHECK_ERRNO(recv(pair[0], &b, 1, 0), EBADF);
    woken++;
}

static void waits_pipe(void *argument) {
    char b;
    CHECK_ERRNO(read(*(int *)argument, &b, 1), EBADF);
    woken++;
}

static void waits_poll(void *argument) {
    struct pollfd entry = {pair[0], POLLIN, 0};
    sigset_t mask;
    (void)argument;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    CHECK_EQ(ppoll(&entry, 1, NULL, &mask), 1);
    CHECK_EQ(entry.revents, POLLNVAL);
    woken++;
}

static void waits_signal(void *argument) {
    sigset_t set;
    struct signalfd_siginfo info;
    (void)argument;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_EQ(dyco_signal_init(&set), 0);
    CHECK_EQ(dyco_signal_wait(&info, 20000), (int)sizeof info);
    got_signal = (int)info.ssi_signo;
}

static void waits_child(void *argument) {
    int status;
    pid_t child = fork();
    (void)argument;
    if (child == 0) {
        usleep(400000);
        _exit(7);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    got_child = WEXITSTATUS(status);
}

static void waits_set(void *argument) {
    struct epoll_event event;
    (void)argument;
    CHECK_EQ(dyco_epoll_init(), 0);
    CHECK_EQ(dyco_epoll_wait(&event, 1, 500), 0);
    dyco_epoll_destroy();
    ticks++;
}

static void other_coroutine(void *argument) {
    (void)argument;
    other_ready = 1;
    while (!other_done) dyco_coroutine_sleep(5);
    waits_set(NULL);
}

static void *other_thread(void *argument) {
    (void)argument;
    spawn(other_coroutine, NULL);
    run_all();
    return NULL;
}

/* The test's own stderr stays. */
static void closes(void *argument) {
    int pipes[2], before, begin = 3;
    (void)argument;
    CHECK_EQ(pipe(pipes), 0);
    spawn(waits_read, NULL);
    spawn(waits_poll, NULL);
    spawn(waits_pipe, pipes);
    spawn(waits_signal, NULL);
    spawn(waits_child, NULL);
    spawn(waits_set, NULL);
    dyco_coroutine_sleep(100);
    CHECK_EQ(woken, 0);
    /* Marking and wrong arguments change nothing. */
    CHECK_ERRNO(close_range(5, 4, 0), EINVAL);
    CHECK_ERRNO(close_range(3, 4, 0x100), EINVAL);
    if (close_range((unsigned)pair[0], (unsigned)pair[0], CLOSE_RANGE_CLOEXEC) == 0)
        CHECK_EQ(fcntl(pair[0], F_GETFD), FD_CLOEXEC);
    dyco_coroutine_sleep(20);
    CHECK_EQ(woken, 0);
    before = count_fds();
    if (argument) {
        closefrom(begin);
    } else if (close_range((unsigned)begin, ~0U, 0) < 0) {
        CHECK_EQ(errno, ENOSYS); /* old kernels, emulators */
        closefrom(begin);
    }
    CHECK(count_fds() < before);
    CHECK_ERRNO(fcntl(pair[0], F_GETFD), EBADF);
    CHECK_ERRNO(fcntl(pair[1], F_GETFD), EBADF);
    CHECK_ERRNO(fcntl(pipes[0], F_GETFD), EBADF);
    dyco_coroutine_sleep(100);
    CHECK_EQ(woken, 3);
    CHECK_EQ(kill(getpid(), SIGUSR1), 0);
    /* New ones under the same numbers are nobody else's. */
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CHECK_EQ(dyco_coroutine_waitRead(pair[0], 5), 0);
    CHECK_EQ(write(pair[1], "x", 1), 1);
    CHECK(dyco_coroutine_waitRead(pair[0], -1) > 0);
    close_pair(pair);
}

static void once(void *how) {
    pthread_t thread;
    woken = got_signal = got_child = ticks = other_ready = other_done = 0;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CHECK_EQ(pthread_create(&thread, NULL, other_thread, NULL), 0);
    while (!other_ready) usleep(1000);
    spawn(closes, how);
    run_all();
    other_done = 1;
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(got_signal, SIGUSR1);
    CHECK_EQ(got_child, 7);
    CHECK_EQ(ticks, 2);
}

/* From another thread: outside coroutines. */
static void *closes_outside(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(100);
    closefrom(3);
    return NULL;
}

static void unshares(void *argument) {
    char b;
    (void)argument;
    if (close_range(3, ~0U, CLOSE_RANGE_UNSHARE) < 0) {
        CHECK(errno == ENOSYS || errno == EINVAL);
        return;
    }
    CHECK_ERRNO(recv(pair[0], &b, 1, 0), EBADF);
    dyco_coroutine_sleep(5);
}

/* Another thread's table is its own from then on. */
static void *unsharing_thread(void *argument) {
    (void)argument;
    spawn(unshares, NULL);
    run_all();
    return NULL;
}

static void reads_x(void *argument) {
    char b;
    (void)argument;
    CHECK_EQ(recv(pair[0], &b, 1, 0), 1);
    woken++;
}

static void writes_after(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(300);
    CHECK_EQ(send(pair[1], "x", 1, 0), 1);
}

int main(void) {
    pthread_t thread;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_EQ(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    once(NULL);
    once("closefrom");
    woken = 0;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CHECK_EQ(pthread_create(&thread, NULL, closes_outside, NULL), 0);
    spawn(waits_read, NULL);
    run_all();
    CHECK_EQ(woken, 1);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    spawn(reads_x, NULL);
    spawn(writes_after, NULL);
    CHECK_EQ(pthread_create(&thread, NULL, unsharing_thread, NULL), 0);
    run_all();
    CHECK_EQ(woken, 2);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    close_pair(pair);
    return test_done();
}
