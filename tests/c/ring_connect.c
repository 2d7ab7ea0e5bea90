// timeout: 60
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * connect by io_uring, together with what others do: each gets the connection that it asked for, wherever its address lies; a
 * socket that was refused, at once or late, may be used again, one that is connected stays so; deadlines, closes by this thread
 * and by another, ends from outside and forks while connects wait.
 */
#include "net.h"

#include <sys/wait.h>

#define CLIENTS 100
#define LISTENERS 7

static union address where[LISTENERS];
static socklen_t lengths[LISTENERS];
static int family, listening[LISTENERS], fds[CLIENTS], ended, gave_way, company, expected_errno;

static void companion(void *argument) {
    (void)argument;
    while (company) dyco_coroutine_sleep(0);
}

static void begin_company(void) {
    company = 1;
    spawn_own(companion, NULL, 0x4000);
}

static void listen_anew(int backlog) {
    for (int i = 0; i < LISTENERS; i++) listening[i] = listener(family, SOCK_STREAM, backlog, &where[i], &lengths[i]);
}

static void close_listeners(void) {
    for (int i = 0; i < LISTENERS; i++) CHECK_EQ(close(listening[i]), 0);
}

static void spawn_clients(proc_coroutine client) {
    ended = gave_way = 0;
    for (int i = 0; i < CLIENTS; i++) {
        CHECK((fds[i] = socket(family, SOCK_STREAM, 0)) >= 0);
        if (i % 3) spawn_shared(client, (void *)(intptr_t)i);
        else spawn_own(client, (void *)(intptr_t)i, 0x4000);
    }
}

static void all_end(void) {
    for (int i = 0; i < 2000 && ended < CLIENTS; i++) dyco_coroutine_sleep(5);
    CHECK_EQ(ended, CLIENTS);
}

/* A connect, and whether it has given way. */
static int connect_counted(int i, const union address *address) {
    int me = dyco_coroutine_coroID(), before = dyco_coroutine_getSchedCount(me);
    int result = connect(fds[i], &address->any, lengths[i % LISTENERS]);
    gave_way += dyco_coroutine_getSchedCount(me) > before;
    return result;
}

static void is_connected(int fd, const union address *address, socklen_t its_length) {
    union address peer;
    socklen_t length = sizeof peer;
    CHECK_EQ(getpeername(fd, &peer.any, &length), 0);
    CHECK_EQ(length, its_length);
    CHECK_EQ(memcmp(&peer, address, length), 0);
}

/* The frames of those on shared stacks lie at the same place, but the addresses in them differ. */
static void client(void *argument) {
    int i = (int)(intptr_t)argument;
    union address mine = where[i % LISTENERS];
    CHECK_EQ(connect_counted(i, &mine), 0);
    is_connected(fds[i], &where[i % LISTENERS], lengths[i % LISTENERS]);
    CHECK_EQ(close(fds[i]), 0);
    ended++;
}

static void client_of_heap(void *argument) {
    int i = (int)(intptr_t)argument;
    union address *mine = malloc(sizeof *mine);
    CHECK(mine != NULL);
    *mine = where[i % LISTENERS];
    CHECK_EQ(connect_counted(i, mine), 0);
    free(mine);
    is_connected(fds[i], &where[i % LISTENERS], lengths[i % LISTENERS]);
    CHECK_EQ(close(fds[i]), 0);
    ended++;
}

static void crowd(void) {
    listen_anew(CLIENTS);
    spawn_clients(client);
    all_end();
    if (has_ring()) CHECK(gave_way > CLIENTS / 2);
    spawn_clients(client_of_heap);
    all_end();
    if (has_ring()) CHECK(gave_way > CLIENTS / 2);
    close_listeners();
}

static char too_long[200];

static void refused_client(void *argument) {
    int i = (int)(intptr_t)argument;
    union address mine = where[i % LISTENERS];
    CHECK_ERRNO(connect_counted(i, &mine), ECONNREFUSED);
    CHECK_EQ(listen(listening[i % LISTENERS], CLIENTS), 0);
    CHECK_EQ(connect_counted(i, &mine), 0);
    is_connected(fds[i], &mine, lengths[i % LISTENERS]);
    /* Neither of these makes a connection end. */
    CHECK_ERRNO(connect_counted(i, &mine), EISCONN);
    CHECK_ERRNO(connect(fds[i], &mine.any, 1), EINVAL);
    CHECK_ERRNO(connect(fds[i], (struct sockaddr *)(void *)8, lengths[i % LISTENERS]), EFAULT);
    CHECK_ERRNO(connect(fds[i], (struct sockaddr *)(void *)too_long, sizeof too_long), EINVAL);
    is_connected(fds[i], &mine, lengths[i % LISTENERS]);
    CHECK_EQ(send(fds[i], "x", 1, 0), 1);
    CHECK_EQ(close(fds[i]), 0);
    ended++;
}

/* Sockets that are refused, then connected, then asked to connect once more. */
static void refused(void) {
    for (int i = 0; i < LISTENERS; i++) listening[i] = bound(family, SOCK_STREAM, &where[i], &lengths[i]);
    begin_company();
    ended = gave_way = 0;
    for (int i = 0; i < LISTENERS; i++) {
        CHECK((fds[i] = socket(family, SOCK_STREAM, 0)) >= 0);
        spawn(refused_client, (void *)(intptr_t)i);
    }
    for (int i = 0; i < 1000 && ended < LISTENERS; i++) dyco_coroutine_sleep(5);
    CHECK_EQ(ended, LISTENERS);
    if (has_ring()) CHECK_EQ(gave_way, 3 * LISTENERS);
    company = 0;
    close_listeners();
}

static void shut_client(void *argument) {
    int i = (int)(intptr_t)argument;
    struct sockaddr other[8] = {{.sa_family = AF_APPLETALK}};
    char b;
    CHECK_ERRNO(shutdown(fds[i], SHUT_RD), ENOTCONN);
    CHECK_ERRNO(connect(fds[i], other, lengths[0]), EAFNOSUPPORT);
    CHECK_EQ(recv(fds[i], &b, 1, 0), 0);
    CHECK_EQ(close(fds[i]), 0);
    ended++;
}

/* What has been shut down stays so when it is asked to connect to an address of another kind. */
static void wrong_family(void) {
    if (family == AF_UNIX) return;
    begin_company();
    spawn_clients(shut_client);
    all_end();
    company = 0;
}

static void at_once(void *argument) {
    int i = (int)(intptr_t)argument, result;
    set_nonblock(fds[i], 1);
    result = connect_counted(i, &where[i % LISTENERS]);
    CHECK(result == 0 || errno == EINPROGRESS);
    CHECK_EQ(gave_way, 0);
    CHECK_EQ(close(fds[i]), 0);
    ended++;
}

static void nonblocking(void) {
    listen_anew(CLIENTS);
    spawn_clients(at_once);
    all_end();
    close_listeners();
}

/* Alone there is nobody to share a call with. */
static void alone(void *argument) {
    listen_anew(1);
    gave_way = 0;
    CHECK((fds[0] = socket(family, SOCK_STREAM, 0)) >= 0);
    CHECK_EQ(connect_counted(0, &where[0]), 0);
    CHECK_EQ(gave_way, 0);
    CHECK_EQ(close(fds[0]), 0);
    close_listeners();
    (void)argument;
}

static int fillers[LISTENERS];

/* Listeners whose queues are full: each has room for one. */
static void listen_full(void) {
    listen_anew(0);
    for (int i = 0; i < LISTENERS; i++) {
        CHECK((fillers[i] = socket(family, SOCK_STREAM, 0)) >= 0);
        CHECK_EQ(syscall(SYS_connect, fillers[i], &where[i], lengths[i]), 0);
    }
}

static void close_fillers(void) {
    for (int i = 0; i < LISTENERS; i++) CHECK_EQ(close(fillers[i]), 0);
}

static void waiting_client(void *argument) {
    int i = (int)(intptr_t)argument;
    union address mine = where[i % LISTENERS];
    CHECK_ERRNO(connect(fds[i], &mine.any, lengths[i % LISTENERS]), expected_errno);
    ended++;
}

static void all_wait(int error, int timeout) {
    expected_errno = error;
    spawn_clients(waiting_client);
    for (int i = 0; i < CLIENTS; i++) set_timeout(fds[i], SO_SNDTIMEO, timeout);
    dyco_coroutine_sleep(20);
    if (timeout == 0) CHECK_EQ(ended, 0);
}

static void close_clients(void) {
    for (int i = 0; i < CLIENTS; i++) CHECK_EQ(close(fds[i]), 0);
}

static void timed_out(void) {
    int64_t begin = now_ms();
    all_wait(family == AF_UNIX ? EAGAIN : EINPROGRESS, 100);
    all_end();
    CHECK_TOOK(now_ms() - begin, 99, 4000);
    /* The call waits, and what the kernel has to do for the thread's ring may interrupt it. */
    for (int i = 0; i < 1 && family != AF_UNIX; i++)
        CHECK_ERRNO(TEMP_FAILURE_RETRY(syscall(SYS_connect, fds[i], &where[0], lengths[0])), EALREADY);
    close_clients();
}

static void closed_here(void) {
    all_wait(EBADF, 0);
    close_clients();
    all_end();
}

static void *close_them(void *argument) {
    close_clients();
    return argument;
}

static void closed_by_another_thread(void) {
    pthread_t thread;
    all_wait(EBADF, 0);
    CHECK_EQ(pthread_create(&thread, NULL, close_them, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    all_end();
}

static void refused_late(void *argument) {
    int i = (int)(intptr_t)argument, other;
    union address mine = where[i % LISTENERS], others;
    socklen_t length;
    CHECK_ERRNO(connect(fds[i], &mine.any, lengths[i % LISTENERS]), ECONNREFUSED);
    other = listener(family, SOCK_STREAM, 1, &others, &length);
    /* io_uring asks twice, and would not show it. */
    CHECK_EQ(syscall(SYS_connect, fds[i], &others, length), 0);
    is_connected(fds[i], &others, length);
    CHECK_EQ(close(other), 0);
    CHECK_EQ(close(fds[i]), 0);
    ended++;
}

/* TCP asks again after a second, and finds that nobody listens. */
static void listeners_go(void) {
    spawn_clients(refused_late);
    dyco_coroutine_sleep(20);
    CHECK_EQ(ended, 0);
    close_listeners();
    close_fillers();
    all_end();
}

static void all(void *argument) {
    static const int families[] = {AF_UNIX, AF_INET, AF_INET6};
    (void)argument;
    for (size_t i = 0; i < COUNT(families); i++) {
        family = families[i];
        if (family == AF_INET6 && !has_ipv6()) continue;
        crowd();
        refused();
        wrong_family();
        nonblocking();
        listen_full();
        timed_out();
        closed_here();
        closed_by_another_thread();
        listeners_go();
    }
}

/* Ends from outside: some wait, and others' connects the kernel has not got yet. */
static void last_clients(void) {
    for (int i = 0; i < CLIENTS; i++) {
        if (i == CLIENTS / 2) dyco_coroutine_sleep(10);
        CHECK((fds[i] = socket(family, SOCK_STREAM, 0)) >= 0);
        spawn(waiting_client, (void *)(intptr_t)i);
    }
    dyco_coroutine_sleep(0);
}

static void abort_all(void *argument) {
    (void)argument;
    last_clients();
    dyco_schedcall_abort();
}

static void stop_all(void *argument) {
    (void)argument;
    last_clients();
    dyco_schedcall_stop();
}

static void exit_thread(void *argument) {
    (void)argument;
    last_clients();
    pthread_exit(NULL);
}

/* Only the caller goes on in the child. */
static void fork_inside(void *argument) {
    int status;
    (void)argument;
    last_clients();
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(20);
        dyco_coroutine_sleep(20);
        CHECK_EQ(ended, 0);
        CHECK_EQ(dyco_schedule_getCoroCount(), 1);
        _exit(0);
    }
    CHECK_EQ(syscall(SYS_wait4, child, &status, 0, NULL), child);
    CHECK_EQ(status, 0);
    expected_errno = EBADF;
    close_clients();
    all_end();
}

static void *thread(void *end) {
    ended = 0;
    listen_full();
    spawn_own(*(proc_coroutine *)end, NULL, 0x8000);
    dyco_schedule_run();
    if (*(proc_coroutine *)end == stop_all) dyco_schedule_free(NULL);
    return NULL;
}

static void with_thread(proc_coroutine end) {
    pthread_t id;
    int before = count_fds();
    CHECK_EQ(pthread_create(&id, NULL, thread, &end), 0);
    CHECK_EQ(pthread_join(id, NULL), 0);
    close_listeners();
    close_fillers();
    if (end != fork_inside) close_clients();
    CHECK_EQ(count_fds(), before);
}

static void stop_soon(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(20);
    dyco_schedcall_stop();
}

/* Outside coroutines: both have them all, and in both they find out what becomes of the connection. */
static void fork_outside(void) {
    int status;
    ended = 0;
    listen_full();
    expected_errno = ECONNREFUSED;
    for (int i = 0; i < CLIENTS; i++) {
        CHECK((fds[i] = socket(family, SOCK_STREAM, 0)) >= 0);
        spawn(waiting_client, (void *)(intptr_t)i);
    }
    spawn_own(stop_soon, NULL, 0x4000);
    CHECK_EQ(dyco_schedule_run(), 1);
    pid_t child = fork();
    CHECK(child >= 0);
    close_listeners();
    if (child == 0) {
        /* Each socket's failure is told once. */
        dyco_schedule_free(NULL);
        _exit(0);
    }
    CHECK_EQ(syscall(SYS_wait4, child, &status, 0, NULL), child);
    CHECK_EQ(status, 0);
    close_fillers();
    run_all();
    CHECK_EQ(ended, CLIENTS);
    close_clients();
}

int main(void) {
    CHECK_EQ(setenv("DYCO_POLLER", "io_uring", 1), 0);
    warm_up();
    int before = count_fds();
    spawn_own(all, NULL, 0x10000);
    run_all();
    /* TCP takes a moment. */
    family = AF_UNIX;
    spawn_own(alone, NULL, 0x8000);
    run_all();
    family = AF_INET;
    CHECK_EQ(count_fds(), before);
    with_thread(abort_all);
    with_thread(stop_all);
    with_thread(exit_thread);
    with_thread(fork_inside);
    fork_outside();
    CHECK_EQ(count_fds(), before);
    return test_done();
}
