/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What uses libdyco: the program itself, or a library that it is linked with or loads.
 */
#include "dyco_coroutine.h"

#include <pthread.h>

static int ticks, done;

static void ticker(void *argument) {
    (void)argument;
    while (!done) {
        dyco_coroutine_sleep(10);
        ticks++;
    }
}

static void waiter(void *argument) {
    void (*wait)(void) = *(void (**)(void))argument;
    wait();
    done = 1;
}

/* Whether others can run while a coroutine is in `wait`. */
int plugin_reached(void (*wait)(void)) {
    done = 0;
    if (dyco_coroutine_create(waiter, &wait) < 0 || dyco_coroutine_create(ticker, NULL) < 0) return -1;
    ticks = 0;
    if (dyco_schedule_run() != 0) return -1;
    return ticks > 3;
}

int plugin_active(void) {
    return dyco_hook_active();
}

const char *plugin_missing(void) {
    const char *name = dyco_hook_missing(0);
    return name ? name : "none";
}
