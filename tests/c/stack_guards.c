/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Stacks of crowds that have ended, in whichever order: their pages go back to the kernel, but for some, and their guards
 * are still there when the next crowd gets them.
 */
// modes: shared ring
// arch: x86_64
#include "core.h"

#define MANY 20000

static int alive, finished, spread;

/* Whether the kernel may write there. */
static int is_writable(void *address) {
    return syscall(SYS_clock_gettime, CLOCK_MONOTONIC, address) == 0;
}

static void live(void *argument) {
    int number = (int)(intptr_t)argument;
    void *base;
    CHECK_EQ(dyco_coroutine_getStack(dyco_coroutine_coroID(), &base, NULL), 1);
    CHECK(is_writable((char *)base + 16384));
    CHECK(!is_writable((char *)base - 64));
    alive++;
    while (alive < MANY) dyco_coroutine_sleep(1);
    dyco_coroutine_sleep((uint32_t)(number * 7919 % spread));
    finished++;
}

int main(void) {
    long before = rss_kb();
    for (spread = 1; spread < 40; spread += 19) {
        alive = finished = 0;
        for (intptr_t i = 0; i < MANY; i++) spawn_own(live, (void *)i, 16384);
        run_all();
        CHECK_EQ(finished, MANY);
        /* A crowd has 80 MB of stacks at least, and a fifth stays. */
        CHECK(rss_kb() - before < 50000);
    }
    return test_done();
}
