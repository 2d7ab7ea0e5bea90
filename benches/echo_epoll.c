/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The echo server to beat: one thread, one level-triggered epoll set, one recv and one send per request, and a
 * shared epoll_wait.
 *
 *     echo_epoll PORT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define MAX_EVENTS 1024

static int listen_on(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    MUST(listener >= 0);
    MUST(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
    MUST(bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    MUST(listen(listener, 4096) == 0);
    return listener;
}

static void watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

int main(int argc, char **argv)
{
    static struct epoll_event events[MAX_EVENTS];
    static char buffer[1024];

    MUST(argc == 2);
    int listener = listen_on((uint16_t)atoi(argv[1]));
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    MUST(epoll >= 0);
    watch(epoll, listener);

    for (;;) {
        int ready = epoll_wait(epoll, events, MAX_EVENTS, -1);
        MUST(ready >= 0);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                int peer;
                while ((peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
                    watch(epoll, peer);
                continue;
            }
            ssize_t got = recv(fd, buffer, sizeof buffer, 0);
            if (got < 0 && errno == EAGAIN)
                continue;
            /* A peer that does not read is dropped: no output queue, nothing but the echo is paid for. */
            if (got <= 0 || send(fd, buffer, (size_t)got, MSG_NOSIGNAL) != got)
                close(fd);
        }
    }
}
