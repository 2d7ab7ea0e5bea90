/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A counter of system calls; needs the privilege to trace. */
#ifndef CALLS_H
#define CALLS_H

#include "bench.h"

#include <dirent.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

/* One for each thread that there is. */
struct call_counter {
    int *fds, count;
};

static inline int count_calls_of(pid_t thread)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT, .size = sizeof attr};
    FILE *file = fopen("/sys/kernel/tracing/events/raw_syscalls/sys_enter/id", "r");
    unsigned long long id = 0;

    if (!file)
        return -1;
    int parsed = fscanf(file, "%llu", &id);
    fclose(file);
    attr.config = id;
    return parsed == 1 ? (int)syscall(SYS_perf_event_open, &attr, thread, -1, -1, PERF_FLAG_FD_CLOEXEC) : -1;
}

/* Counts those of a process from now on; false when it may not. */
static inline int count_calls(struct call_counter *counter, pid_t pid)
{
    char path[32];
    struct dirent *entry;

    *counter = (struct call_counter){0};
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    MUST(tasks);
    while ((entry = readdir(tasks))) {
        int thread = atoi(entry->d_name), fd;
        if (thread == 0)
            continue;
        if ((fd = count_calls_of(thread)) < 0)
            break;
        MUST(counter->fds = realloc(counter->fds, (size_t)(counter->count + 1) * sizeof *counter->fds));
        counter->fds[counter->count++] = fd;
    }
    closedir(tasks);
    return entry == NULL;
}

static inline uint64_t calls_so_far(const struct call_counter *counter)
{
    uint64_t sum = 0, calls;

    for (int i = 0; i < counter->count; i++) {
        MUST(read(counter->fds[i], &calls, sizeof calls) == sizeof calls);
        sum += calls;
    }
    return sum;
}

static inline void stop_counting(struct call_counter *counter)
{
    for (int i = 0; i < counter->count; i++)
        close(counter->fds[i]);
    free(counter->fds);
}

#endif
