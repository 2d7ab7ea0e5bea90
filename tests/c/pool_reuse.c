// modes: shared archive fortify ring
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A pool's coroutines and stacks are made once: obtain, run and return call no malloc and map nothing.
 */
#include "sync.h"

static long calls;
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);

void *malloc(size_t size) {
    calls++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    calls++;
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    calls++;
    return __libc_realloc(memory, size);
}

static dyco_coropool *pool;
static int ran;

static void works(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(0);
    ran++;
}

static void obtains(void *argument) {
    for (int i = (int)(intptr_t)argument; i > 0; i--)
        CHECK(dyco_coropool_obtain(pool, works, NULL, -1) > 0);
}

static void yields(void *argument) {
    int *done = argument;
    note('b');
    while (!*done) dyco_asymcoro_yield();
}

static long maps(void) {
    char line[512];
    long count = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file)) count++;
    fclose(file);
    return count;
}

static void pools(size_t stack) {
    CHECK((pool = dyco_coropool_create(8, stack)) != NULL);
    spawn(obtains, (void *)100);
    run_all();
    spawn(obtains, (void *)10000); /* its own making is not counted */
    long before_maps = maps(), before = calls;
    CHECK_EQ(dyco_schedule_run(), 0);
    CHECK_EQ(calls, before);
    CHECK_EQ(maps(), before_maps);
    CHECK_EQ(dyco_coropool_destroy(&pool), 0);
}

static void asymmetric(void) {
    int done = 0;
    CHECK((pool = dyco_asymcpool_create(4, 16384)) != NULL);
    long before = 0;
    for (int i = 0; i < 1000; i++) {
        if (i == 10) before = calls;
        int cids[4];
        for (int k = 0; k < 4; k++) {
            CHECK((cids[k] = dyco_asymcpool_obtain(pool, yields, &done, 0)) > 0);
            CHECK_EQ(dyco_asymcoro_resume(cids[k]), cids[k]);
        }
        for (int k = 0; k < 4; k++) dyco_asymcpool_return(cids[k]);
        trace_length = 0;
    }
    CHECK_EQ(calls, before);
    CHECK_EQ(dyco_asymcpool_destroy(&pool), 0);
}

int main(void) {
    free(malloc(1));
    CHECK(calls > 0);
    pools(0);
    pools(16384);
    CHECK_EQ(ran, 2 * 10100);
    asymmetric();
    return test_done();
}
