/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A thread per connection, with small stacks. */
#include "server.h"

#include <pthread.h>

static void *serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buffer[ROOM];
    ssize_t got;

    while ((got = recv(fd, buffer, sizeof buffer, 0)) > 0)
        if (send(fd, buffer, (size_t)got, MSG_NOSIGNAL) != got)
            break;
    close(fd);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_attr_t attributes;

    MUST(argc == 2);
    int listener = listen_on(atoi(argv[1]), 0);
    MUST((errno = pthread_attr_init(&attributes)) == 0);
    MUST((errno = pthread_attr_setstacksize(&attributes, 32768)) == 0);
    MUST((errno = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED)) == 0);
    for (;;) {
        pthread_t thread;
        int fd = accept(listener, NULL, NULL);
        MUST(fd >= 0);
        MUST((errno = pthread_create(&thread, &attributes, serve, (void *)(intptr_t)fd)) == 0);
    }
}
