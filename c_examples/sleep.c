// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Three coroutines that sleep at the same time: together they take as long as
 * the longest, not as long as the sum.
 *
 * Inside a coroutine every way to sleep (dyco_coroutine_sleep, sleep, usleep,
 * nanosleep, …) puts only that coroutine to sleep. Outside of one, each puts
 * the thread to sleep, as always.
 */
#include "dyco_coroutine.h"

static struct timespec start;

static long elapsed_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000;
}

static void library_sleep(void *arg)
{
    (void)arg;
    for (int i = 1; i <= 3; i++) {
        dyco_coroutine_sleep(200);
        printf("%4ld ms: dyco_coroutine_sleep(200), round %d\n", elapsed_ms(), i);
    }
}

static void libc_sleep(void *arg)
{
    (void)arg;
    sleep(1); // libc's own sleep, and yet the others go on
    printf("%4ld ms: sleep(1)\n", elapsed_ms());
}

static void precise_sleep(void *arg)
{
    (void)arg;
    struct timespec half_a_second = {.tv_sec = 0, .tv_nsec = 500000000};
    nanosleep(&half_a_second, NULL);
    printf("%4ld ms: nanosleep of half a second\n", elapsed_ms());
}

// Sleeping 0 ms gives way: the coroutine goes to the end of the queue. A long
// calculation does this now and then, for nothing takes the thread away from it.
static void polite_calculation(void *arg)
{
    (void)arg;
    long sum = 0;
    for (int part = 0; part < 10; part++) {
        for (int i = 0; i < 1000; i++)
            sum += i;
        dyco_coroutine_sleep(0);
    }
    int times = dyco_coroutine_getSchedCount(dyco_coroutine_coroID());
    printf("%4ld ms: the sum is %ld, having given way %d times\n", elapsed_ms(), sum, times);
}

int main(void)
{
    clock_gettime(CLOCK_MONOTONIC, &start);

    // Coroutines start in the order of their creation, when the scheduler runs.
    if (dyco_coroutine_create(library_sleep, NULL) < 0 || dyco_coroutine_create(libc_sleep, NULL) < 0 ||
        dyco_coroutine_create(precise_sleep, NULL) < 0 || dyco_coroutine_create(polite_calculation, NULL) < 0) {
        perror("dyco_coroutine_create");
        return 1;
    }

    int result = dyco_schedule_run(); // returns when all have ended
    printf("%4ld ms: all done, dyco_schedule_run() returned %d\n", elapsed_ms(), result);
    return result;
}
