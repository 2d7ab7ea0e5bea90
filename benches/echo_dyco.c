/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The same echo protocol in plain blocking code, a coroutine per connection, through the hooked libc names.
 *
 *     echo_dyco PORT own|shared
 */
#include <arpa/inet.h>
#include <dyco_coroutine.h>
#include <netinet/in.h>

#include "bench.h"

static int own_stacks;
static uint16_t port;

static void serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buffer[1024];
    ssize_t got;

    while ((got = recv(fd, buffer, sizeof buffer, 0)) > 0)
        if (send(fd, buffer, (size_t)got, MSG_NOSIGNAL) != got)
            break;
    close(fd);
}

static void listen_and_accept(void *arg)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)arg;
    MUST(listener >= 0);
    MUST(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
    MUST(bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    MUST(listen(listener, 4096) == 0);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        MUST(fd >= 0);
        int cid = dyco_coroutine_create(serve, (void *)(intptr_t)fd);
        MUST(cid > 0);
        if (own_stacks)
            MUST(dyco_coroutine_setStack(cid, NULL, DYCO_DEFAULT_STACKSIZE) == 1);
    }
}

int main(int argc, char **argv)
{
    MUST(argc == 3);
    port = (uint16_t)atoi(argv[1]);
    own_stacks = strcmp(argv[2], "own") == 0;
    MUST(dyco_coroutine_create(listen_and_accept, NULL) > 0);
    return dyco_schedule_run();
}
