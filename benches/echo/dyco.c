/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The same protocol in plain blocking code, a coroutine per connection, a scheduler per thread: through the hooked libc
 * names, or through the dyco_* calls.
 *
 *     echo_dyco own|shared hooks|calls|heap THREADS PORT
 *
 * `heap`: hooked names, and the buffer is not on the stack.
 */
#include "server.h"

#include "../common/dyco.h"

static int port, by_calls;
static proc_coroutine server;

static void serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buffer[ROOM];
    ssize_t got;

    while ((got = recv(fd, buffer, sizeof buffer, 0)) > 0)
        if (send(fd, buffer, (size_t)got, MSG_NOSIGNAL) != got)
            break;
    close(fd);
}

static void serve_from_heap(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char *buffer = malloc(ROOM);
    ssize_t got;

    MUST(buffer);
    while ((got = recv(fd, buffer, ROOM, 0)) > 0)
        if (send(fd, buffer, (size_t)got, MSG_NOSIGNAL) != got)
            break;
    free(buffer);
    close(fd);
}

static void serve_by_calls(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buffer[ROOM];
    ssize_t got;

    while ((got = dyco_recv(fd, buffer, sizeof buffer, 0)) > 0)
        if (dyco_send(fd, buffer, (size_t)got, MSG_NOSIGNAL) != got)
            break;
    dyco_close(fd);
}

static void listen_and_accept(void *arg)
{
    int listener = listen_on(port, 0);

    (void)arg;
    for (;;) {
        int fd = by_calls ? dyco_accept(listener, NULL, NULL) : accept(listener, NULL, NULL);
        MUST(fd >= 0);
        create(server, (void *)(intptr_t)fd);
    }
}

static void *run(void *arg)
{
    MUST(dyco_coroutine_create(listen_and_accept, NULL) > 0);
    MUST(dyco_schedule_run() == 0);
    return arg;
}

int main(int argc, char **argv)
{
    pthread_t thread;

    MUST(argc == 5);
    choose_stacks(argv[1]);
    by_calls = strcmp(argv[2], "calls") == 0;
    server = by_calls ? serve_by_calls : strcmp(argv[2], "heap") == 0 ? serve_from_heap : serve;
    port = atoi(argv[4]);
    for (int i = 1; i < atoi(argv[3]); i++)
        MUST((errno = pthread_create(&thread, NULL, run, NULL)) == 0);
    run(NULL);
}
