// modes: shared ring
// timeout: 60
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * On locked memory guards are made by mprotect, of which a process can have some ten thousand: those of threads that have
 * gone are not counted for ever, and the last thread's stacks have guards like the first one's.
 */
#include "core.h"

static void *base;

static void tells(void *argument) {
    (void)argument;
    CHECK_EQ(dyco_coroutine_getStack(dyco_coroutine_coroID(), &base, NULL), 1);
}

/* Whether the kernel may write there. */
static int is_writable(void *address) {
    return syscall(SYS_clock_gettime, CLOCK_MONOTONIC, address) == 0;
}

static void *thread(void *argument) {
    for (int i = 0; i < 1000; i++) spawn_own(tells, NULL, 16384);
    run_all();
    CHECK(is_writable(base));
    CHECK(!is_writable((char *)base - 64));
    return argument;
}

int main(void) {
    if (mlockall(MCL_FUTURE | MCL_ONFAULT) != 0) TEST_SKIP("may not lock memory");
    for (int i = 0; i < 30; i++) {
        pthread_t other;
        CHECK_EQ(pthread_create(&other, NULL, thread, NULL), 0);
        CHECK_EQ(pthread_join(other, NULL), 0);
    }
    return test_done();
}
