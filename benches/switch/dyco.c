/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A switch to an asymmetric coroutine or back, through the public calls: a resume and a yield are two. */
#include "../common/dyco.h"

static int generator;

static void generate(void *arg)
{
    (void)arg;
    for (;;)
        dyco_asymcoro_yield();
}

static void resume(uint64_t loops)
{
    while (loops--)
        MUST(dyco_asymcoro_resume(generator) == generator);
}

static void timekeeper(void *arg)
{
    (void)arg;
    measure(NULL, resume, 2);
}

/* switch_dyco [outside]: resumed by a coroutine, or by the main program */
int main(int argc, char **argv)
{
    (void)argv;
    MUST((generator = dyco_asymcoro_create(generate, NULL)) > 0);
    if (argc > 1)
        timekeeper(NULL);
    else {
        MUST(dyco_coroutine_create(timekeeper, NULL) > 0);
        MUST(dyco_schedule_run() == 0);
    }
    return 0;
}
