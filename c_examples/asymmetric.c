// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * An asymmetric coroutine as a generator: it runs when it is resumed, until it yields the next value. The first part
 * needs no scheduler at all; in the second one a generator waits, and only the coroutine that resumed it waits with it.
 */
#include "dyco_coroutine.h"

struct fibonacci {
    long value;
    int count;
    uint32_t pause; // ms before each value
};

// Its locals live from one resume to the next: that is the point.
static void fibonacci(void *arg)
{
    struct fibonacci *self = arg;
    long next = 1;
    self->value = 0;
    for (int i = 0; i < self->count; i++) {
        if (self->pause)
            dyco_coroutine_sleep(self->pause);
        dyco_asymcoro_yield();
        long sum = self->value + next;
        self->value = next;
        next = sum;
    }
}

static void print(const char *who, struct fibonacci *numbers)
{
    int generator = dyco_asymcoro_create(fibonacci, numbers);
    if (generator < 0) {
        perror("dyco_asymcoro_create");
        return;
    }
    while (dyco_asymcoro_resume(generator) > 0) // 0: it has ended
        printf("%s: %ld\n", who, numbers->value);
    dyco_asymcoro_free(generator);
}

static void slow(void *name)
{
    static struct fibonacci numbers = {.count = 3, .pause = 50};
    print(name, &numbers);
}

static void clock_ticks(void *arg)
{
    (void)arg;
    dyco_coroutine_sleep(75);
    puts("meanwhile, another coroutine");
}

int main(void)
{
    struct fibonacci numbers = {.count = 8};
    print("main", &numbers); // the main program's stack stays where it is: its locals may be lent

    if (dyco_coroutine_create(slow, "slow") < 0 || dyco_coroutine_create(clock_ticks, NULL) < 0) {
        perror("dyco_coroutine_create");
        return 1;
    }
    return dyco_schedule_run() < 0;
}
