// modes: shared fortify ring
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A mutex that a coroutine holds while it waits: others of its thread wait for it in their coroutines. All else of mutexes
 * is libc's.
 */
#include "net.h"

static pthread_mutex_t mutex;
static int inside, entered, turns;

static void set_kind(int kind, int protocol) {
    pthread_mutexattr_t attributes;
    CHECK_EQ(pthread_mutexattr_init(&attributes), 0);
    CHECK_EQ(pthread_mutexattr_settype(&attributes, kind), 0);
    CHECK_EQ(pthread_mutexattr_setprotocol(&attributes, protocol), 0);
    CHECK_EQ(pthread_mutex_init(&mutex, &attributes), 0);
    CHECK_EQ(pthread_mutexattr_destroy(&attributes), 0);
}

static void holds(void *argument) {
    (void)argument;
    for (int i = 0; i < turns; i++) {
        CHECK_EQ(pthread_mutex_lock(&mutex), 0);
        CHECK_EQ(inside++, 0);
        CHECK_EQ(pthread_mutex_trylock(&mutex), EBUSY);
        usleep(3000);
        CHECK_EQ(--inside, 0);
        entered++;
        CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
        usleep(100);
    }
}

static void together(int count, int each) {
    turns = each;
    entered = 0;
    for (int i = 0; i < count; i++) spawn(holds, NULL);
    run_with_ticker();
    CHECK_EQ(entered, count * each);
    CHECK_EQ(pthread_mutex_lock(&mutex), 0);
    CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
    CHECK_EQ(pthread_mutex_destroy(&mutex), 0);
}

/* The same coroutine locks it again. */
static void locks_again(void *argument) {
    int again = (int)(intptr_t)argument;
    CHECK_EQ(pthread_mutex_lock(&mutex), 0);
    CHECK_EQ(pthread_mutex_lock(&mutex), again);
    if (again == 0) CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
    CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
    CHECK_EQ(pthread_mutex_destroy(&mutex), 0);
}

static void *holds_elsewhere(void *argument) {
    CHECK_EQ(pthread_mutex_lock(&mutex), 0);
    __atomic_store_n((int *)argument, 1, __ATOMIC_RELEASE);
    usleep(50000);
    CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
    return NULL;
}

/* Another thread holds it for a moment: the thread waits as ever. */
static void waits_for_thread(void *argument) {
    pthread_t thread;
    int is_held = 0;
    (void)argument;
    CHECK_EQ(pthread_create(&thread, NULL, holds_elsewhere, &is_held), 0);
    while (!__atomic_load_n(&is_held, __ATOMIC_ACQUIRE)) syscall(SYS_sched_yield);
    CHECK_EQ(pthread_mutex_lock(&mutex), 0);
    CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* Threads with coroutines each contend for one mutex. */
static void *thread_of_coroutines(void *argument) {
    for (int i = 0; i < 5; i++) spawn(holds, NULL);
    run_all();
    return argument;
}

static void across_threads(void) {
    pthread_t threads[3];
    set_kind(PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE);
    turns = 4;
    entered = 0;
    for (int i = 0; i < 3; i++) CHECK_EQ(pthread_create(&threads[i], NULL, thread_of_coroutines, NULL), 0);
    for (int i = 0; i < 3; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(entered, 3 * 5 * 4);
    CHECK_EQ(pthread_mutex_destroy(&mutex), 0);
}

static int reached;

static void keeps(void *argument) {
    (void)argument;
    CHECK_EQ(pthread_mutex_lock(&mutex), 0);
    dyco_coroutine_sleep(30);
    dyco_schedcall_abort();
}

static void waits_in_vain(void *argument) {
    (void)argument;
    CHECK_EQ(pthread_mutex_lock(&mutex), 0);
    reached = 1;
}

int main(void) {
    set_kind(PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE);
    together(10, 5);
    set_kind(PTHREAD_MUTEX_ADAPTIVE_NP, PTHREAD_PRIO_NONE);
    together(10, 5);
    set_kind(PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_INHERIT);
    together(5, 2);
    set_kind(PTHREAD_MUTEX_RECURSIVE, PTHREAD_PRIO_NONE);
    in_coroutine(locks_again, (void *)0);
    set_kind(PTHREAD_MUTEX_ERRORCHECK, PTHREAD_PRIO_NONE);
    in_coroutine(locks_again, (void *)EDEADLK);
    set_kind(PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE);
    in_coroutine(waits_for_thread, NULL);
    across_threads();
    /* Ended from outside, who waits has not got it. */
    set_kind(PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE);
    spawn(keeps, NULL);
    spawn(waits_in_vain, NULL);
    CHECK_EQ(dyco_schedule_run(), -1);
    CHECK_EQ(reached, 0);
    CHECK_EQ(pthread_mutex_trylock(&mutex), EBUSY);
    return test_done();
}
