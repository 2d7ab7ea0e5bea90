/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * stop: run returns 1 as soon as possible, and the next run goes on where it was, the stopping coroutine included.
 */
#include "core.h"

#define ROUNDS 1000
#define OTHERS 10

static int rounds, turns[OTHERS], sleeps, quit, runs_between, has_read;

static void stopper(void *argument) {
    volatile int local = 0;
    (void)argument;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_EQ(local, i);
        dyco_schedcall_stop();
        local++;
        rounds++;
        dyco_coroutine_sleep(0);
    }
    quit = 1;
}

static void other(void *argument) {
    int *turn = argument;
    while (!quit) {
        ++*turn;
        runs_between++;
        dyco_coroutine_sleep(0);
    }
}

static void sleeper(void *argument) {
    (void)argument;
    while (!quit) {
        int64_t begin = now_ns();
        dyco_coroutine_sleep(1);
        CHECK(now_ns() - begin >= 1000000);
        sleeps++;
    }
}

static void reader(void *argument) {
    CHECK(dyco_coroutine_waitRead((int)(intptr_t)argument, -1) > 0);
    has_read = 1;
}

static void once(void *argument) {
    (void)argument;
    runs_between++;
}

int main(void) {
    for (int i = 0; i < OTHERS; i++) spawn(other, &turns[i]);
    spawn(stopper, NULL);
    spawn(sleeper, NULL);
    int stops = 0, result;
    while ((result = dyco_schedule_run()) == 1) {
        stops++;
        CHECK_EQ(rounds, stops - 1); /* stopped inside the call */
        CHECK_EQ(dyco_schedule_getCoroCount(), OTHERS + 2);
        CHECK_EQ(dyco_coroutine_coroID(), -1);
        if (stops % 100 == 0) usleep(2000);
        runs_between = 0;
    }
    CHECK_EQ(result, 0);
    CHECK_EQ(stops, ROUNDS);
    CHECK(sleeps > 5);
    for (int i = 0; i < OTHERS; i++) CHECK_BETWEEN(turns[i], ROUNDS - 2, ROUNDS + 50 + sleeps);

    /* "As soon as possible": nobody else runs in between. */
    quit = 0;
    rounds = 0;
    spawn(stopper, NULL);
    for (int i = 0; i < 5; i++) spawn(once, NULL);
    runs_between = 0;
    CHECK_EQ(dyco_schedule_run(), 1);
    CHECK_EQ(runs_between, 0);
    while (dyco_schedule_run() == 1) continue;

    /* From main: the next run only. */
    spawn(once, NULL);
    dyco_schedcall_stop();
    result = dyco_schedule_run();
    CHECK(result == 1 || result == 0);
    if (result == 1) CHECK_EQ(dyco_schedule_run(), 0);
    run_all();

    /* Events that came while stopped are seen afterwards. */
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    quit = 0;
    spawn(reader, (void *)(intptr_t)ends[0]);
    spawn(stopper, NULL);
    for (int i = 0; i < ROUNDS; i++) CHECK_EQ(dyco_schedule_run(), 1);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    CHECK_EQ(dyco_schedule_run(), 0);
    CHECK_EQ(has_read, 1);
    return test_done();
}
