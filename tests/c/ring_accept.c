// timeout: 60
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * accept by io_uring: a crowd, a deadline, a close by this thread and by another, a shutdown, ends from outside, forks. No
 * connection is lost, served twice or left open by nobody, and none waits for a thread that is busy while another is not.
 */
#include "net.h"

#include <sys/wait.h>

#define CLIENTS 200

static union address where;
static socklen_t where_length;
static int listening, served, ended, expected_errno;

static void listen_anew(void) {
    listening = listener(AF_INET, SOCK_STREAM, 512, &where, &where_length);
}

/* In the kernel: no coroutine waits for it. */
static int client(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    CHECK_EQ(syscall(SYS_connect, fd, &where, where_length), 0);
    return fd;
}

/* Nobody has it, or ever will. */
static void is_over(int fd) {
    char b;
    ssize_t got = -1;
    for (int i = 0; i < 1000 && (got = syscall(SYS_recvfrom, fd, &b, 1, MSG_DONTWAIT, NULL, NULL)) < 0 && errno == EAGAIN; i++)
        syscall(SYS_nanosleep, &(struct timespec){0, 1000000}, NULL);
    CHECK(got == 0 || errno == ECONNRESET);
    CHECK_EQ(close(fd), 0);
}

/* Each one's address is its own. */
static void acceptor(void *argument) {
    (void)argument;
    for (int flags = 0;; flags ^= SOCK_CLOEXEC) {
        union address peer, really;
        socklen_t length = sizeof peer, really_length = sizeof really;
        int fd = accept4(listening, &peer.any, &length, flags);
        if (fd < 0) break;
        CHECK_EQ(fcntl(fd, F_GETFD), flags ? FD_CLOEXEC : 0);
        CHECK_EQ(getpeername(fd, &really.any, &really_length), 0);
        CHECK_EQ(length, really_length);
        CHECK_EQ(memcmp(&peer, &really, length), 0);
        CHECK_EQ(close(fd), 0);
        served++;
    }
    CHECK_EQ(errno, expected_errno);
    ended++;
}

static void all_wait(int acceptors, int error) {
    expected_errno = error;
    ended = served = 0;
    listen_anew();
    for (int i = 0; i < acceptors; i++) spawn_own(acceptor, NULL, 0x4000);
    dyco_coroutine_sleep(20);
    CHECK_EQ(ended, 0);
}

static void all_end(int acceptors) {
    for (int i = 0; i < 1000 && ended < acceptors; i++) dyco_coroutine_sleep(5);
    CHECK_EQ(ended, acceptors);
}

static void crowd(int acceptors, int each) {
    int fds[CLIENTS];
    all_wait(acceptors, EBADF);
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = client();
        if (i % each == 0) dyco_coroutine_sleep(1);
    }
    for (int i = 0; i < 1000 && served < CLIENTS; i++) dyco_coroutine_sleep(5);
    CHECK_EQ(served, CLIENTS);
    CHECK_EQ(close(listening), 0);
    for (int i = 0; i < CLIENTS; i++) is_over(fds[i]);
    all_end(acceptors);
}

/* The kernel listens no more as soon as close has returned. */
static void closed_here(void) {
    all_wait(5, EBADF);
    CHECK_EQ(close(listening), 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERRNO(syscall(SYS_connect, fd, &where, where_length), ECONNREFUSED);
    CHECK_EQ(close(fd), 0);
    all_end(5);
}

static void *close_it(void *argument) {
    CHECK_EQ(close(listening), 0);
    return argument;
}

static void closed_by_another_thread(void) {
    pthread_t thread;
    all_wait(5, EBADF);
    CHECK_EQ(pthread_create(&thread, NULL, close_it, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    all_end(5);
}

static void shut_down(void) {
    all_wait(5, EINVAL);
    CHECK_EQ(shutdown(listening, SHUT_RD), 0);
    all_end(5);
    CHECK_EQ(close(listening), 0);
}

static void timed_out(void) {
    listen_anew();
    set_timeout(listening, SO_RCVTIMEO, 50);
    for (int i = 0; i < 3; i++) {
        int64_t begin = now_ms();
        CHECK_ERRNO(accept(listening, NULL, NULL), EAGAIN);
        CHECK_TOOK(now_ms() - begin, 49, 4000);
        int fd = client(), accepted = accept(listening, NULL, NULL);
        CHECK(accepted >= 0);
        CHECK_EQ(close(accepted), 0);
        is_over(fd);
    }
    CHECK_EQ(close(listening), 0);
}

/* Deadlines and connections meet: each connection comes once. */
static void *connect_often(void *argument) {
    unsigned random = 1;
    for (int i = 0; i < CLIENTS; i++) {
        struct timespec pause = {0, (random = random * 1103515245 + 12345) % 2000000};
        ((int *)argument)[i] = client();
        syscall(SYS_nanosleep, &pause, NULL);
    }
    return NULL;
}

static void too_late(void) {
    int fds[CLIENTS], timeouts = 0;
    pthread_t thread;
    listen_anew();
    set_timeout(listening, SO_RCVTIMEO, 1);
    CHECK_EQ(pthread_create(&thread, NULL, connect_often, fds), 0);
    for (int i = 0; i < CLIENTS;) {
        int fd = accept(listening, NULL, NULL);
        if (fd >= 0) {
            CHECK_EQ(close(fd), 0);
            i++;
        } else {
            CHECK_EQ(errno, EAGAIN);
            timeouts++;
        }
    }
    CHECK(timeouts > 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(close(listening), 0);
    for (int i = 0; i < CLIENTS; i++) is_over(fds[i]);
}

static int last;

/* A connection that has been accepted for a coroutine before that could run. */
static void after_accept(void (*action)(void)) {
    dyco_coroutine_setUrgent(dyco_coroutine_coroID());
    dyco_coroutine_sleep(10);
    last = client();
    for (int i = 0; i < 60; i++) {
        syscall(SYS_nanosleep, &(struct timespec){0, 100000}, NULL);
        dyco_coroutine_sleep(0);
    }
    CHECK_EQ(served, 0);
    action();
}

static void abort_all(void *argument) {
    (void)argument;
    after_accept(dyco_schedcall_abort);
}

static void stop_all(void *argument) {
    (void)argument;
    after_accept(dyco_schedcall_stop);
}

static void leave_thread(void) {
    pthread_exit(NULL);
}

static void exit_thread(void *argument) {
    (void)argument;
    after_accept(leave_thread);
}

/* Only the caller goes on in the child; the others' connection is the parent's alone. */
static void fork_now(void) {
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(20);
        CHECK_EQ(served, 0);
        for (;;) syscall(SYS_nanosleep, &(struct timespec){1, 0}, NULL);
    }
    while (served == 0) dyco_coroutine_sleep(1);
    is_over(dup(last));
    CHECK_EQ(kill(child, SIGKILL), 0);
    CHECK_EQ(syscall(SYS_wait4, child, &status, 0, NULL), child);
    CHECK_EQ(WTERMSIG(status), SIGKILL);
    CHECK_EQ(close(listening), 0);
}

static void fork_inside(void *argument) {
    (void)argument;
    after_accept(fork_now);
}

static void *thread(void *end) {
    expected_errno = EBADF;
    served = ended = 0;
    listen_anew();
    spawn_own(acceptor, NULL, 0x4000);
    spawn_own(*(proc_coroutine *)end, NULL, 0x4000);
    dyco_schedule_run();
    if (*(proc_coroutine *)end == stop_all) dyco_schedule_free(NULL);
    return NULL;
}

static void with_thread(proc_coroutine end) {
    pthread_t id;
    int fds = count_fds();
    CHECK_EQ(pthread_create(&id, NULL, thread, &end), 0);
    CHECK_EQ(pthread_join(id, NULL), 0);
    if (end != fork_inside) CHECK_EQ(close(listening), 0);
    is_over(last);
    CHECK_EQ(count_fds(), fds);
}

/* Outside coroutines: the child has them all, and each waits anew. */
static void fork_outside(void) {
    int status;
    expected_errno = EBADF;
    served = ended = 0;
    listen_anew();
    spawn_own(acceptor, NULL, 0x4000);
    spawn_own(acceptor, NULL, 0x4000);
    run_a_while();
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) alarm(20);
    else CHECK_EQ(syscall(SYS_wait4, child, &status, 0, NULL), child);
    if (child != 0) CHECK_EQ(status, 0);
    int fd = client();
    run_a_while();
    CHECK_EQ(served, 1);
    CHECK_EQ(close(listening), 0);
    is_over(fd);
    run_all();
    CHECK_EQ(ended, 2);
    if (child == 0) _exit(0);
}

static int ready, busy;

static void busy_for_long(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(20);
    __atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(&busy, __ATOMIC_ACQUIRE)) continue;
}

static void accept_and_close(void *argument) {
    int fd;
    (void)argument;
    while ((fd = accept(listening, NULL, NULL)) >= 0) CHECK_EQ(close(fd), 0);
}

static void *busy_thread(void *argument) {
    spawn_own(accept_and_close, NULL, 0x4000);
    spawn_own(busy_for_long, NULL, 0x4000);
    run_all();
    return argument;
}

static void *idle_thread(void *argument) {
    spawn_own(accept_and_close, NULL, 0x4000);
    run_all();
    return argument;
}

static void one_is_busy(void) {
    pthread_t threads[2];
    listen_anew();
    busy = 1;
    CHECK_EQ(pthread_create(&threads[0], NULL, busy_thread, NULL), 0);
    while (!__atomic_load_n(&ready, __ATOMIC_ACQUIRE)) usleep(1000);
    CHECK_EQ(pthread_create(&threads[1], NULL, idle_thread, NULL), 0);
    usleep(20000);
    for (int i = 0; i < 10; i++) is_over(client());
    __atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
    CHECK_EQ(close(listening), 0);
    for (int i = 0; i < 2; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

static void all(void *argument) {
    (void)argument;
    crowd(1, 1);
    crowd(1, 20);
    crowd(10, 20);
    closed_here();
    closed_by_another_thread();
    shut_down();
    timed_out();
    too_late();
}

int main(void) {
    run_by_ring(all);
    int fds = count_fds();
    with_thread(abort_all);
    with_thread(stop_all);
    with_thread(exit_thread);
    with_thread(fork_inside);
    fork_outside();
    one_is_busy();
    CHECK_EQ(count_fds(), fds);
    return test_done();
}
