/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a coroutine costs in a crowd of COUNT: all are created, all wait on one semaphore, all are woken and end. Small
 * crowds come and go many times, a million twice.
 *
 *     crowd own|shared COUNT
 *
 * Prints: best CPU ns per coroutine to create it, to start it and let it wait, to wake it and see it end; resident bytes
 * per coroutine while the first crowd waits, in memory and in page tables.
 */
#include <dyco_coroutine.h>

#include "bench.h"

#define MORE 300000 /* coroutines in crowds beyond the second */

struct cost {
    double create, wait, end;
};

static dyco_semaphore *gate;
static int own_stacks, count, arrived, gone;
static struct cost best = {1e9, 1e9, 1e9};
static double memory, page_tables;

static uint64_t cpu_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

/* The sum of what a file in /proc says of a name, in bytes. */
static double proc_bytes(const char *path, const char *name)
{
    char line[256];
    double kib = 0;
    FILE *file = fopen(path, "r");

    MUST(file);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0)
            kib += atof(line + strlen(name));
    fclose(file);
    return kib * 1024;
}

static double resident(void)
{
    return proc_bytes("/proc/self/smaps_rollup", "Rss:"); /* exact, other than VmRSS */
}

static double tables(void)
{
    return proc_bytes("/proc/self/status", "VmPTE:");
}

static void member(void *arg)
{
    (void)arg;
    arrived++;
    MUST(dyco_semaphore_wait(gate, -1) == 0);
    gone++;
}

static void create(proc_coroutine func)
{
    int cid = dyco_coroutine_create(func, NULL);
    MUST(cid > 0);
    if (own_stacks)
        MUST(dyco_coroutine_setStack(cid, NULL, DYCO_DEFAULT_STACKSIZE) == 1);
}

static double keep_best(double before, uint64_t ns)
{
    double each = (double)ns / count;
    return each < before ? each : before;
}

static void come_and_go(int first)
{
    double memory_before = 0, tables_before = 0;

    if (first) {
        memory_before = resident();
        tables_before = tables();
    }
    arrived = gone = 0;
    uint64_t begin = cpu_ns();
    for (int i = 0; i < count; i++)
        create(member);
    uint64_t created = cpu_ns();
    while (arrived < count)
        dyco_coroutine_sleep(0);
    uint64_t waiting = cpu_ns();
    best.create = keep_best(best.create, created - begin);
    best.wait = keep_best(best.wait, waiting - created);
    if (first) {
        memory = (resident() - memory_before) / count;
        page_tables = (tables() - tables_before) / count;
    }
    begin = cpu_ns();
    for (int i = 0; i < count; i++)
        MUST(dyco_semaphore_signal(gate) == 0);
    while (gone < count)
        dyco_coroutine_sleep(0);
    best.end = keep_best(best.end, cpu_ns() - begin);
}

static void doorkeeper(void *arg)
{
    int crowds = 2 + MORE / count;

    (void)arg;
    for (int i = 0; i < crowds; i++)
        come_and_go(i == 0);
}

int main(int argc, char **argv)
{
    MUST(argc == 3);
    own_stacks = strcmp(argv[1], "own") == 0;
    count = atoi(argv[2]);
    MUST(gate = dyco_semaphore_create(0));
    create(doorkeeper);
    MUST(dyco_schedule_run() == 0);
    printf("%.1f %.1f %.1f %.0f %.0f\n", best.create, best.wait, best.end, memory, page_tables);
    return 0;
}
