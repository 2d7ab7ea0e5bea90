/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Descriptors whose birth hooks see, of every kind that the library remembers, and those who act while one waits.
 */
#ifndef DYCO_TEST_BORN_H
#define DYCO_TEST_BORN_H

#include "net.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

enum { EVENT, SEMAPHORE, TIMER, SIGNALS, FILES, PIPE, KINDS };

static int ends[2];

/* Something that hooks have made, with O_NONBLOCK or not; 1 in `ends` only of a pipe. */
static inline int born(int kind, int nonblock) {
    sigset_t set;
    int flags = nonblock ? O_NONBLOCK : 0;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    switch (kind) {
    case EVENT: return eventfd(0, flags);
    case SEMAPHORE: return eventfd(2, flags | EFD_SEMAPHORE);
    case TIMER: return timerfd_create(CLOCK_MONOTONIC, flags);
    case SIGNALS: return signalfd(-1, &set, flags);
    case FILES: return nonblock ? inotify_init1(flags) : inotify_init();
    default: CHECK_EQ(pipe2(ends, flags), 0); return ends[0];
    }
}

static int runs;

/* Others run while one waits. */
static inline void run(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(5);
    runs++;
}

static inline void add_late(void *argument) {
    dyco_coroutine_sleep(40);
    CHECK_EQ(syscall(SYS_write, (int)(intptr_t)argument, &(uint64_t){1}, 8), 8);
}

static inline void take_late(void *argument) {
    uint64_t count;
    dyco_coroutine_sleep(40);
    CHECK_EQ(syscall(SYS_read, (int)(intptr_t)argument, &count, 8), 8);
}

#endif
