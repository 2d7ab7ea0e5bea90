/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a switch through the scheduler costs: COUNT coroutines give way to each other by dyco_coroutine_sleep(0).
 * With COUNT 0: what it costs to create a coroutine and see it finish, in crowds of 1,000.
 *
 *     yield own|shared COUNT          prints: minimum and median, ns, over the batches
 */
#include <dyco_coroutine.h>

#include "bench.h"

#define BATCHES 21
#define BATCH_NS 10000000u
#define CROWD 1000

static int own_stacks, count, done;
static uint64_t total_yields;
static double per_yield[BATCHES];

static void create(proc_coroutine func, void *arg)
{
    int cid = dyco_coroutine_create(func, arg);
    MUST(cid > 0);
    if (own_stacks)
        MUST(dyco_coroutine_setStack(cid, NULL, DYCO_DEFAULT_STACKSIZE) == 1);
}

static void member(void *arg)
{
    uint64_t yields = 0;

    (void)arg;
    while (!*(volatile int *)&done) {
        dyco_coroutine_sleep(0);
        yields++;
    }
    total_yields += yields;
}

static double turns(uint64_t loops)
{
    uint64_t begin = now_ns();
    for (uint64_t i = 0; i < loops; i++)
        dyco_coroutine_sleep(0);
    return (double)(now_ns() - begin);
}

/* The ready queue is first in, first out: while this one comes round once, each other has had its turn. */
static void timekeeper(void *arg)
{
    uint64_t loops = 1, own = 2;

    (void)arg;
    turns(2);
    for (;; loops *= 2) {
        own += loops;
        double ns = turns(loops);
        if (ns >= BATCH_NS / 4) {
            loops = 1 + (uint64_t)((double)loops * BATCH_NS / ns);
            break;
        }
    }
    for (int i = 0; i < BATCHES; i++)
        per_yield[i] = turns(loops) / (double)loops / count;
    own += loops * BATCHES;
    done = 1;
    total_yields += own;
    dyco_coroutine_sleep(0);
    uint64_t expected = own * (uint64_t)count;
    MUST(total_yields + (uint64_t)count >= expected && total_yields <= expected + (uint64_t)count);
}

static void nothing(void *arg)
{
    (void)arg;
}

static double crowds(uint64_t rounds)
{
    uint64_t begin = now_ns();
    for (uint64_t i = 0; i < rounds; i++) {
        for (int k = 0; k < CROWD; k++)
            create(nothing, NULL);
        MUST(dyco_schedule_run() == 0);
    }
    return (double)(now_ns() - begin);
}

int main(int argc, char **argv)
{
    MUST(argc == 3);
    own_stacks = strcmp(argv[1], "own") == 0;
    count = atoi(argv[2]);
    if (count == 0) {
        crowds(2);
        uint64_t rounds = 1 + (uint64_t)(BATCH_NS / crowds(1));
        for (int i = 0; i < BATCHES; i++)
            per_yield[i] = crowds(rounds) / (double)rounds / CROWD;
    } else {
        create(timekeeper, NULL);
        for (int i = 1; i < count; i++)
            create(member, NULL);
        MUST(dyco_schedule_run() == 0);
    }
    double middle = median(per_yield, BATCHES);
    printf("%.2f %.2f\n", per_yield[0], middle);
    return 0;
}
