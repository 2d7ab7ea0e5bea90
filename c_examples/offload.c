// SPDX-License-Identifier: MIT OR Apache-2.0
//
// What blocks and cannot be made to wait in its coroutine alone: dyco_offload runs it on a helper thread, while only the
// coroutine waits. Looking names up, system() and popen() need nothing of the kind: they wait in their coroutine anyway.
#include "dyco_coroutine.h"
#include <netdb.h>

// What the helper is to do, and what has come of it. After a time limit both sides may still use it; the last one frees.
struct work
{
    int from, to;
    long sum;
    int users;
};

static void release(struct work *work)
{
    if (__atomic_sub_fetch(&work->users, 1, __ATOMIC_ACQ_REL) == 0)
        free(work);
}

// Runs on the helper, where it may take all the time it wants.
static void add_up(void *arg)
{
    struct work *work = arg;
    struct timespec pause = {0, 100 * 1000000L};
    nanosleep(&pause, NULL); // as a slow library would
    for (int i = work->from; i <= work->to; i++)
        work->sum += i;
    release(work);
}

static void adds_up(void *arg)
{
    int limit = (int)(intptr_t)arg;
    struct work *work = malloc(sizeof *work);
    if (!work)
        return;
    *work = (struct work){.from = 1, .to = 1000, .users = 2};
    if (dyco_offload(add_up, work, limit) == 0)
        printf("with %d ms: the sum is %ld\n", limit, work->sum);
    else if (errno == ETIMEDOUT)
        printf("with %d ms: too late, the helper goes on\n", limit);
    else {
        printf("with %d ms: not begun\n", limit); // EAGAIN: the helper will not touch it
        release(work);
    }
    release(work);
}

static void looks_up(void *arg)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list;
    int error = getaddrinfo(arg, "80", &hints, &list); // only this coroutine waits
    if (error) {
        printf("%s: %s\n", (char *)arg, gai_strerror(error));
        return;
    }
    printf("%s has an address\n", (char *)arg);
    freeaddrinfo(list);
}

static void commands(void *arg)
{
    char line[64];
    (void)arg;
    FILE *file = popen("sleep 0.2; echo and a command has run", "r");
    if (!file)
        return;
    if (fgets(line, sizeof line, file))
        fputs(line, stdout);
    printf("its status is %d\n", pclose(file));
}

int main(void)
{
    dyco_offload_setPool(4, 1000); // four helpers of each kind; one without work ends after a second
    dyco_coroutine_create(adds_up, (void *)0);
    dyco_coroutine_create(looks_up, "localhost");
    dyco_coroutine_create(adds_up, (void *)30);
    dyco_coroutine_create(adds_up, (void *)5000);
    dyco_schedule_run();
    dyco_coroutine_create(commands, NULL);
    return dyco_schedule_run();
}
