// SPDX-License-Identifier: MIT OR Apache-2.0
// An echo server: one plain blocking function per connection, all on one thread.
#include "dyco_coroutine.h"
#include <netinet/in.h>

static void echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[1024];
    ssize_t n;
    while ((n = recv(fd, buf, sizeof buf, 0)) > 0) // only this coroutine waits
        if (send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
            break;
    close(fd);
}

static void serve(void *port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    addr.sin_port = htons((uint16_t)atoi(port));
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&addr, sizeof addr) < 0 || listen(listener, SOMAXCONN) < 0) {
        perror("listen");
        return;
    }
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            dyco_coroutine_sleep(100); // out of descriptors, say: let some close
        else if (dyco_coroutine_create(echo, (void *)(intptr_t)fd) < 0)
            close(fd);
    }
}

int main(int argc, char **argv)
{
    dyco_coroutine_create(serve, argc > 1 ? argv[1] : "9000");
    return dyco_schedule_run();
}
