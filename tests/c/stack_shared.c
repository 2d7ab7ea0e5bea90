// busy: much
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Coroutines on shared stacks do not see each other: each finds its locals as it left them, at the same addresses, at
 * any depth and with any number of others in between.
 */
#include "core.h"

static int finished;

static unsigned next_random(unsigned *state) {
    return *state = *state * 1103515245u + 12345u;
}

static void fill(volatile unsigned char *block, size_t size, unsigned seed) {
    for (size_t i = 0; i < size; i++) block[i] = (unsigned char)(seed + i * 31);
}

static void verify(const volatile unsigned char *block, size_t size, unsigned seed) {
    for (size_t i = 0; i < size; i++)
        if (block[i] != (unsigned char)(seed + i * 31)) TEST_FAIL("byte %zu of %zu changed", i, size);
}

static void patterned(void *argument) {
    unsigned seed = (unsigned)(uintptr_t)argument, random = seed;
    volatile unsigned char block[1024];
    volatile unsigned char *const address = block;
    unsigned *const random_address = &random;
    for (int turn = 0; turn < 30; turn++) {
        fill(block, sizeof block, seed + (unsigned)turn);
        dyco_coroutine_sleep(next_random(&random) / 65536 % 8 == 0);
        CHECK(block == address);
        CHECK(&random == random_address);
        verify(address, sizeof block, seed + (unsigned)turn);
    }
    finished++;
}

/* Walks up and down, and parks at every depth. */
static unsigned wander(unsigned seed, int depth) {
    volatile unsigned char block[200];
    size_t size = 20 + seed % 180;
    fill(block, size, seed);
    dyco_coroutine_sleep(0);
    verify(block, size, seed);
    unsigned sum = seed;
    if (depth > 0) {
        sum += wander(seed * 5 + 1, depth - 1);
        verify(block, size, seed);
        dyco_coroutine_sleep(0);
        verify(block, size, seed);
    }
    return sum;
}

static void wanderer(void *argument) {
    unsigned seed = (unsigned)(uintptr_t)argument;
    for (int depth = 0; depth < 40; depth += 1 + (int)(seed % 7)) {
        unsigned sum = 0, value = seed;
        for (int i = 0; i <= depth; i++) {
            sum += value;
            value = value * 5 + 1;
        }
        CHECK_EQ(wander(seed, depth), sum);
    }
    finished++;
}

/* One parks deep, the other shallow, on whatever slot. */
static void deep(void *argument) {
    volatile unsigned char block[40000];
    unsigned seed = (unsigned)(uintptr_t)argument;
    fill(block, sizeof block, seed);
    for (int i = 0; i < 10; i++) {
        dyco_coroutine_sleep(0);
        verify(block, sizeof block, seed);
    }
    finished++;
}

static void shallow(void *argument) {
    volatile uintptr_t number = (uintptr_t)argument;
    for (int i = 0; i < 20; i++) {
        dyco_coroutine_sleep(0);
        CHECK_EQ(number, (uintptr_t)argument);
    }
    finished++;
}

static void parent(void *argument) {
    uintptr_t left = (uintptr_t)argument;
    volatile unsigned char block[500];
    fill(block, sizeof block, (unsigned)left);
    if (left > 0) {
        spawn(parent, (void *)(left - 1));
        spawn(shallow, (void *)left);
    }
    dyco_coroutine_sleep(1);
    verify(block, sizeof block, (unsigned)left);
    finished++;
}

int main(void) {
    for (uintptr_t i = 0; i < 1000; i++) spawn(patterned, (void *)(i * 2654435761u));
    run_all();
    CHECK_EQ(finished, 1000);

    finished = 0;
    for (uintptr_t i = 0; i < 500; i++) spawn(wanderer, (void *)(i * 2654435761u));
    run_all();
    CHECK_EQ(finished, 500);

    finished = 0;
    for (uintptr_t i = 0; i < 100; i++) spawn(i % 2 ? deep : shallow, (void *)i);
    run_all();
    CHECK_EQ(finished, 100);

    finished = 0;
    spawn(parent, (void *)300);
    run_all();
    CHECK_EQ(finished, 601);

    /* All kinds of stack side by side. */
    finished = 0;
    static char memory[50][8192];
    for (uintptr_t i = 0; i < 150; i++) {
        int cid = spawn(patterned, (void *)(i * 2654435761u));
        if (i % 3 == 0) CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 16384), 1);
        if (i % 3 == 1) CHECK_EQ(dyco_coroutine_setStack(cid, memory[i / 3], sizeof memory[0]), 1);
    }
    run_all();
    CHECK_EQ(finished, 150);
    return test_done();
}
