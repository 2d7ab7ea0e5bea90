/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A coroutine on the stack that the benchmark is about: `own_stacks` is set from the command line. */
#ifndef BENCH_DYCO_H
#define BENCH_DYCO_H

#include <dyco_coroutine.h>

#include "bench.h"

static int own_stacks;

static inline int create(proc_coroutine func, void *arg)
{
    int cid = dyco_coroutine_create(func, arg);
    MUST(cid > 0);
    if (own_stacks)
        MUST(dyco_coroutine_setStack(cid, NULL, DYCO_DEFAULT_STACKSIZE) == 1);
    return cid;
}

static inline void choose_stacks(const char *name)
{
    own_stacks = strcmp(name, "own") == 0;
    MUST(own_stacks || strcmp(name, "shared") == 0);
}

#endif
