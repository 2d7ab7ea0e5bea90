/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libuv's clock is one of whole milliseconds, which is read once per turn: it may wake early by one. */
#include "storm.h"

#include <uv.h>

static struct sleeper *sleepers;
static uv_timer_t *timers;

static void wake(uv_timer_t *timer)
{
    uint32_t ms = next_sleep(&sleepers[timer - timers]);

    if (ms == 0) {
        print_storm();
        exit(0);
    }
    uv_update_time(uv_default_loop());
    MUST(uv_timer_start(timer, wake, ms + 1, 0) == 0);
}

int main(int argc, char **argv)
{
    MUST(argc == 3);
    int count = atoi(argv[1]);
    MUST(sleepers = calloc((size_t)count, sizeof *sleepers));
    MUST(timers = calloc((size_t)count, sizeof *timers));
    storm(atoi(argv[2]));
    for (int i = 0; i < count; i++) {
        sleepers[i].random = (uint32_t)i;
        MUST(uv_timer_init(uv_default_loop(), &timers[i]) == 0);
        wake(&timers[i]);
    }
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
