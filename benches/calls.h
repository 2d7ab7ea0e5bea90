/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A counter of system calls; needs the privilege to trace. */
#ifndef CALLS_H
#define CALLS_H

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

/* Counts those of a process (0: this one) from now on; -1 when it may not. */
static inline int open_call_counter(pid_t pid)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT, .size = sizeof attr, .inherit = 1};
    FILE *file = fopen("/sys/kernel/tracing/events/raw_syscalls/sys_enter/id", "r");
    unsigned long long id = 0;

    if (!file)
        return -1;
    int parsed = fscanf(file, "%llu", &id);
    fclose(file);
    attr.config = id;
    return parsed == 1 ? (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC) : -1;
}

static inline uint64_t calls_so_far(int counter)
{
    uint64_t calls = 0;
    if (counter >= 0)
        MUST(read(counter, &calls, sizeof calls) == sizeof calls);
    return calls;
}

#endif
