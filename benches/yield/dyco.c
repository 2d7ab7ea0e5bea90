/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * COUNT coroutines give way to each other by dyco_coroutine_sleep(0), all from one call site, as the connections of a
 * server do.
 *
 *     yield_dyco own|shared COUNT
 */
#include "../common/dyco.h"

static int count, done;

static __attribute__((noinline)) void turns(uint64_t most)
{
    while (most-- && !done)
        dyco_coroutine_sleep(0);
}

static void member(void *arg)
{
    (void)arg;
    turns(UINT64_MAX);
}

/* The ready queue is first in, first out: while the timekeeper comes round once, each other has had its turn. */
static void timekeeper(void *arg)
{
    (void)arg;
    turns(2);
    measure(NULL, turns, count);
    done = 1;
}

int main(int argc, char **argv)
{
    MUST(argc == 3);
    choose_stacks(argv[1]);
    count = atoi(argv[2]);
    create(timekeeper, NULL);
    for (int i = 1; i < count; i++)
        create(member, NULL);
    MUST(dyco_schedule_run() == 0);
    return 0;
}
