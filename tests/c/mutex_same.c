/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * pthread_mutex_lock returns in a coroutine what it returns in a plain thread, for each kind of mutex: free, held by the
 * caller, by another thread, and by one that has ended.
 */
#include "same.h"

static pthread_mutex_t mutex;
static int locked;

static void make(int type, int robust, int protocol) {
    pthread_mutexattr_t attributes;
    CHECK_EQ(pthread_mutexattr_init(&attributes), 0);
    CHECK_EQ(pthread_mutexattr_settype(&attributes, type), 0);
    CHECK_EQ(pthread_mutexattr_setrobust(&attributes, robust), 0);
    CHECK_EQ(pthread_mutexattr_setprotocol(&attributes, protocol), 0);
    CHECK_EQ(pthread_mutex_init(&mutex, &attributes), 0);
    CHECK_EQ(pthread_mutexattr_destroy(&attributes), 0);
}

/* Another thread takes it, and gives it back when the time has come. */
static void holds(void *argument) {
    struct timespec pause = {0, 20000000};
    (void)argument;
    CHECK_EQ(pthread_mutex_lock(&mutex), 0);
    __atomic_store_n(&locked, 1, __ATOMIC_RELEASE);
    syscall(SYS_nanosleep, &pause, NULL);
    CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
}

static void another(void (*action)(void *)) {
    locked = 0;
    after(0, action, NULL);
    while (!__atomic_load_n(&locked, __ATOMIC_ACQUIRE)) syscall(SYS_sched_yield);
}

static void kinds(void) {
    static const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_RECURSIVE,
                                PTHREAD_MUTEX_ADAPTIVE_NP};
    static const int protocols[] = {PTHREAD_PRIO_NONE, PTHREAD_PRIO_INHERIT};
    for (size_t i = 0; i < COUNT(types); i++) {
        for (size_t p = 0; p < COUNT(protocols); p++) {
            struct timespec past = {0, 0};
            say("type %d protocol %d\n", types[i], protocols[p]);
            make(types[i], PTHREAD_MUTEX_STALLED, protocols[p]);
            TRY(pthread_mutex_lock(&mutex));
            TRY(pthread_mutex_trylock(&mutex));
            if (types[i] == PTHREAD_MUTEX_ERRORCHECK || types[i] == PTHREAD_MUTEX_RECURSIVE) {
                TRY(pthread_mutex_lock(&mutex));
                TRY(pthread_mutex_timedlock(&mutex, &past));
                TRY(pthread_mutex_unlock(&mutex));
                if (types[i] == PTHREAD_MUTEX_RECURSIVE)
                    for (int n = 0; n < 2; n++) TRY(pthread_mutex_unlock(&mutex));
            }
            TRY(pthread_mutex_unlock(&mutex));
            if (types[i] == PTHREAD_MUTEX_ERRORCHECK) TRY(pthread_mutex_unlock(&mutex));
            another(holds);
            TRY(pthread_mutex_trylock(&mutex));
            TRY(pthread_mutex_lock(&mutex));
            TRY(pthread_mutex_unlock(&mutex));
            later_is_over();
            TRY(pthread_mutex_destroy(&mutex));
        }
    }
}

#ifndef __aarch64__ /* qemu-user does not tell of threads that have ended */
static void ends_holding(void *argument) {
    (void)argument;
    CHECK_EQ(pthread_mutex_lock(&mutex), 0);
    __atomic_store_n(&locked, 1, __ATOMIC_RELEASE);
}

static void left_behind(void) {
    make(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_NONE);
    another(ends_holding);
    later_is_over();
    usleep(20000);
    TRY(pthread_mutex_lock(&mutex));
    TRY(pthread_mutex_consistent(&mutex));
    TRY(pthread_mutex_unlock(&mutex));
    another(ends_holding);
    later_is_over();
    usleep(20000);
    TRY(pthread_mutex_lock(&mutex));
    TRY(pthread_mutex_unlock(&mutex));
    TRY(pthread_mutex_lock(&mutex));
    TRY(pthread_mutex_destroy(&mutex));
}
#endif

int main(void) {
    same_start();
    SAME(kinds);
#ifndef __aarch64__
    SAME(left_behind);
#endif
    return test_done();
}
