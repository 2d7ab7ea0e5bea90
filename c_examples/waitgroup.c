// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A waitgroup: wait until some, or all, of several coroutines are done.
 */
#include "dyco_coroutine.h"

static dyco_waitgroup *group;

static void part(void *arg)
{
    int number = (int)(intptr_t)arg;
    dyco_coroutine_sleep(40 * (uint32_t)number);
    printf("part %d is done\n", number);
    dyco_waitgroup_done(group); // counts once, however often it is called
}

static void waits_for_parts(void *arg)
{
    (void)arg;
    for (intptr_t number = 1; number <= 4; number++)
        dyco_waitgroup_add(group, dyco_coroutine_create(part, (void *)number)); // refuses a cid that is none

    if (dyco_waitgroup_wait(group, 0, 20) < 0 && errno == ETIMEDOUT)
        printf("not all are done after 20 ms: %d\n", dyco_waitgroup_wait(group, 0, 0));
    printf("two are done: %d\n", dyco_waitgroup_wait(group, 2, -1));
    printf("all are done: %d\n", dyco_waitgroup_wait(group, 0, -1));
    dyco_waitgroup_destroy(&group);
}

int main(void)
{
    group = dyco_waitgroup_create(4); // how many to expect: only a hint
    if (group == NULL || dyco_coroutine_create(waits_for_parts, NULL) < 0) {
        perror("create");
        return 1;
    }
    return dyco_schedule_run() < 0;
}
