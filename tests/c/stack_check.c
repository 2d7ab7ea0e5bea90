/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * checkStack warns from 7/8 on; an overflow of a caller's stack ends that coroutine, at the next switch or check.
 */
#include "core.h"

#define SIZE 16384

/* The overflowing coroutine writes below `stack`, into `below`. */
static struct {
    char below[8192];
    char stack[SIZE] __attribute__((aligned(64)));
} memory;

static int went_on, neighbour_turns;

/* Frames until the stack pointer is `bytes` below `top`; then `then`. */
static __attribute__((noinline)) void descend(char *top, size_t bytes, void (*then)(void)) {
    volatile char frame[64];
    for (size_t i = 0; i < sizeof frame; i++) frame[i] = 1;
    if ((size_t)(top - (char *)frame) < bytes) descend(top, bytes, then);
    else then();
    frame[1] = 2;
}

static void is_safe(void) {
    CHECK_EQ(dyco_coroutine_checkStack(), 0);
}

static void is_nearly_full(void) {
    CHECK_EQ(dyco_coroutine_checkStack(), 1);
}

static void do_nothing(void) {}

static void check_and_go_on(void) {
    dyco_coroutine_checkStack();
    went_on = 1;
}

static void sleep_and_go_on(void) {
    dyco_coroutine_sleep(0);
    went_on = 1;
}

static void use(void *argument) {
    void *base;
    size_t size;
    (void)argument;
    is_safe();
    int own = dyco_coroutine_getStack(dyco_coroutine_coroID(), &base, &size);
    if (own == 0) { /* shared: from here on, of the default size */
        size = DYCO_MAX_STACKSIZE;
        base = (void *)((uintptr_t)&base - size);
    }
    char *top = (char *)base + size;
    descend(top, size / 2, is_safe);
    descend(top, size * 3 / 4, is_safe);
    descend(top, size * 15 / 16, is_nearly_full);
    is_safe();
    dyco_coroutine_sleep(0);
    is_safe();
    went_on++;
}

static void over_at_check(void *argument) {
    (void)argument;
    descend(memory.stack + SIZE, SIZE + 1000, check_and_go_on);
    went_on = 1;
}

static void over_at_switch(void *argument) {
    (void)argument;
    descend(memory.stack + SIZE, SIZE + 1000, sleep_and_go_on);
    went_on = 1;
}

/* The overflow is over when the switch comes, but has left its mark. */
static void over_before_switch(void *argument) {
    (void)argument;
    descend(memory.stack + SIZE, SIZE + 1000, do_nothing);
    dyco_coroutine_sleep(0);
    went_on = 1;
}

static void neighbour(void *argument) {
    (void)argument;
    for (int i = 0; i < 20; i++) {
        neighbour_turns++;
        dyco_coroutine_sleep(0);
    }
}

static void overflow(proc_coroutine function) {
    void *udata;
    went_on = neighbour_turns = 0;
    for (int i = 0; i < 5; i++) spawn(neighbour, NULL);
    int cid = spawn(function, NULL);
    CHECK_EQ(dyco_coroutine_setStack(cid, memory.stack, SIZE), 1);
    for (int i = 0; i < 5; i++) spawn(neighbour, NULL);
    run_all();
    CHECK_EQ(went_on, 0);
    CHECK_EQ(neighbour_turns, 200);
    CHECK_ERRNO(dyco_coroutine_getUdata(cid, &udata), ESRCH);
}

int main(void) {
    CHECK_ERRNO(dyco_coroutine_checkStack(), EPERM);
    int cid = spawn(use, NULL);
    CHECK_EQ(dyco_coroutine_setStack(cid, memory.stack, SIZE), 1);
    spawn_own(use, NULL, 65536);
    spawn(use, NULL);
    run_all();
    CHECK_EQ(went_on, 3);
    overflow(over_at_check);
    overflow(over_at_switch);
    overflow(over_before_switch);
    CHECK_ERRNO(dyco_coroutine_checkStack(), EPERM);
    return test_done();
}
