// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The ways to end: one coroutine (dyco_coroutine_abort), the run loop for now
 * (dyco_schedcall_stop), and everything at once (dyco_schedcall_abort).
 *
 * Ending from outside runs no clean-up code of the coroutine that ends: its
 * stack is freed, but descriptors that it opened and memory that it allocated
 * are its program's matter.
 */
#include "dyco_coroutine.h"

static void create(proc_coroutine function, const char *name)
{
    if (dyco_coroutine_create(function, (void *)name) < 0) {
        perror("dyco_coroutine_create");
        exit(1);
    }
}

static void run(void)
{
    int result = dyco_schedule_run();
    printf("dyco_schedule_run() returned %d, coroutines alive: %d\n\n", result, dyco_schedule_getCoroCount());
}

static void give_up(void)
{
    puts("  gives up, two calls deep");
    dyco_coroutine_abort(); // as if the coroutine's function had returned
    puts("  never printed");
}

static void ends_itself(void *arg)
{
    (void)arg;
    give_up();
    puts("  never printed");
}

static void counts_to_three(void *name)
{
    for (int i = 1; i <= 3; i++) {
        printf("  %s: %d\n", (char *)name, i);
        dyco_coroutine_sleep(10);
    }
}

static void stops_the_loop(void *arg)
{
    (void)arg;
    dyco_coroutine_sleep(15);
    puts("  stop!");
    dyco_schedcall_stop(); // run returns 1; the next run goes on right here
    puts("  and on we go");
}

static void aborts_everything(void *arg)
{
    (void)arg;
    dyco_coroutine_sleep(15);
    puts("  abort!");
    dyco_schedcall_abort(); // does not return
    puts("  never printed");
}

int main(void)
{
    puts("A coroutine ends itself; the other is not touched:");
    create(ends_itself, NULL);
    create(counts_to_three, "other");
    run();

    puts("Stop, do something else, and run again:");
    create(counts_to_three, "counter");
    create(stops_the_loop, NULL);
    run();
    puts("(between the two runs)\n");
    run();

    puts("Abort ends all coroutines of this thread:");
    create(counts_to_three, "counter");
    create(aborts_everything, NULL);
    run();

    puts("The scheduler is empty then and can be used anew:");
    create(counts_to_three, "again");
    run();

    dyco_schedule_free(NULL); // this thread's; the end of the thread would free it too
    return 0;
}
