// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A pool: at most three coroutines work at a time, whoever wants a fourth one waits for its turn. Coroutines and their
 * stacks are made once and reused, so obtaining one allocates nothing.
 */
#include "dyco_coroutine.h"

static dyco_coropool *pool;
static int working;

static void job(void *arg)
{
    int number = (int)(intptr_t)arg;
    working++;
    printf("job %d begins, %d at work\n", number, working);
    dyco_coroutine_sleep(100 + 10 * (uint32_t)number);
    working--;
    // The coroutine goes back to the pool when its function ends, however it ends.
    if (number == 2)
        dyco_coroutine_abort();
}

static void hands_out_jobs(void *arg)
{
    (void)arg;
    for (intptr_t number = 1; number <= 6; number++)
        if (dyco_coropool_obtain(pool, job, (void *)number, -1) < 0) // waits while all three work
            perror("dyco_coropool_obtain");

    // 0 is no error: none came free in that time.
    if (dyco_coropool_obtain(pool, job, (void *)(intptr_t)7, 10) == 0)
        printf("job 7 would have to wait longer than 10 ms\n");

    // More hands: this one waits no longer.
    dyco_coropool_resize(pool, 4);
    if (dyco_coropool_obtain(pool, job, (void *)(intptr_t)8, 0) > 0)
        printf("after dyco_coropool_resize() job 8 begins at once\n");
}

int main(void)
{
    pool = dyco_coropool_create(3, DYCO_DEFAULT_STACKSIZE);
    if (pool == NULL || dyco_coroutine_create(hands_out_jobs, NULL) < 0) {
        perror("create");
        return 1;
    }
    if (dyco_schedule_run() < 0)
        perror("dyco_schedule_run");
    printf("free at the end: %d\n", dyco_coropool_available(pool));
    if (dyco_coropool_destroy(&pool) < 0)
        perror("dyco_coropool_destroy"); // EBUSY, if one were still at work
    return 0;
}
