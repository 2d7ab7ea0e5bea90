/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * sleep(0) gives way to the tail of the ready queue; other sleeps end in the order of their deadlines, each once, never
 * early. Outside a coroutine it is a thread's sleep.
 */
#include "core.h"

static char order[256];
static int length;

static void note(void *argument) {
    order[length++] = (char)(intptr_t)argument;
}

static void give_way(void *argument) {
    for (int i = 0; i < 4; i++) {
        note(argument);
        dyco_coroutine_sleep(0);
    }
}

static int awake;

static void sleeper(void *argument) {
    int msecs = (int)(intptr_t)argument;
    int64_t begin = now_ns();
    dyco_coroutine_sleep((uint32_t)msecs);
    int64_t slept = now_ns() - begin;
    CHECK_TOOK(slept, msecs * INT64_C(1000000), (msecs + 1000) * INT64_C(1000000));
    awake++;
}

/* When each began to sleep: between its own time here and that of the one after it. */
static int64_t begun[1001], latest;
static int sleepers;

static void in_order(void *argument) {
    int64_t nanoseconds = (intptr_t)argument * INT64_C(1000000);
    int number = sleepers++;
    begun[number] = now_ns();
    dyco_coroutine_sleep((uint32_t)(intptr_t)argument);
    CHECK(begun[number + 1] + nanoseconds >= latest);
    if (begun[number] + nanoseconds > latest) latest = begun[number] + nanoseconds;
    awake++;
}

static void long_turn(void *argument) {
    (void)argument;
    begun[sleepers] = now_ns();
    int64_t until = now_ms() + 60; /* everybody's deadline passes while this one computes */
    while (now_ms() < until) continue;
}

static void *thread(void *argument) {
    int64_t begin = now_ns();
    dyco_coroutine_sleep(30);
    CHECK(now_ns() - begin >= 30000000);
    return argument;
}

int main(void) {
    for (int i = 0; i < 3; i++) spawn(give_way, (void *)(intptr_t)('a' + i));
    run_all();
    order[length] = 0;
    CHECK_STR(order, "abcabcabcabc");

    for (int i = 0; i < 2000; i++) spawn(sleeper, (void *)(intptr_t)(i % 100));
    run_all();
    CHECK_EQ(awake, 2000);

    /* Any number with one deadline, and deadlines met all at once. */
    awake = 0;
    for (int i = 0; i < 1000; i++) spawn(in_order, (void *)(intptr_t)(1 + (i * 7919) % 50));
    spawn(long_turn, NULL);
    run_all();
    CHECK_EQ(awake, 1000);

    /* The same, each deadline a millisecond apart or equal. */
    awake = 0;
    for (int i = 0; i < 500; i++) spawn(sleeper, (void *)(intptr_t)5);
    run_all();
    CHECK_EQ(awake, 500);

    int64_t begin = now_ns();
    dyco_coroutine_sleep(50);
    CHECK_TOOK((now_ns() - begin) / 1000000, 50, 2000);
    begin = now_ns();
    dyco_coroutine_sleep(0);
    CHECK_TOOK((now_ns() - begin) / 1000000, 0, 1000);
    pthread_t other;
    CHECK_EQ(pthread_create(&other, NULL, thread, NULL), 0);
    CHECK_EQ(pthread_join(other, NULL), 0);
    return test_done();
}
