/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Coroutines start in the order of their creation, from outside and from inside, urgent ones first.
 */
#include "core.h"

static int order[64], length;

static void note(void *argument) {
    order[length++] = (int)(intptr_t)argument;
}

static void *number(int n) {
    return (void *)(intptr_t)n;
}

static void parent(void *argument) {
    note(argument);
    for (int i = 0; i < 4; i++) spawn(note, number(100 + i));
    CHECK(dyco_coroutine_create_urgent(note, number(200)) > 0);
    CHECK_EQ(length, 1); /* creating does not run anybody */
}

static void grandparent(void *argument) {
    note(argument);
    if ((intptr_t)argument < 5) spawn(grandparent, number((int)(intptr_t)argument + 1));
}

static void expect(const int *wanted, int count) {
    CHECK_EQ(length, count);
    for (int i = 0; i < count; i++) CHECK_EQ(order[i], wanted[i]);
    length = 0;
}

int main(void) {
    for (int i = 0; i < 10; i++) spawn(note, number(i));
    CHECK_EQ(length, 0);
    run_all();
    expect((int[]){0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 10);

    spawn(note, number(1));
    CHECK(dyco_coroutine_create_urgent(note, number(2)) > 0);
    spawn(note, number(3));
    CHECK(dyco_coroutine_create_urgent(note, number(4)) > 0);
    run_all();
    expect((int[]){2, 4, 1, 3}, 4);

    spawn(parent, number(1));
    spawn(note, number(2));
    run_all();
    expect((int[]){1, 200, 2, 100, 101, 102, 103}, 7);

    spawn(grandparent, number(0));
    run_all();
    expect((int[]){0, 1, 2, 3, 4, 5}, 6);
    return test_done();
}
