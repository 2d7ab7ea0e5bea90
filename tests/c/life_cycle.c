// busy: much
// timeout: 90
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Stop and abort from every place, while others wait on every kind of object; run again after each, a thousand times.
 * Nothing is left, neither a descriptor nor a byte.
 */
#include "sync.h"
#include "heap.h"

#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

static dyco_channel *chan, *full;
static dyco_pubsubchannel *ps;
static dyco_semaphore *sem;
static dyco_waitgroup *group;
static dyco_coropool *pool, *asymmetric_pool;
static int ends[2], full_ends[2], pipe_ends[2], listening, crowded, set, is_abort, rounds;
static struct sockaddr_un crowded_at = {.sun_family = AF_UNIX};
static socklen_t crowded_length;
static int connecting[2], next_connecting;
static pid_t child;

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

static void waits_received_all(void *argument) {
    char bytes[2];
    (void)argument;
    dyco_recv(ends[0], bytes, 2, MSG_WAITALL);
}

static void waits_writable(void *argument) {
    (void)argument;
    send(full_ends[0], "x", 1, 0);
}

static void waits_pipe(void *argument) {
    char byte;
    (void)argument;
    CHECK(read(pipe_ends[0], &byte, 1) < 0);
}

static void waits_accept(void *argument) {
    (void)argument;
    accept(listening, NULL, NULL);
}

/* Nobody is told when there is room in a backlog again. Descriptors that are open at the end stay open. */
static void waits_connect(void *argument) {
    (void)argument;
    connect(connecting[next_connecting++ % 2], (struct sockaddr *)&crowded_at, crowded_length);
}

static void waits_for_reading(void *argument) {
    (void)argument;
    dyco_coroutine_waitRead(ends[0], -1);
}

static void waits_for_writing(void *argument) {
    (void)argument;
    dyco_coroutine_waitWrite(full_ends[0], 100000);
}

static void waits_for_both(void *argument) {
    (void)argument;
    dyco_coroutine_waitRW(full_ends[0], -1);
}

static void waits_poll(void *argument) {
    struct pollfd items[4] = {{ends[0], POLLIN, 0}, {-1, POLLIN, 0}, {full_ends[0], POLLOUT, 0}, {ends[0], POLLPRI, 0}};
    (void)argument;
    poll(items, 4, 100000);
}

static void waits_select(void *argument) {
    fd_set readable, writable;
    (void)argument;
    FD_ZERO(&readable);
    FD_ZERO(&writable);
    FD_SET(ends[0], &readable);
    FD_SET(full_ends[0], &writable);
    select(full_ends[0] + ends[0] + 1, &readable, &writable, NULL, NULL);
}

static void waits_epoll(void *argument) {
    struct epoll_event events[4];
    (void)argument;
    epoll_wait(set, events, 4, -1);
}

static void waits_own_epoll(void *argument) {
    struct epoll_event events[4], readable = {.events = EPOLLIN};
    (void)argument;
    CHECK_EQ(dyco_epoll_init(), 0);
    CHECK_EQ(dyco_epoll_add(ends[0], &readable), 0);
    dyco_epoll_wait(events, 4, 100000);
}

static void waits_signal(void *argument) {
    struct signalfd_siginfo info;
    sigset_t mask;
    (void)argument;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    CHECK_EQ(dyco_signal_init(&mask), 0);
    dyco_signal_wait(&info, 100000);
}

static void waits_child(void *argument) {
    int status;
    (void)argument;
    dyco_signal_waitchild(child, &status, -1);
}

static void waits_any_child(void *argument) {
    int status;
    (void)argument;
    waitpid(-1, &status, 0);
}

static void waits_time(void *argument) {
    (void)argument;
    nanosleep(&(struct timespec){100, 1}, NULL);
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

/* A chain whose last member waits for what comes with the cid: events, a signal, a place in a pool. */
static void waits_deeper(void *argument) {
    int depth = (int)(intptr_t)argument;
    static const proc_coroutine deepest[] = {waits_own_epoll, waits_signal, waits_pool, waits_poll, waits_any_child};
    int cid = depth == 3 ? dyco_asymcoro_create(deepest[rounds % COUNT(deepest)], NULL)
                         : dyco_asymcoro_create(waits_deeper, (void *)(intptr_t)(depth + 1));
    dyco_asymcoro_resume(cid);
}

static const proc_coroutine waiters[] = {
    waits_receive, waits_send, waits_subscribe, waits_semaphore, waits_group, waits_asleep, waits_readable,
    waits_received_all, waits_writable, waits_pipe, waits_accept, waits_connect, waits_for_reading, waits_for_writing,
    waits_for_both, waits_poll, waits_select, waits_epoll, waits_own_epoll, waits_signal, waits_child, waits_any_child,
    waits_time, waits_pool, waits_asymmetric_pool, waits_chain, waits_deeper, waits_ready, nothing,
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

/* The end comes when the subscribers have been woken and have yet to take their copies. */
static void publishes(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(0);
    CHECK(dyco_coroutine_create_urgent(end, NULL) > 0);
    dyco_pubsub_publish(ps, "x", 1);
    for (;;) dyco_coroutine_sleep(1000);
}

static void in_asymmetric_of_pool(void *argument) {
    (void)argument;
    int cid = dyco_asymcpool_obtain(asymmetric_pool, later, NULL, 0);
    CHECK(cid > 0);
    dyco_asymcoro_resume(cid);
}

enum { COROUTINE, OWN_STACK, URGENT, POOL, CHAIN, ASYMMETRIC_POOL, HANDED_OUT, PUBLISHED, DESTROYED, PLACES };

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
    case PUBLISHED: spawn(publishes, NULL); break;
    default: spawn(destroys_all, NULL);
    }
}

/* Afterwards the scheduler and the objects that are left work as ever. */
static void lives(void *argument) {
    char byte;
    (void)argument;
    dyco_coroutine_sleep(0);
    CHECK_EQ(dyco_coroutine_waitRead(ends[0], 0), 0);
    CHECK_EQ(dyco_coroutine_waitWrite(full_ends[0], 0), 0);
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
        /* All of them have waited. */
        if (where == COROUTINE) CHECK(dyco_schedule_getCoroCount() > (int)COUNT(waiters) * 3 / 2);
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

/* Descriptors on which every kind of wait lasts. */
static void prepare(void) {
    struct epoll_event readable = {.events = EPOLLIN};
    static char zeros[65536];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, full_ends), 0);
    while (send(full_ends[0], zeros, sizeof zeros, MSG_DONTWAIT) > 0) continue;
    CHECK_EQ(pipe(pipe_ends), 0);
    CHECK((listening = socket(AF_INET, SOCK_STREAM, 0)) >= 0);
    CHECK_EQ(listen(listening, 5), 0);
    CHECK((set = epoll_create1(0)) >= 0);
    CHECK_EQ(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &readable), 0);

    int length = snprintf(crowded_at.sun_path + 1, sizeof crowded_at.sun_path - 1, "dyco-life-%d", getpid());
    crowded_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
    CHECK((crowded = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0);
    CHECK_EQ(bind(crowded, (struct sockaddr *)&crowded_at, crowded_length), 0);
    CHECK_EQ(listen(crowded, 0), 0);
    CHECK_EQ(connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&crowded_at, crowded_length), 0);
    for (int i = 0; i < 2; i++) CHECK((connecting[i] = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0);

    CHECK((child = fork()) >= 0);
    if (child == 0) {
        pause();
        _exit(0);
    }
}

int main(int argc, char **argv) {
    size_t slack = heap_start(argv), bytes = 0;
    int fds = 0, status, wanted = argc > 1 ? atoi(argv[1]) : 1000;
    prepare();
    for (int i = 0; i < wanted; i++) {
        one_round();
        if (i % 108 == 107) { /* each place, both ends, both pools */
            dyco_schedule_free(NULL);
            if (fds == 0) fds = count_fds(), bytes = heap();
            CHECK_EQ(count_fds(), fds);
            if (heap() > bytes + slack) TEST_FAIL("round %d: %zu bytes more", i, heap() - bytes);
        }
    }
    sigset_t mask;
    CHECK_EQ(sigprocmask(SIG_BLOCK, NULL, &mask), 0);
    CHECK(!sigismember(&mask, SIGUSR1));
    CHECK_EQ(kill(child, SIGKILL), 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    return test_done();
}
