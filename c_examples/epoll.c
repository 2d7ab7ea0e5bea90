// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * One coroutine that listens to many descriptors at a time, with an epoll set
 * of its own. Only this coroutine waits: the senders run meanwhile.
 *
 * Most programs do not need it: a coroutine per descriptor that simply reads
 * is easier. It pays where one place has to look at what comes first.
 */
#include "dyco_coroutine.h"

#define SENDERS 3
#define MESSAGES 2

static int pipes[SENDERS][2];

// Writes a digit now and then, each sender in its own rhythm.
static void sender(void *arg)
{
    int number = (int)(intptr_t)arg;
    for (int i = 1; i <= MESSAGES; i++) {
        dyco_coroutine_sleep(100 * (uint32_t)number + 30);
        char digit = (char)('0' + i);
        if (write(pipes[number][1], &digit, 1) != 1)
            perror("write");
    }
    close(pipes[number][1]);
}

static void listener(void *arg)
{
    (void)arg;
    if (dyco_epoll_init() < 0) { // freed with the coroutine, or by dyco_epoll_destroy()
        perror("dyco_epoll_init");
        return;
    }
    for (int i = 0; i < SENDERS; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        if (dyco_epoll_add(pipes[i][0], &event) < 0)
            perror("dyco_epoll_add");
    }

    int open = SENDERS;
    while (open > 0) {
        struct epoll_event events[SENDERS];
        int count = dyco_epoll_wait(events, SENDERS, 50);
        if (count == 0) {
            printf("nothing for 50 ms\n");
            continue;
        }
        for (int i = 0; i < count; i++) {
            uint32_t number = events[i].data.u32;
            char digit;
            if (read(pipes[number][0], &digit, 1) == 1) {
                printf("sender %u: message %c\n", number, digit);
            } else {
                printf("sender %u: end\n", number);
                dyco_epoll_del(pipes[number][0], NULL);
                close(pipes[number][0]);
                open--;
            }
        }
    }
}

int main(void)
{
    for (int i = 0; i < SENDERS; i++) {
        if (pipe(pipes[i]) < 0 || dyco_coroutine_create(sender, (void *)(intptr_t)i) < 0) {
            perror("sender");
            return 1;
        }
    }
    if (dyco_coroutine_create(listener, NULL) < 0) {
        perror("listener");
        return 1;
    }
    return dyco_schedule_run();
}
