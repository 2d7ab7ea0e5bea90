/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a coroutine costs in a crowd of COUNT: all are created, all wait on one semaphore, are woken and end. Small crowds
 * come and go many times, a million twice. The first one's memory is taken while it waits.
 *
 *     crowd_dyco own|shared COUNT
 */
#include "../common/dyco.h"

#define MORE 300000 /* coroutines in crowds beyond the second */

static dyco_semaphore *gate;
static int count, arrived, gone;
static double best_create = 1e9, best_wait = 1e9, best_end = 1e9;

static void member(void *arg)
{
    (void)arg;
    arrived++;
    MUST(dyco_semaphore_wait(gate, -1) == 0);
    gone++;
}

static void keep_best(double *best, uint64_t ns)
{
    double each = (double)ns / count;
    *best = each < *best ? each : *best;
}

static void come_and_go(int first)
{
    double before = first ? resident(getpid()) : 0;

    arrived = gone = 0;
    uint64_t begin = cpu_ns();
    for (int i = 0; i < count; i++)
        create(member, NULL);
    uint64_t created = cpu_ns();
    while (arrived < count)
        dyco_coroutine_sleep(0);
    keep_best(&best_wait, cpu_ns() - created);
    keep_best(&best_create, created - begin);
    if (first)
        figure("bytes", (resident(getpid()) - before) / count);
    begin = cpu_ns();
    for (int i = 0; i < count; i++)
        MUST(dyco_semaphore_signal(gate) == 0);
    while (gone < count)
        dyco_coroutine_sleep(0);
    keep_best(&best_end, cpu_ns() - begin);
}

static void doorkeeper(void *arg)
{
    int crowds = 2 + MORE / count;

    (void)arg;
    for (int i = 0; i < crowds; i++)
        come_and_go(i == 0);
    figure("create ns", best_create);
    figure("wait ns", best_wait);
    figure("wake and end ns", best_end);
}

int main(int argc, char **argv)
{
    MUST(argc == 3);
    choose_stacks(argv[1]);
    count = atoi(argv[2]);
    MUST(gate = dyco_semaphore_create(0));
    MUST(dyco_coroutine_create(doorkeeper, NULL) > 0);
    MUST(dyco_schedule_run() == 0);
    return 0;
}
