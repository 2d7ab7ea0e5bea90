/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The servers to beat: one epoll set per thread, one recv and one send per request, and a shared epoll_wait. Edge-triggered
 * it reads a second time, to see that nothing is left, unless the message was short of the buffer.
 *
 *     echo_epoll level|edge THREADS PORT
 */

#include "server.h"

#include <pthread.h>
#include <sys/epoll.h>

#define MAX_EVENTS 1024

static uint32_t edge;
static int port;

static void watch(int epoll, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

/* A peer that does not read is dropped: no output queue, nothing but the echo is paid for. */
static void answer(int fd, char *buffer)
{
    ssize_t got;

    do {
        got = recv(fd, buffer, ROOM, 0);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0 || send(fd, buffer, (size_t)got, MSG_NOSIGNAL) != got) {
            close(fd);
            return;
        }
    } while (edge && got == ROOM);
}

static void *serve(void *arg)
{
    struct epoll_event events[MAX_EVENTS];
    char buffer[ROOM];
    int listener = listen_on(port, SOCK_NONBLOCK), epoll = epoll_create1(EPOLL_CLOEXEC);

    (void)arg;
    MUST(epoll >= 0);
    watch(epoll, listener, EPOLLIN);
    for (;;) {
        int ready = epoll_wait(epoll, events, MAX_EVENTS, -1);
        MUST(ready >= 0);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd, peer;
            if (fd != listener)
                answer(fd, buffer);
            else
                while ((peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
                    watch(epoll, peer, EPOLLIN | edge);
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;

    MUST(argc == 4);
    edge = strcmp(argv[1], "edge") == 0 ? EPOLLET : 0;
    port = atoi(argv[3]);
    for (int i = 1; i < atoi(argv[2]); i++)
        MUST((errno = pthread_create(&thread, NULL, serve, NULL)) == 0);
    serve(NULL);
}
