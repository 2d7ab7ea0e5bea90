/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "storm.h"

#include "../common/dyco.h"

static int ended;

static void sleeper(void *random)
{
    struct sleeper s = {.random = (uint32_t)(uintptr_t)random};
    uint32_t ms;

    while ((ms = next_sleep(&s)))
        dyco_coroutine_sleep(ms);
    if (!ended++)
        print_storm();
}

int main(int argc, char **argv)
{
    MUST(argc == 4);
    choose_stacks(argv[1]);
    for (int i = 0; i < atoi(argv[2]); i++)
        create(sleeper, (void *)(intptr_t)i);
    storm(atoi(argv[3]));
    MUST(dyco_schedule_run() == 0);
    return 0;
}
