// timeout: 90
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Stop and abort from every place, while others wait on every kind of object; run again after each, a thousand times.
 * Nothing is left, neither a descriptor nor a byte.
 */
#include "sync.h"

#include <malloc.h>
#include <sys/socket.h>

static dyco_channel *chan, *full;
static dyco_pubsubchannel *ps;
static dyco_semaphore *sem;
static dyco_waitgroup *group;
static dyco_coropool *pool, *asymmetric_pool;
static int ends[2], is_abort, rounds;

/* Bytes that glibc keeps for a thread's next malloc count as used: without that cache the numbers are exact. */
static size_t tolerance(char **argv) {
    if (getenv("GLIBC_TUNABLES")) return 0;
    setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", 1);
    execv("/proc/self/exe", argv);
    return 65536;
}

static size_t heap(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* ---- What others wait for meanwhile; only an end from outside comes, or the objects' end ---- */

static void waits_receive(void *argument) {
    char byte;
    (void)argument;
    dyco_channel_recv(chan, &byte, 1, -1);
}

static void waits_send(void *argument) {
    (void)argument;
    dyco_channel_send(full, "x", 1, 100000);
}

static void waits_subscribe(void *argument) {
    char byte;
    (void)argument;
    dyco_pubsub_subscribe(ps, &byte, 1, -1);
}

static void waits_semaphore(void *argument) {
    (void)argument;
    dyco_semaphore_wait(sem, 100000);
}

static void waits_group(void *argument) {
    (void)argument;
    dyco_waitgroup_wait(group, 1000, -1);
}

static void waits_asleep(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(100000);
}

static void waits_readable(void *argument) {
    char byte;
    (void)argument;
    recv(ends[0], &byte, 1, 0);
}

static void waits_poll(void *argument) {
    struct pollfd items[2] = {{ends[0], POLLIN, 0}, {-1, POLLIN, 0}};
    (void)argument;
    poll(items, 2, 100000);
}

static void waits_pool(void *argument) {
    (void)argument;
    dyco_coropool_obtain(pool, nothing, NULL, -1);
}

static void waits_asymmetric_pool(void *argument) {
    (void)argument;
    dyco_asymcpool_obtain(asymmetric_pool, nothing, NULL, -1);
}

static void waits_chain(void *argument) {
    (void)argument;
    dyco_asymcoro_resume(dyco_asymcoro_create(waits_semaphore, NULL));
}

static void waits_ready(void *argument) {
    (void)argument;
    for (;;) dyco_coroutine_sleep(0);
}

static const proc_coroutine waiters[] = {
    waits_receive, waits_send, waits_subscribe, waits_semaphore, waits_group, waits_asleep, waits_readable,
    waits_poll, waits_pool, waits_asymmetric_pool, waits_chain, waits_ready, nothing,
};

/* ---- The places where the end comes from ---- */

static void end(void *argument) {
    (void)argument;
    if (is_abort)
        dyco_schedcall_abort();
    else
        dyco_schedcall_stop();
}

static void later(void *argument) {
    dyco_coroutine_sleep(1);
    end(argument);
}

static void in_chain(void *argument) {
    int depth = (int)(intptr_t)argument;
    if (depth == 3) end(NULL);
    dyco_asymcoro_resume(dyco_asymcoro_create(depth == 2 ? later : in_chain, (void *)(intptr_t)(depth + 1)));
}

static void after_handing_out(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(0);
    CHECK_EQ(dyco_semaphore_signal(sem), 0);
    dyco_channel_send(chan, "x", 1, 0);
    spawn(nothing, NULL);
    end(NULL);
}

static void in_asymmetric_of_pool(void *argument) {
    (void)argument;
    int cid = dyco_asymcpool_obtain(asymmetric_pool, later, NULL, 0);
    CHECK(cid > 0);
    dyco_asymcoro_resume(cid);
}

enum { COROUTINE, OWN_STACK, URGENT, POOL, CHAIN, ASYMMETRIC_POOL, HANDED_OUT, DESTROYED, PLACES };

static void destroys_all(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(0);
    dyco_channel_send(chan, "x", 1, 0);
    dyco_channel_destroy(&chan);
    dyco_channel_destroy(&full);
    dyco_pubsub_destroy(&ps);
    dyco_semaphore_destroy(&sem);
    dyco_waitgroup_destroy(&group);
    end(NULL);
}

static void place(int where) {
    switch (where) {
    case COROUTINE: spawn(later, NULL); break;
    case OWN_STACK: spawn_own(later, NULL, 16384); break;
    case URGENT: CHECK(dyco_coroutine_create_urgent(end, NULL) > 0); break;
    case POOL: CHECK(dyco_coropool_obtain(pool, later, NULL, 0) > 0); break;
    case CHAIN: spawn(in_chain, (void *)0); break;
    case ASYMMETRIC_POOL: spawn(in_asymmetric_of_pool, NULL); break;
    case HANDED_OUT: spawn(after_handing_out, NULL); break;
    default: spawn(destroys_all, NULL);
    }
}

/* Afterwards the scheduler and the objects that are left work as ever. */
static void lives(void *argument) {
    char byte;
    (void)argument;
    dyco_coroutine_sleep(0);
    CHECK_EQ(dyco_coroutine_waitRead(ends[0], 0), 0);
    if (!chan) return;
    while (dyco_channel_recv(chan, &byte, 1, 0) == 1) continue;
    CHECK_EQ(errno, ETIMEDOUT);
    CHECK_EQ(dyco_channel_send(chan, "y", 1, 0), 1);
    CHECK_EQ(dyco_channel_recv(chan, &byte, 1, 0), 1);
    CHECK_EQ(dyco_semaphore_signal(sem), 0);
    CHECK_EQ(dyco_semaphore_wait(sem, 0), 0);
    CHECK_EQ(dyco_waitgroup_wait(group, 0, 0), 0);
    CHECK_EQ(dyco_pubsub_publish(ps, "z", 1), 0);
}

static void one_round(void) {
    int where = rounds / 2 % PLACES;
    is_abort = rounds % 2;
    chan = dyco_channel_create(100);
    full = dyco_channel_create(1);
    ps = dyco_pubsub_create(0);
    sem = dyco_semaphore_create(0);
    group = dyco_waitgroup_create(3);
    pool = dyco_coropool_create(2, rounds % 3 ? 16384 : 0);
    asymmetric_pool = dyco_asymcpool_create(2, 0);
    CHECK_EQ(dyco_channel_send(full, "f", 1, 0), 1);

    CHECK(dyco_coropool_obtain(pool, waits_asleep, NULL, 0) > 0);
    int cid = dyco_asymcpool_obtain(asymmetric_pool, nothing, NULL, 0);
    CHECK(cid > 0);
    if (where == URGENT || where == ASYMMETRIC_POOL) place(where);
    for (size_t i = 0; i < COUNT(waiters); i++) {
        spawn(waiters[i], NULL);
        if (i % 2 == 0) spawn_own(waiters[i], NULL, 16384);
        if (where == POOL && i == 0) place(where);
    }
    if (where != URGENT && where != ASYMMETRIC_POOL && where != POOL) place(where);

    CHECK_EQ(dyco_schedule_run(), is_abort ? -1 : 1);
    if (is_abort) {
        CHECK_EQ(dyco_schedule_getCoroCount(), 0);
    } else {
        /* Stopped: it goes on, and is stopped again from outside of all that waits. */
        CHECK(dyco_schedule_getCoroCount() > 10);
        is_abort = 1;
        if (rounds % 4 == 0) {
            spawn(later, NULL);
            CHECK_EQ(dyco_schedule_run(), -1);
        } else {
            dyco_schedule_free(NULL);
        }
    }
    in_coroutine(lives, NULL);
    CHECK_EQ(dyco_coropool_available(pool), 2);
    CHECK_EQ(dyco_coropool_destroy(&pool), 0);
    CHECK_EQ(dyco_asymcpool_destroy(&asymmetric_pool), 0);
    dyco_channel_destroy(&chan);
    dyco_channel_destroy(&full);
    dyco_pubsub_destroy(&ps);
    dyco_semaphore_destroy(&sem);
    dyco_waitgroup_destroy(&group);
    rounds++;
}

int main(int argc, char **argv) {
    size_t slack = tolerance(argv), bytes = 0;
    int fds = 0, wanted = argc > 1 ? atoi(argv[1]) : 1000;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    for (int i = 0; i < wanted; i++) {
        one_round();
        if (i % 96 == 95) { /* each place, both ends, both pools */
            dyco_schedule_free(NULL);
            if (fds == 0) fds = count_fds(), bytes = heap();
            CHECK_EQ(count_fds(), fds);
            if (heap() > bytes + slack) TEST_FAIL("round %d: %zu bytes more", i, heap() - bytes);
        }
    }
    return test_done();
}
