// busy: much
// timeout: 60
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * close in signal handlers, which interrupt the scheduler anywhere: each waiter gets EBADF, in this thread and in another,
 * and neither the queues nor malloc are harmed.
 */
#include "core.h"

#include <sys/socket.h>
#include <sys/time.h>

enum { WAITERS = 24 };

static volatile int victims[WAITERS], closed, quit;

static void closes(int signal) {
    static unsigned next;
    int saved = errno;
    (void)signal;
    for (int tries = 0; tries < WAITERS; tries++) {
        unsigned i = next++ % WAITERS;
        int fd = victims[i];
        if (fd <= 0) continue;
        victims[i] = 0;
        if (close(fd) == 0) closed++;
        break;
    }
    errno = saved;
}

static void tick(int us) {
    struct itimerval timer = {{0, us}, {0, us}};
    CHECK_EQ(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static void waits(void *argument) {
    int i = (int)(intptr_t)argument, pair[2];
    while (!quit) {
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        victims[i] = pair[0];
        if (i % 2) {
            CHECK_ERRNO(dyco_coroutine_waitRead(pair[0], 20000), EBADF);
        } else {
            struct pollfd items[2] = {{pair[0], POLLIN, 0}, {pair[0], POLLIN, 0}};
            poll(items, 2, 50); /* the number may be another socket's by then */
        }
        CHECK_EQ(close(pair[1]), 0);
    }
}

static void sleeps(void *argument) {
    while (!quit) dyco_coroutine_sleep((uint32_t)(intptr_t)argument);
}

static void ends(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(1000);
    quit = 1;
    dyco_coroutine_sleep(50); /* the waiters need their handler to get out */
    while (dyco_schedule_getCoroCount() > 1) dyco_coroutine_sleep(5);
    tick(0);
}

static void *other(void *argument) {
    sigset_t all;
    sigfillset(&all);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &all, NULL), 0);
    for (intptr_t i = 0; i < WAITERS; i++) spawn(waits, (void *)i);
    run_all();
    return argument;
}

int main(void) {
    struct sigaction action = {.sa_handler = closes};
    CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);

    /* Busy, so that handlers interrupt queue operations, and idle, so that they interrupt the sleep. */
    for (int busy = 0; busy < 2; busy++) {
        quit = 0;
        tick(500);
        for (intptr_t i = 0; i < WAITERS; i++) spawn(waits, (void *)i);
        for (int i = 0; i < 10 * busy; i++) spawn(sleeps, (void *)(intptr_t)(i % 2));
        spawn(ends, NULL);
        run_all();
        CHECK(closed >= 50);
    }

    /* Another thread's waiters; this one is in malloc most of the time. */
    pthread_t thread;
    quit = closed = 0;
    CHECK_EQ(pthread_create(&thread, NULL, other, NULL), 0);
    tick(500);
    for (int64_t end = now_ms() + 1000; now_ms() < end;) {
        void *blocks[50];
        for (size_t i = 0; i < COUNT(blocks); i++) blocks[i] = calloc(1, 24 + i * 40);
        for (size_t i = 0; i < COUNT(blocks); i++) free(blocks[i]);
    }
    quit = 1;
    for (int i = 0; i < 200; i++) usleep(1000);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    tick(0);
    CHECK(closed >= 50);
    return test_done();
}
