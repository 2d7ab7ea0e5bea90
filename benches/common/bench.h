/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What all benchmark programs share: clocks, one way to fail, batches, and how a figure is printed. */
#ifndef BENCH_H
#define BENCH_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCHES 21
#define BATCH_NS 5000000u
#define PATIENCE_NS 1000000000u

#define MUST(ok)                                                                                                       \
    do {                                                                                                               \
        if (!(ok)) {                                                                                                   \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #ok, strerror(errno));                              \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static inline uint64_t clock_ns(clockid_t clock)
{
    struct timespec ts;
    MUST(clock_gettime(clock, &ts) == 0);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline uint64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* CPU time does not count when somebody else has the CPU. */
static inline uint64_t cpu_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static inline int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the values. */
static inline double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, ascending);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* The harness reads such lines. */
static inline void figure(const char *name, double value)
{
    printf("%s %.4f\n", name, value);
}

/*
 * Runs work(loops) in batches of about BATCH_NS, after as much warm-up, in fewer where one takes long; prints the best and
 * the median batch in CPU ns per operation. `prepare` is not measured and may be NULL.
 */
static inline void measure(void (*prepare)(uint64_t loops), void (*work)(uint64_t loops), double per_loop)
{
    static double each[BATCHES];
    uint64_t loops = 1, ns = 0, sum = 0;
    int batch = -1;

    while (batch < 3 || (batch < BATCHES && sum < PATIENCE_NS)) {
        if (prepare)
            prepare(loops);
        uint64_t begin = cpu_ns();
        work(loops);
        ns = cpu_ns() - begin;
        sum += ns;
        if (batch >= 0)
            each[batch++] = (double)ns / (double)loops / per_loop;
        else if (ns < BATCH_NS / 4)
            loops *= 2;
        else {
            loops = 1 + loops * BATCH_NS / ns;
            batch = 0;
        }
    }
    double middle = median(each, batch);
    figure("best ns", each[0]);
    figure("median ns", middle);
}

/* The sum of what a file in /proc says of a name, in bytes. */
static inline double proc_bytes(const char *path, const char *name)
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

/* A process's resident bytes, exact other than VmRSS, and its page tables. */
static inline double resident(int pid)
{
    char path[2][48];

    snprintf(path[0], sizeof path[0], "/proc/%d/smaps_rollup", pid);
    snprintf(path[1], sizeof path[1], "/proc/%d/status", pid);
    return proc_bytes(path[0], "Rss:") + proc_bytes(path[1], "VmPTE:");
}

#endif
