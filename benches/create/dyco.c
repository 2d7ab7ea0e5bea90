/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * To create a coroutine and see it finish, 1,000 at a time, in a scheduler that goes on.
 *
 *     create_dyco own|shared|pool
 *
 * pool: obtained from a pool of 1,000 on stacks of their own, which is what create and finish cost where one bounds how
 * many there are.
 */
#include "../common/dyco.h"

#define CROWD 1000

static uint64_t finished;
static dyco_coropool *pool;

static void nothing(void *arg)
{
    (void)arg;
    finished++;
}

static void crowds(uint64_t loops)
{
    while (loops--) {
        uint64_t before = finished;
        for (int i = 0; i < CROWD; i++)
            if (pool)
                MUST(dyco_coropool_obtain(pool, nothing, NULL, -1) > 0);
            else
                create(nothing, NULL);
        while (finished < before + CROWD)
            dyco_coroutine_sleep(0);
    }
}

static void timekeeper(void *arg)
{
    (void)arg;
    measure(NULL, crowds, CROWD);
}

int main(int argc, char **argv)
{
    MUST(argc == 2);
    if (strcmp(argv[1], "pool") == 0)
        MUST(pool = dyco_coropool_create(CROWD, DYCO_DEFAULT_STACKSIZE));
    else
        choose_stacks(argv[1]);
    create(timekeeper, NULL);
    MUST(dyco_schedule_run() == 0);
    return 0;
}
