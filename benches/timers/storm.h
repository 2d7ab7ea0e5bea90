/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * COUNT sleepers, each again and again for 1 to 1,000 ms, for some seconds: CPU time, and how late they wake. The first
 * second is not counted: they all start at once.
 *
 *     timers_NAME [own|shared] COUNT SECONDS
 */
#ifndef STORM_H
#define STORM_H

#include "../common/histogram.h"

struct sleeper {
    uint64_t due;
    uint32_t random;
};

static struct histogram lateness;
static uint64_t wake_ups, early, storm_begin, storm_end, cpu_at_begin;

static inline void storm(int seconds)
{
    storm_begin = now_ns() + 1000000000u;
    storm_end = storm_begin + (uint64_t)seconds * 1000000000u;
}

/* How many ms to sleep next; 0: enough. `s` starts as zeros but for `random`. */
static inline uint32_t next_sleep(struct sleeper *s)
{
    uint64_t now = now_ns();

    if (now >= storm_begin) {
        if (cpu_at_begin == 0)
            cpu_at_begin = cpu_ns();
        if (s->due >= storm_begin) {
            if (now < s->due)
                early++;
            note(&lateness, now > s->due ? now - s->due : 0);
            wake_ups++;
        }
        if (now >= storm_end)
            return 0;
    }
    s->random = s->random * 1664525u + 1013904223u;
    uint32_t ms = 1 + (s->random >> 8) % 1000;
    s->due = now + ms * 1000000ull;
    return ms;
}

/* At `storm_end`. */
static inline void print_storm(void)
{
    double cpu = (double)(cpu_ns() - cpu_at_begin);
    figure("CPU s", cpu / 1e9);
    figure("CPU us/wake-up", cpu / 1e3 / (double)wake_ups);
    figure("early %", 100.0 * (double)early / (double)wake_ups);
    figure("late p50 ms", percentile_us(&lateness, 0.50) / 1e3);
    figure("late p99 ms", percentile_us(&lateness, 0.99) / 1e3);
}

#endif
