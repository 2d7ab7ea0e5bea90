// timeout: 60
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * One listener, many who accept from it: coroutines and threads, blocking or not, and forked processes. Each connection
 * is served once and no thread ever waits in accept.
 */
#include "net.h"

#define CLIENTS 120

static union address where;
static socklen_t length;
static int listening, served, stop;

/* On a blocking listener accept waits, on another dyco_accept does, or waitRead before a next try. */
static int next_connection(int how) {
    int fd;
    if (how % 2) return dyco_accept(listening, NULL, NULL);
    while ((fd = accept(listening, NULL, NULL)) < 0 && errno == EAGAIN && flags_of(listening) & O_NONBLOCK)
        CHECK(dyco_coroutine_waitRead(listening, -1) > 0);
    return fd;
}

/* Accepts until it is told by a connection that says so. */
static void acceptor(void *argument) {
    char b;
    for (;;) {
        int fd = next_connection((int)(intptr_t)argument);
        CHECK(fd >= 0);
        CHECK_EQ(recv(fd, &b, 1, 0), 1);
        if (b == 's') {
            CHECK_EQ(close(fd), 0);
            return;
        }
        CHECK_EQ(send(fd, "y", 1, 0), 1);
        CHECK_EQ(close(fd), 0);
        __atomic_add_fetch(&served, 1, __ATOMIC_RELAXED);
    }
}

static void say_to_server(char letter) {
    char b;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    CHECK_EQ(connect(fd, &where.any, length), 0);
    CHECK_EQ(send(fd, &letter, 1, 0), 1);
    CHECK_EQ(recv(fd, &b, 1, 0), letter == 'c');
    CHECK_EQ(close(fd), 0);
}

static void client(void *argument) {
    dyco_coroutine_sleep((uint32_t)(intptr_t)argument % 20);
    say_to_server('c');
    __atomic_add_fetch(&stop, 1, __ATOMIC_RELAXED);
}

static void stopper(void *argument) {
    while (__atomic_load_n(&stop, __ATOMIC_RELAXED) < CLIENTS) dyco_coroutine_sleep(5);
    for (int i = 0; i < (int)(intptr_t)argument; i++) say_to_server('s');
}

static void clients(int acceptors) {
    served = stop = 0;
    for (int i = 0; i < CLIENTS; i++) spawn(client, (void *)(intptr_t)i);
    spawn(stopper, (void *)(intptr_t)acceptors);
}

static void *serving_thread(void *argument) {
    for (int i = 0; i < 5; i++) spawn(acceptor, (void *)(intptr_t)i);
    run_with_ticker();
    return argument;
}

static void coroutines_of_one_thread(void) {
    for (int i = 0; i < 10; i++) spawn(acceptor, (void *)(intptr_t)i);
    clients(10);
    run_with_ticker();
    CHECK_EQ(served, CLIENTS);
}

static void two_threads(void) {
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) CHECK_EQ(pthread_create(&threads[i], NULL, serving_thread, NULL), 0);
    clients(10);
    run_with_ticker();
    for (int i = 0; i < 2; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(served, CLIENTS);
}

static void *plain_thread(void *argument) {
    acceptor(argument);
    return NULL;
}

/* Coroutines beside threads that accept outside coroutines. */
static void plain_threads(void) {
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) CHECK_EQ(pthread_create(&threads[i], NULL, plain_thread, NULL), 0);
    for (int i = 0; i < 10; i++) spawn(acceptor, (void *)(intptr_t)i);
    clients(13);
    run_with_ticker();
    for (int i = 0; i < 3; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(served, CLIENTS);
}

static void two_processes(void) {
    pid_t children[2];
    for (int i = 0; i < 2; i++) {
        CHECK((children[i] = fork()) >= 0);
        if (children[i] == 0) {
            serving_thread(NULL);
            _exit(served >= 0 ? 0 : 1);
        }
    }
    clients(10);
    run_with_ticker();
    for (int i = 0; i < 2; i++) {
        int status = -1;
        CHECK_EQ(waitpid(children[i], &status, 0), children[i]);
        CHECK_EQ(status, 0);
    }
}

int main(void) {
    listening = listener(AF_INET, SOCK_STREAM, 128, &where, &length);
    for (int nonblock = 0; nonblock < 2; nonblock++) {
        set_nonblock(listening, nonblock);
        coroutines_of_one_thread();
        two_threads();
        /* Without io_uring they can meet in the moment that docs/hooks.md describes. */
        if (nonblock || has_ring()) {
            plain_threads();
            two_processes();
        }
        /* A dup'ed listener, and one that a hook has not seen being made. */
        int twin = (int)syscall(SYS_dup, listening);
        CHECK_EQ(syscall(SYS_close, listening), 0);
        listening = twin;
        coroutines_of_one_thread();
    }
    CHECK_EQ(flags_of(listening) & O_NONBLOCK, O_NONBLOCK);
    return test_done();
}
