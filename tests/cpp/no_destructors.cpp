/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Ending a coroutine from outside (abort, stop and free) runs no destructors; its own abort does not, either. Returning
 * runs all.
 */
#include "../c/core.h"

static int made, destroyed;

struct Noted {
    Noted() { made++; }
    ~Noted() { destroyed++; }
};

static void returns(void *) {
    Noted local;
    dyco_coroutine_sleep(1);
}

static void aborts_itself(void *) {
    Noted local;
    dyco_coroutine_sleep(1);
    dyco_coroutine_abort();
}

static void parks(void *) {
    Noted local;
    dyco_coroutine_sleep(UINT32_MAX);
}

static void aborts_all(void *) {
    Noted local;
    dyco_coroutine_sleep(2);
    dyco_schedcall_abort();
}

static void stops(void *) {
    Noted local;
    dyco_coroutine_sleep(2);
    dyco_schedcall_stop();
}

int main() {
    for (int i = 0; i < 10; i++) spawn(returns, nullptr);
    run_all();
    CHECK_EQ(made, 10);
    CHECK_EQ(destroyed, 10);

    made = destroyed = 0;
    for (int i = 0; i < 10; i++) spawn(aborts_itself, nullptr);
    run_all();
    for (int i = 0; i < 10; i++) i % 2 ? spawn_own(parks, nullptr, 65536) : spawn(parks, nullptr);
    spawn(aborts_all, nullptr);
    CHECK_EQ(dyco_schedule_run(), -1);
    for (int i = 0; i < 10; i++) i % 2 ? spawn_own(parks, nullptr, 65536) : spawn(parks, nullptr);
    spawn(stops, nullptr);
    CHECK_EQ(dyco_schedule_run(), 1);
    dyco_schedule_free(nullptr);
    CHECK_EQ(made, 32);
    CHECK_EQ(destroyed, 0);
    return test_done();
}
