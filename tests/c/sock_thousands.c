// busy: much
// timeout: 90
// nofile: 5000
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * 2,000 connections in one thread, all open at once, each echoing; and four threads with a scheduler each. Descriptors
 * and heap are back where they were after each round.
 */
#include "net.h"

#include <malloc.h>
#include <sys/resource.h>

#define CLIENTS 2000

struct server {
    union address where;
    socklen_t length;
    int listening, clients, connected, echoed, served;
};

struct job {
    struct server *server;
    int fd;
};

static void serve(void *argument) {
    struct job job = *(struct job *)argument;
    char b[128];
    ssize_t n;
    free(argument);
    while ((n = recv(job.fd, b, sizeof b, 0)) > 0) CHECK_EQ(send(job.fd, b, (size_t)n, 0), n);
    CHECK_EQ(n, 0);
    CHECK_EQ(close(job.fd), 0);
    job.server->served++;
}

static void accept_all(void *argument) {
    struct server *server = argument;
    for (int i = 0; i < server->clients; i++) {
        struct job *job = malloc(sizeof *job);
        CHECK(job != NULL);
        *job = (struct job){server, accept(server->listening, NULL, NULL)};
        CHECK(job->fd >= 0);
        spawn(serve, job);
    }
}

static void client(void *argument) {
    struct server *server = argument;
    char out[32], in[32];
    int fd = socket(AF_INET, SOCK_STREAM, 0), number = server->connected;
    CHECK(fd >= 0);
    CHECK_EQ(connect(fd, &server->where.any, server->length), 0);
    server->connected++;
    while (server->connected < server->clients) dyco_coroutine_sleep(5);
    for (int i = 0; i < 5; i++) {
        int n = snprintf(out, sizeof out, "client %d message %d", number, i);
        CHECK_EQ(write(fd, out, (size_t)n), n);
        CHECK_EQ(recv(fd, in, (size_t)n, MSG_WAITALL), n);
        CHECK(memcmp(in, out, (size_t)n) == 0);
    }
    CHECK_EQ(close(fd), 0);
    server->echoed++;
}

static void round_of(int clients) {
    struct server *server = calloc(1, sizeof *server);
    CHECK(server != NULL);
    server->clients = clients;
    server->listening = listener(AF_INET, SOCK_STREAM, 4096, &server->where, &server->length);
    spawn(accept_all, server);
    for (int i = 0; i < clients; i++) spawn(client, server);
    run_all();
    CHECK_EQ(server->echoed, clients);
    CHECK_EQ(server->served, clients);
    CHECK_EQ(close(server->listening), 0);
    free(server);
}

static void *thread(void *argument) {
    for (int i = 0; i < 2; i++) round_of(200);
    return argument;
}

static void four_threads(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) CHECK_EQ(pthread_create(&threads[i], NULL, thread, NULL), 0);
    for (int i = 0; i < 4; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

int main(void) {
    struct rlimit limit;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < 2 * CLIENTS + 100) TEST_SKIP("too few descriptors allowed");
    warm_up();
    /* The tables grow with the largest number of connections at a time, which is not the same each time. */
    for (int i = 0; i < 3; i++) round_of(CLIENTS);
    int fds = count_fds();
    size_t heap = mallinfo2().uordblks;
    for (int i = 0; i < 2; i++) round_of(CLIENTS);
    CHECK_EQ(count_fds(), fds);
    /* Less than 16 bytes for a connection; what malloc caches counts, too. */
    CHECK_BETWEEN((long)mallinfo2().uordblks - (long)heap, -10000000, 65536);
    four_threads();
    int after_threads = count_fds();
    CHECK_EQ(after_threads, fds);
    long resident = rss_kb();
    for (int i = 0; i < 3; i++) four_threads();
    CHECK_EQ(count_fds(), fds);
    CHECK_BETWEEN(rss_kb() - resident, -1000000, 4096);
    return test_done();
}
