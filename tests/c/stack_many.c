// busy: much
// timeout: 60
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * 100,000 coroutines on stacks of their own at once: guards do not use up the process's mappings, the program can still
 * map memory, and everything comes back.
 */
#include "core.h"

#define MANY 100000

static int alive, finished;

static void live(void *argument) {
    volatile intptr_t number = (intptr_t)argument;
    alive++;
    dyco_coroutine_sleep(0);
    CHECK_EQ(number, (intptr_t)argument);
    while (alive < MANY) dyco_coroutine_sleep(1);
    dyco_coroutine_sleep(0);
    CHECK_EQ(number, (intptr_t)argument);
    finished++;
}

static void map_something(void *argument) {
    (void)argument;
    while (alive < MANY) dyco_coroutine_sleep(0);
    void *maps[100];
    for (size_t i = 0; i < COUNT(maps); i++) {
        maps[i] = mmap(NULL, 4096, i % 2 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(maps[i] != MAP_FAILED);
    }
    for (size_t i = 0; i < COUNT(maps); i++) munmap(maps[i], 4096);
}

int main(void) {
    spawn_own(map_something, NULL, 65536);
    for (intptr_t i = 0; i < MANY; i++) spawn_own(live, (void *)i, 16384);
    CHECK_EQ(dyco_schedule_getCoroCount(), MANY + 1);
    run_all();
    CHECK_EQ(finished, MANY);
    CHECK(rss_kb() < 400 * 1024);

    alive = 0;
    finished = 0;
    for (intptr_t i = 0; i < MANY; i++) spawn_own(live, (void *)i, 16384);
    run_all();
    CHECK_EQ(finished, MANY);
    dyco_schedule_free(NULL);
    CHECK(rss_kb() < 100 * 1024);
    return test_done();
}
