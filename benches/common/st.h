/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* State Threads, on epoll. */
#ifndef BENCH_ST_H
#define BENCH_ST_H

#include <st.h>

#include "bench.h"

#define STACK 16384

static inline void begin_st(void)
{
    MUST(st_set_eventsys(ST_EVENTSYS_ALT) == 0);
    MUST(st_init() == 0);
}

static inline void create(void *(*func)(void *), void *arg)
{
    MUST(st_thread_create(func, arg, 0, STACK));
}

#endif
