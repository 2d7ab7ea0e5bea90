// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A semaphore: two of five coroutines at a time hold one of its permits. Who waited first is served first.
 */
#include "dyco_coroutine.h"

static dyco_semaphore *tables;

static void guest(void *arg)
{
    int number = (int)(intptr_t)arg;
    if (dyco_semaphore_wait(tables, number == 4 ? 10 : -1) < 0) { // number 4 is impatient
        printf("guest %d gives up: %s\n", number, errno == ETIMEDOUT ? "no table within 10 ms" : strerror(errno));
        return;
    }
    printf("guest %d sits down\n", number);
    dyco_coroutine_sleep(40 + 20 * (uint32_t)number);
    printf("guest %d leaves\n", number);
    dyco_semaphore_signal(tables); // straight to who waits first, if anybody does
}

int main(void)
{
    tables = dyco_semaphore_create(2);
    if (tables == NULL) {
        perror("dyco_semaphore_create");
        return 1;
    }
    for (intptr_t number = 1; number <= 5; number++)
        if (dyco_coroutine_create(guest, (void *)number) < 0)
            perror("dyco_coroutine_create");
    int result = dyco_schedule_run();
    dyco_semaphore_destroy(&tables);
    return result < 0;
}
