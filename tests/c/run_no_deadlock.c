/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What is no deadlock, one at a time, with nothing else alive: a timer, a descriptor, an epoll set, a child, a signal that
 * is held, a helper's function, another process's lock. And negative timeouts of any size wait for ever.
 */
#include "net.h"

#include <sys/file.h>
#include <sys/wait.h>

static int ends[2];
static int ended;

static void sleeps(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(60);
    ended = 1;
}

static void write_late(void *argument) {
    (void)argument;
    CHECK_EQ(syscall(SYS_write, ends[1], "x", 1), 1);
}

static void reads(void *argument) {
    char byte;
    (void)argument;
    after(60, write_late, NULL);
    CHECK_EQ(read(ends[0], &byte, 1), 1);
    ended = 1;
}

static void waits_for_ever(void *argument) {
    char byte;
    (void)argument;
    after(60, write_late, NULL);
    CHECK(dyco_coroutine_waitRead(ends[0], INT_MIN) > 0);
    CHECK_EQ(read(ends[0], &byte, 1), 1);
    ended = 1;
}

static void waits_in_a_set(void *argument) {
    struct epoll_event event = {.events = EPOLLIN};
    char byte;
    (void)argument;
    after(60, write_late, NULL);
    CHECK_EQ(dyco_epoll_init(), 0);
    CHECK_EQ(dyco_epoll_add(ends[0], &event), 0);
    CHECK_EQ(dyco_epoll_wait(&event, 1, -1000), 1);
    CHECK_EQ(read(ends[0], &byte, 1), 1);
    ended = 1;
}

static pid_t late_child(void) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        syscall(SYS_nanosleep, &(struct timespec){0, 60000000}, NULL);
        _exit(3);
    }
    return child;
}

static void waits_for_a_child(void *argument) {
    int status;
    pid_t child = late_child();
    CHECK_EQ(dyco_signal_waitchild(argument ? -1 : child, &status, INT_MIN), child);
    CHECK_EQ(WEXITSTATUS(status), 3);
    ended = 1;
}

static void signal_late(void *argument) {
    (void)argument;
    CHECK_EQ(syscall(SYS_kill, getpid(), SIGUSR1), 0);
}

static void waits_for_a_signal(void *argument) {
    sigset_t set;
    struct signalfd_siginfo info;
    (void)argument;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_EQ(dyco_signal_init(&set), 0);
    after(60, signal_late, NULL);
    CHECK_EQ(dyco_signal_wait(&info, -77), sizeof info);
    CHECK_EQ(info.ssi_signo, SIGUSR1);
    ended = 1;
}

static void takes_long(void *argument) {
    (void)argument;
    syscall(SYS_nanosleep, &(struct timespec){0, 60000000}, NULL);
}

static void has_a_helper(void *argument) {
    (void)argument;
    CHECK_EQ(dyco_offload(takes_long, NULL, INT_MIN), 0);
    ended = 1;
}

static void waits_for_a_lock(void *argument) {
    char name[] = "/tmp/dyco-test-XXXXXX";
    int fd = mkstemp(name);
    (void)argument;
    CHECK(fd >= 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        int own = open(name, O_RDWR);
        if (own < 0 || syscall(SYS_flock, own, LOCK_EX) != 0) _exit(1);
        CHECK_EQ(syscall(SYS_write, ends[1], "x", 1), 1);
        syscall(SYS_nanosleep, &(struct timespec){0, 60000000}, NULL);
        _exit(3);
    }
    char byte;
    CHECK_EQ(read(ends[0], &byte, 1), 1);
    CHECK_EQ(flock(fd, LOCK_EX), 0);
    CHECK_EQ(unlink(name), 0);
    CHECK_EQ(close(fd), 0);
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(WEXITSTATUS(status), 3);
    ended = 1;
}

/* --- Objects: with another coroutine that acts after a while. */

static dyco_channel *chan;
static dyco_pubsubchannel *ps;
static dyco_semaphore *sem;
static dyco_waitgroup *group;
static dyco_coropool *pool;

static void acts(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(20);
    CHECK_EQ(dyco_channel_send(chan, "x", 1, INT_MIN), 1);
    dyco_coroutine_sleep(20);
    CHECK_EQ(dyco_pubsub_publish(ps, "x", 1), 1);
    dyco_coroutine_sleep(20);
    CHECK_EQ(dyco_semaphore_signal(sem), 0);
    dyco_coroutine_sleep(20);
    CHECK_EQ(dyco_waitgroup_done(group), 1);
}

static void waits_for_objects(void *argument) {
    char bytes[8];
    (void)argument;
    CHECK((chan = dyco_channel_create(8)) && (ps = dyco_pubsub_create(8)) && (sem = dyco_semaphore_create(0)));
    CHECK((group = dyco_waitgroup_create(INT_MIN)) && (pool = dyco_coropool_create(1, 0)));
    CHECK_EQ(dyco_waitgroup_add(group, spawn(acts, NULL)), 1);
    CHECK_EQ(dyco_channel_recv(chan, bytes, 8, -2), 1);
    CHECK_EQ(dyco_pubsub_subscribe(ps, bytes, 8, -30000), 1);
    CHECK_EQ(dyco_semaphore_wait(sem, INT_MIN), 0);
    CHECK_EQ(dyco_waitgroup_wait(group, 0, INT_MIN), 1);
    CHECK(dyco_coropool_obtain(pool, sleeps, NULL, INT_MIN) > 0);
    CHECK(dyco_coropool_obtain(pool, nothing, NULL, INT_MIN) > 0);
    while (dyco_coropool_available(pool) < 1) dyco_coroutine_sleep(1);
    CHECK_EQ(dyco_coropool_destroy(&pool), 0);
    dyco_waitgroup_destroy(&group);
    dyco_semaphore_destroy(&sem);
    dyco_pubsub_destroy(&ps);
    dyco_channel_destroy(&chan);
}

static void alone(proc_coroutine waits, void *argument) {
    ended = 0;
    spawn(waits, argument);
    int64_t begin = now_ms();
    run_all(); /* 0, not EDEADLK */
    CHECK_EQ(ended, 1);
    CHECK_TOOK(now_ms() - begin, 40, 5000);
    join_later();
}

int main(void) {
    static const proc_coroutine waits[] = {sleeps,           reads,         waits_for_ever,     waits_in_a_set,
                                           waits_for_a_child, waits_for_a_signal, has_a_helper, waits_for_a_lock,
                                           waits_for_objects};
    CHECK_EQ(pipe(ends), 0);
    for (size_t i = 0; i < COUNT(waits); i++) alone(waits[i], NULL);
    alone(waits_for_a_child, ends);
    return test_done();
}
