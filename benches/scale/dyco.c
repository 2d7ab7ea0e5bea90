/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What waits cost in a crowd of COUNT: with a deadline that does not come (a timer is set and cancelled), and for a
 * descriptor, an eventfd of each one's own, as far as there are descriptors.
 *
 *     scale_dyco own|shared COUNT
 */
#include "../common/dyco.h"

#include <sys/resource.h>

#define MORE 300000 /* waits beyond those of the second time */
#define HOUR 3600000

static dyco_semaphore *gate;
static int count, *fds, waiting, woken;
static double best_wait, best_wake;

static void until_deadline(void *arg)
{
    (void)arg;
    for (;;) {
        waiting++;
        MUST(dyco_semaphore_wait(gate, HOUR) == 0);
        woken++;
    }
}

static void for_descriptor(void *arg)
{
    int fd = fds[(intptr_t)arg];
    uint64_t value;

    for (;;) {
        waiting++;
        MUST(dyco_coroutine_waitRead(fd, -1) > 0);
        MUST(read(fd, &value, sizeof value) == sizeof value);
        woken++;
    }
}

static void wake_one(int index)
{
    uint64_t one = 1;

    if (fds)
        MUST(write(fds[index], &one, sizeof one) == sizeof one);
    else
        MUST(dyco_semaphore_signal(gate) == 0);
}

static void keep_best(double *best, uint64_t ns)
{
    double each = (double)ns / count;
    *best = *best == 0 || each < *best ? each : *best;
}

/* All wait; all are woken and wait again. */
static void crowd(proc_coroutine member, const char *wait, const char *again)
{
    best_wait = best_wake = 0;
    waiting = 0;
    for (int i = 0; i < count; i++)
        create(member, (void *)(intptr_t)i);
    uint64_t begin = cpu_ns();
    while (waiting < count)
        dyco_coroutine_sleep(0);
    dyco_coroutine_sleep(0);
    keep_best(&best_wait, cpu_ns() - begin);
    for (int round = 0; round < 2 + MORE / count; round++) {
        woken = 0;
        begin = cpu_ns();
        for (int i = 0; i < count; i++)
            wake_one(i);
        while (woken < count)
            dyco_coroutine_sleep(0);
        keep_best(&best_wake, cpu_ns() - begin);
    }
    figure(wait, best_wait);
    figure(again, best_wake);
}

static void timekeeper(void *arg)
{
    struct rlimit files;

    (void)arg;
    crowd(until_deadline, "wait with a deadline ns", "wake, cancel, wait again ns");
    MUST(getrlimit(RLIMIT_NOFILE, &files) == 0);
    if (files.rlim_cur > (rlim_t)count + 100) {
        MUST(fds = malloc((size_t)count * sizeof *fds));
        for (int i = 0; i < count; i++)
            MUST((fds[i] = eventfd(0, EFD_CLOEXEC)) >= 0);
        crowd(for_descriptor, "wait for a descriptor ns", "write, wake, read, wait again ns");
    }
    dyco_schedcall_stop();
}

int main(int argc, char **argv)
{
    MUST(argc == 3);
    choose_stacks(argv[1]);
    count = atoi(argv[2]);
    MUST(gate = dyco_semaphore_create(0));
    MUST(dyco_coroutine_create(timekeeper, NULL) > 0);
    MUST(dyco_schedule_run() == 1);
    fflush(stdout);
    _exit(0);
}
