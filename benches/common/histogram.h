/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Times in buckets of 3 %. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <math.h>

#include "bench.h"

#define FINE 32 /* buckets per power of two */
#define BUCKETS (64 * FINE)

struct histogram {
    uint64_t buckets[BUCKETS];
};

static inline void note(struct histogram *h, uint64_t ns)
{
    int shift = ns < FINE ? 0 : 63 - __builtin_clzll(ns) - __builtin_ctz(FINE);
    h->buckets[ns < FINE ? ns : (uint64_t)(shift + 1) * FINE + (ns >> shift) - FINE]++;
}

static inline double percentile_us(const struct histogram *h, double share)
{
    uint64_t total = 0, seen = 0;
    int i;

    for (i = 0; i < BUCKETS; i++)
        total += h->buckets[i];
    for (i = 0; i < BUCKETS - 1; i++)
        if ((seen += h->buckets[i]) >= share * (double)total && seen > 0)
            break;
    return (i < FINE ? i : ldexp(FINE + i % FINE + 0.5, i / FINE - 1)) / 1e3;
}

#endif
