// flags: -frounding-math
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A coroutine that ends makes way for the next one at once, whatever the two run on: it is gone, nothing of it is left
 * behind for the next one, its place goes to who waits for it, and a crowd that ends does not keep others waiting.
 */
#include "core.h"

#include <fenv.h>

enum { ROUNDS = 200, KINDS = 4 };

static char memory[2 * ROUNDS][16384] __attribute__((aligned(64)));
static int previous, ended, spawned, over;

/* One that runs while the previous one is dead: what that left in the thread is not to be seen here. */
static void ends(void *argument) {
    volatile char frame[2000];
    CHECK_EQ(errno, 0);
    CHECK_EQ(fegetround(), FE_TONEAREST);
    if (previous) CHECK_ERRNO(dyco_coroutine_setUrgent(previous), ESRCH);
    CHECK_EQ(dyco_schedule_getCoroCount(), spawned - ended);
    memset((void *)frame, (int)(intptr_t)argument, sizeof frame);
    fesetround(FE_UPWARD);
    previous = dyco_coroutine_coroID();
    ended++;
    errno = 1 + (int)(intptr_t)argument % 100;
    if ((intptr_t)argument % 7 == 0) dyco_coroutine_abort();
}

/* One that was there before, parked, with a state and a frame of its own. */
static void stays(void *argument) {
    long local[64];
    fesetround(FE_DOWNWARD);
    for (int i = 0; i < 64; i++) local[i] = (intptr_t)argument + i;
    errno = 77;
    while (!over) {
        dyco_coroutine_sleep(0);
        CHECK_EQ(errno, 77);
        CHECK_EQ(fegetround(), FE_DOWNWARD);
        for (int i = 0; i < 64; i++) CHECK_EQ(local[i], (intptr_t)argument + i);
    }
}

static void on(int cid, int kind, int round) {
    if (kind == 1) CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 16384), 1);
    if (kind == 2) CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 4 << 20), 1); /* too large to be kept */
    if (kind == 3) CHECK_EQ(dyco_coroutine_setStack(cid, memory[round], sizeof memory[round]), 1);
}

static void crowds(void *argument) {
    unsigned random = 1;
    (void)argument;
    for (int turn = 0; turn < 20; turn++) {
        for (int round = 0; round < ROUNDS; round++) {
            random = random * 1103515245 + 12345;
            on(spawn_shared(ends, (void *)(intptr_t)round), turn < KINDS ? turn : (int)(random >> 16 & 3), round);
            spawned++;
            if (turn == 10 && round % 20 == 0) {
                on(spawn_shared(stays, (void *)(intptr_t)round), round / 20 % KINDS, ROUNDS + round);
                spawned++;
            }
        }
        dyco_coroutine_sleep(0);
        dyco_coroutine_sleep(0);
        CHECK_EQ(ended, (turn + 1) * ROUNDS);
    }
    over = 1;
}

/* An endless row of short lives: each makes its successor, on the stack of its predecessor. */
static int woke, lives;

static void lives_shortly(void *argument) {
    volatile long frame[200];
    for (int i = 0; i < 200; i++) frame[i] = lives + i;
    int cid = woke ? 0 : spawn_own(lives_shortly, argument, 16384);
    for (int i = 0; i < 200; i++) CHECK_EQ(frame[i], lives + i);
    CHECK(woke || cid > 0);
    lives++;
}

static void sleeps(void *argument) {
    int64_t begin = now_ms();
    dyco_coroutine_sleep(30);
    CHECK_TOOK(now_ms() - begin, 30, 200);
    *(int *)argument = 1;
}

/* A place that comes free goes to who waits for it, an urgent one before all others. */
static dyco_coropool *pool;
static char order[32];

static void note(void *argument) {
    strcat(order, argument);
}

static void note_and_make(void *argument) {
    strcat(order, argument);
    spawn_own(note, "z", 16384);
}

static void urgent_obtainer(void *argument) {
    CHECK_EQ(dyco_coroutine_setUrgent(dyco_coroutine_coroID()), 0);
    CHECK(dyco_coropool_obtain(pool, note, argument, -1) > 0);
    strcat(order, "!");
}

static void obtainer(void *argument) {
    proc_coroutine function = *(char *)argument == 'a' ? note_and_make : note;
    CHECK(dyco_coropool_obtain(pool, function, argument, -1) > 0);
}

static void pools(size_t stack) {
    order[0] = 0;
    CHECK((pool = dyco_coropool_create(1, stack)) != NULL);
    spawn(obtainer, "a");
    spawn(urgent_obtainer, "b");
    spawn(obtainer, "c");
    spawn_own(note, "x", 16384);
    spawn_own(note, "y", 16384);
    run_all();
    /* x is ready before a; b's obtainer is woken as a ends, and goes before z, which is ready then. */
    CHECK_STR(order, "xya!zbc");
    CHECK_EQ(dyco_coropool_available(pool), 1);
    CHECK_EQ(dyco_coropool_destroy(&pool), 0);
}

int main(void) {
    spawned = 1;
    spawn_own(crowds, NULL, 65536);
    run_all();
    CHECK_EQ(ended, 20 * ROUNDS);
    CHECK_EQ(fegetround(), FE_TONEAREST);

    for (int i = 0; i < 3; i++) spawn_own(lives_shortly, NULL, 16384);
    spawn(sleeps, &woke);
    run_all();
    CHECK(lives > 3); /* the three that were spawned, and others after them */

    pools(0);
    pools(16384);
    return test_done();
}
