/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Urgent coroutines run before others, at most 128 in a row while others are ready, so that nobody starves.
 */
#include "core.h"

static int is_over, urgent_runs, in_a_row, longest, normal_runs;
static char order[64];
static int length;

static void note(void *argument) {
    order[length++] = (char)(intptr_t)argument;
    order[length] = 0;
}

static void expect(const char *wanted) {
    CHECK_STR(order, wanted);
    length = 0;
}

static void greedy(void *argument) {
    (void)argument;
    while (!is_over) {
        urgent_runs++;
        if (++in_a_row > longest) longest = in_a_row;
        dyco_coroutine_sleep(0);
    }
}

static void normal(void *argument) {
    int *runs = argument;
    for (int i = 0; i < 100; i++) {
        in_a_row = 0;
        ++*runs;
        normal_runs++;
        dyco_coroutine_sleep(0);
    }
    in_a_row = 0;
    ++*runs;
}

static void watch(void *argument) {
    int *runs = argument;
    int64_t begin = now_ms();
    while (runs[0] < 101 || runs[1] < 101 || runs[2] < 101) {
        in_a_row = 0;
        CHECK(now_ms() - begin < 10000);
        dyco_coroutine_sleep(0);
    }
    is_over = 1;
}

static void starve(int greedy_ones) {
    static int runs[3];
    memset(runs, 0, sizeof runs);
    is_over = urgent_runs = in_a_row = longest = normal_runs = 0;
    for (int i = 0; i < greedy_ones; i++) CHECK(dyco_coroutine_create_urgent(greedy, NULL) > 0);
    for (int i = 0; i < 3; i++) spawn(normal, &runs[i]);
    spawn(watch, runs);
    run_all();
    CHECK_EQ(normal_runs, 300);
    CHECK(longest <= DYCO_URGENT_MAXEXEC);
    CHECK(longest > 1);
    CHECK(urgent_runs > normal_runs); /* they do go first */
}

static int late[3];

static void change(void *argument) {
    (void)argument;
    note((void *)'x');
    CHECK_EQ(dyco_coroutine_setUrgent(late[2]), 0); /* ready, and last in the queue */
    CHECK_EQ(dyco_coroutine_setUrgent(late[2]), 0);
    dyco_coroutine_sleep(0);
    note((void *)'y');
}

static void make_self_urgent(void *argument) {
    (void)argument;
    CHECK_EQ(dyco_coroutine_setUrgent(dyco_coroutine_coroID()), 0);
    for (int i = 0; i < 3; i++) {
        note((void *)'u');
        dyco_coroutine_sleep(0);
    }
    CHECK_EQ(dyco_coroutine_unsetUrgent(dyco_coroutine_coroID()), 0);
    for (int i = 0; i < 2; i++) {
        note((void *)'n');
        dyco_coroutine_sleep(0);
    }
}

static void slow_note(void *argument) {
    for (int i = 0; i < 4; i++) {
        note(argument);
        dyco_coroutine_sleep(0);
    }
}

static int sleeper_woke, sleeper_turn, turns;

static void urgent_sleeper(void *argument) {
    (void)argument;
    CHECK_EQ(dyco_coroutine_setUrgent(dyco_coroutine_coroID()), 0);
    dyco_coroutine_sleep(20);
    sleeper_woke = 1;
    sleeper_turn = turns;
}

static void busy(void *argument) {
    (void)argument;
    while (!sleeper_woke) {
        turns++;
        usleep(0);
        dyco_coroutine_sleep(0);
    }
}

/* Turns while nobody else was ready do not count. */
static void alone_first(void *argument) {
    (void)argument;
    for (int i = 0; i < 1000; i++) dyco_coroutine_sleep(0);
    spawn(note, (void *)'n');
    for (int i = 0; i < 3; i++) CHECK(dyco_coroutine_create_urgent(note, (void *)'u') > 0);
    dyco_coroutine_sleep(0);
    note((void *)'a');
}

int main(void) {
    CHECK(dyco_coroutine_create_urgent(alone_first, NULL) > 0);
    run_all();
    expect("uuuan");

    starve(1);
    starve(200);

    for (int i = 0; i < 3; i++) late[i] = spawn(note, (void *)(intptr_t)('a' + i));
    CHECK_EQ(dyco_coroutine_setUrgent(late[1]), 0);
    run_all();
    expect("bac");

    CHECK((late[0] = dyco_coroutine_create_urgent(note, (void *)'a')) > 0);
    late[1] = spawn(note, (void *)'b');
    CHECK((late[2] = dyco_coroutine_create_urgent(note, (void *)'c')) > 0);
    CHECK_EQ(dyco_coroutine_unsetUrgent(late[0]), 0);
    CHECK_EQ(dyco_coroutine_unsetUrgent(late[0]), 0);
    run_all();
    CHECK_EQ(length, 3);
    CHECK_EQ(order[0], 'c');
    length = 0;

    spawn(change, NULL);
    for (int i = 0; i < 3; i++) late[i] = spawn(note, (void *)(intptr_t)('a' + i));
    run_all();
    expect("xcaby");

    spawn(make_self_urgent, NULL);
    spawn(slow_note, (void *)'a');
    run_all();
    /* Urgent up to the end of its third sleep, then one of two. */
    expect("uuunanaaa");

    for (int i = 0; i < 50; i++) spawn(busy, NULL);
    spawn(urgent_sleeper, NULL);
    run_all();
    CHECK(sleeper_woke);
    return test_done();
}
