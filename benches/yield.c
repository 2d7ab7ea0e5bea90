/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a switch through the scheduler costs: COUNT coroutines give way to each other by dyco_coroutine_sleep(0), all from
 * one call site, as the connections of a server do.
 * With COUNT 0: what it costs to create a coroutine and see it finish, 1,000 at a time, in a scheduler that goes on.
 *
 *     yield own|shared COUNT          prints: minimum and median over the batches, CPU ns
 */
#include <dyco_coroutine.h>

#include "bench.h"

#define BATCHES 21
#define BATCH_NS 10000000u
#define CROWD 1000

static int own_stacks, count;
static volatile int done;
static uint64_t finished, total_turns;
static double per_turn[BATCHES];

/* CPU time, so that it does not count when somebody else has the CPU. */
static uint64_t cpu_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static void create(proc_coroutine func, void *arg)
{
    int cid = dyco_coroutine_create(func, arg);
    MUST(cid > 0);
    if (own_stacks)
        MUST(dyco_coroutine_setStack(cid, NULL, DYCO_DEFAULT_STACKSIZE) == 1);
}

static __attribute__((noinline)) uint64_t turns(uint64_t most)
{
    uint64_t taken = 0;
    while (taken < most && !done) {
        dyco_coroutine_sleep(0);
        taken++;
    }
    return taken;
}

static void member(void *arg)
{
    (void)arg;
    total_turns += turns(UINT64_MAX);
}

/* The ready queue is first in, first out: while the timekeeper comes round once, each other has had its turn. */
static uint64_t go_round(uint64_t loops)
{
    return turns(loops);
}

static void nothing(void *arg)
{
    (void)arg;
    finished++;
}

static uint64_t create_crowds(uint64_t loops)
{
    for (uint64_t i = 0; i < loops; i++) {
        uint64_t before = finished;
        for (int k = 0; k < CROWD; k++)
            create(nothing, NULL);
        while (finished < before + CROWD)
            dyco_coroutine_sleep(0);
    }
    return 0;
}

/* Runs one kind of loop in batches of about BATCH_NS, after as much warm-up. */
static void timekeeper(void *arg)
{
    uint64_t (*work)(uint64_t) = count > 0 ? go_round : create_crowds;
    uint64_t loops = 1, own_turns = 0;
    int per_loop = count > 0 ? count : CROWD;

    (void)arg;
    own_turns += work(2);
    for (;;) {
        uint64_t begin = cpu_ns();
        own_turns += work(loops);
        uint64_t ns = cpu_ns() - begin;
        if (ns >= BATCH_NS / 4) {
            loops = 1 + loops * BATCH_NS / ns;
            break;
        }
        loops *= 2;
    }
    for (int i = 0; i < BATCHES; i++) {
        uint64_t begin = cpu_ns();
        own_turns += work(loops);
        per_turn[i] = (double)(cpu_ns() - begin) / (double)loops / per_loop;
    }
    done = 1;
    dyco_coroutine_sleep(0);
    if (count > 0) {
        uint64_t expected = own_turns * (uint64_t)(count - 1), slack = (uint64_t)count;
        MUST(total_turns + slack >= expected && total_turns <= expected + slack);
    }
}

int main(int argc, char **argv)
{
    MUST(argc == 3);
    own_stacks = strcmp(argv[1], "own") == 0;
    count = atoi(argv[2]);
    create(timekeeper, NULL);
    for (int i = 1; i < count; i++)
        create(member, NULL);
    MUST(dyco_schedule_run() == 0);
    double middle = median(per_turn, BATCHES);
    printf("%.2f %.2f\n", per_turn[0], middle);
    return 0;
}
