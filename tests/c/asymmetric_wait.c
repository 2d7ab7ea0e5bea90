/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Calls that wait inside asymmetric coroutines: they park the coroutine that began the chain, and only that; resumed by
 * the main program they block as they do there.
 */
#include "sync.h"

#include <sys/socket.h>

static int ends[2];
static dyco_semaphore *sem;
static dyco_channel *chan;
static dyco_coropool *pool;
static dyco_waitgroup *group;
static int ticks, is_there;

/* ---- Every kind of wait, three resumes deep ---- */

static void waits_asleep(void) {
    CHECK_TAKES(20, dyco_coroutine_sleep(20));
}

static void waits_hooked(void) {
    CHECK_TAKES(20, usleep(20000));
}

static void waits_recv(void) {
    char byte = 0;
    CHECK_EQ(recv(ends[0], &byte, 1, 0), 1);
    CHECK_EQ(byte, 'r');
}

static void waits_poll(void) {
    struct pollfd item = {ends[0], POLLIN, 0};
    char byte;
    CHECK_TAKES(10, CHECK_EQ(poll(&item, 1, 10), 0));
    CHECK_EQ(poll(&item, 1, 5000), 1);
    CHECK_EQ(dyco_coroutine_waitRead(ends[0], -1), 1);
    CHECK_EQ(read(ends[0], &byte, 1), 1);
}

static void waits_semaphore(void) {
    CHECK_FAILS(dyco_semaphore_wait(sem, 10), -1, ETIMEDOUT);
    CHECK_EQ(dyco_semaphore_wait(sem, -1), 0);
}

static void waits_channel(void) {
    char byte = 0;
    CHECK_EQ(dyco_channel_recv(chan, &byte, 1, -1), 1);
    CHECK_EQ(byte, 'c');
}

static void waits_pool(void) {
    CHECK(dyco_coropool_obtain(pool, nothing, NULL, -1) > 0);
}

static void waits_group(void) {
    CHECK_EQ(dyco_waitgroup_wait(group, 0, -1), 1);
}

static void (*const kinds[])(void) = {waits_asleep, waits_hooked, waits_recv, waits_poll,
                                      waits_semaphore, waits_channel, waits_pool, waits_group};

/* What each of them waits for, by a coroutine of its own. */
static void helps(void *argument) {
    intptr_t kind = (intptr_t)argument;
    if (kinds[kind] == waits_group) CHECK_EQ(dyco_waitgroup_add(group, dyco_coroutine_coroID()), 1);
    while (!is_there) dyco_coroutine_sleep(1);
    dyco_coroutine_sleep(60);
    if (kinds[kind] == waits_recv || kinds[kind] == waits_poll) CHECK_EQ(send(ends[1], "r", 1, 0), 1);
    if (kinds[kind] == waits_semaphore) CHECK_EQ(dyco_semaphore_signal(sem), 0);
    if (kinds[kind] == waits_channel) CHECK_EQ(dyco_channel_send(chan, "c", 1, 0), 1);
    if (kinds[kind] == waits_group) CHECK_EQ(dyco_waitgroup_done(group), 1);
}

static void holds_pool(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(40);
}

static int is_over;

/* The others go on. */
static void ticker(void *argument) {
    (void)argument;
    while (!is_over) {
        ticks++;
        dyco_coroutine_sleep(1);
    }
}

struct level {
    int depth, kind;
};

static void deep(void *argument) {
    struct level *level = argument;
    volatile char guard[2000];
    memset((char *)guard, level->depth, sizeof guard);
    if (level->depth == 3) {
        is_there = 1;
        kinds[level->kind]();
    } else {
        struct level next = {level->depth + 1, level->kind};
        int cid = dyco_asymcoro_create(deep, &next);
        CHECK_EQ(dyco_asymcoro_resume(cid), cid);
        CHECK_EQ(dyco_asymcoro_resume(cid), 0);
        dyco_asymcoro_free(cid);
    }
    for (size_t i = 0; i < sizeof guard; i++) CHECK_EQ(guard[i], level->depth);
    dyco_asymcoro_yield();
}

static void root(void *argument) {
    struct level *level = argument;
    volatile char guard[3000];
    memset((char *)guard, 77, sizeof guard);
    int before = ticks;
    int cid = dyco_asymcoro_create(deep, level);
    CHECK_EQ(dyco_asymcoro_resume(cid), cid);
    CHECK(ticks > before);
    CHECK_EQ(dyco_asymcoro_resume(cid), 0);
    dyco_asymcoro_free(cid);
    for (size_t i = 0; i < sizeof guard; i++) CHECK_EQ(guard[i], 77);
    is_over = 1;
}

static void inside(int own_stack) {
    for (intptr_t kind = 0; kind < (intptr_t)COUNT(kinds); kind++) {
        static struct level level;
        level = (struct level){1, (int)kind};
        is_over = is_there = 0;
        if (kinds[kind] == waits_pool) CHECK(dyco_coropool_obtain(pool, holds_pool, NULL, 0) > 0);
        if (kinds[kind] == waits_group) group = dyco_waitgroup_create(1);
        spawn(helps, (void *)kind);
        int cid = spawn(root, &level);
        if (own_stack) CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 65536), 1);
        spawn(ticker, NULL);
        run_all();
        if (kinds[kind] == waits_group) dyco_waitgroup_destroy(&group);
    }
}

/* ---- Many chains at a time on the shared stack ---- */

static int alive;

static void wanders(void *argument) {
    for (int i = 0; i < 5; i++) {
        dyco_coroutine_sleep((uint32_t)((intptr_t)argument % 5));
        dyco_asymcoro_yield();
    }
}

static void drives(void *argument) {
    volatile intptr_t mark = (intptr_t)argument;
    int cid = dyco_asymcoro_create(wanders, argument), rounds = 0, result;
    alive++;
    while ((result = dyco_asymcoro_resume(cid)) == cid) rounds++;
    CHECK_EQ(result, 0);
    CHECK_EQ(rounds, 5);
    CHECK_EQ(mark, (intptr_t)argument);
    dyco_asymcoro_free(cid);
    alive--;
}

/* ---- In the main program ---- */

static void *answers(void *argument) {
    (void)argument;
    struct timespec pause = {0, 30000000};
    nanosleep(&pause, NULL);
    CHECK_EQ(send(ends[1], "r", 1, 0), 1);
    return NULL;
}

static void blocks(void *argument) {
    char byte;
    (void)argument;
    CHECK_TAKES(20, dyco_coroutine_sleep(20));
    CHECK_TAKES(20, usleep(20000));
    CHECK_EQ(recv(ends[0], &byte, 1, 0), 1);
    CHECK_FAILS(dyco_semaphore_wait(sem, -1), -1, EPERM);
    CHECK_FAILS(dyco_channel_recv(chan, &byte, 1, 10), -1, EPERM);
    CHECK_FAILS(dyco_semaphore_wait(sem, 0), -1, ETIMEDOUT);
}

static void outside(void) {
    pthread_t thread;
    int cid = dyco_asymcoro_create(blocks, NULL);
    CHECK_EQ(pthread_create(&thread, NULL, answers, NULL), 0);
    CHECK_EQ(dyco_asymcoro_resume(cid), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    dyco_asymcoro_free(cid);
}

/* ---- The scheduler ends while a chain waits ---- */

static void resumes_for_ever(void *argument) {
    (void)argument;
    dyco_asymcoro_resume(dyco_asymcoro_create(wanders, (void *)4));
    waits_channel();
}

static void aborts(void *argument) {
    (void)argument;
    dyco_schedcall_abort();
}

static void stops(void *argument) {
    (void)argument;
    dyco_schedcall_stop();
}

static void ended(void) {
    for (int i = 0; i < 50; i++) {
        for (int k = 0; k < 3; k++) spawn(resumes_for_ever, NULL);
        spawn(i % 2 ? aborts : stops, NULL);
        CHECK_EQ(dyco_schedule_run(), i % 2 ? -1 : 1);
        if (i % 2 == 0) dyco_schedule_free(NULL);
        CHECK(dyco_schedule_getCoroCount() <= 0);
    }
}

int main(void) {
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    sem = dyco_semaphore_create(0);
    chan = dyco_channel_create(1);
    pool = dyco_coropool_create(1, 0);
    inside(0);
    inside(1);
    for (intptr_t i = 0; i < 300; i++) spawn(drives, (void *)i);
    run_all();
    CHECK_EQ(alive, 0);
    outside();
    ended();
    dyco_semaphore_destroy(&sem);
    dyco_channel_destroy(&chan);
    CHECK_EQ(dyco_coropool_destroy(&pool), 0);
    return test_done();
}
