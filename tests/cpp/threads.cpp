/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * C++ threads with coroutines in them: thread_local objects are made and destroyed in the usual order, a destructor of
 * one may still use the library, and exceptions of one thread's coroutines are none of another's.
 */
#include "../c/core.h"

#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static int destroyed;

struct Last {
    std::string text = "thread";
    ~Last() {
        /* The scheduler may be gone already: calls fail or work, nothing crashes. */
        dyco_coroutine_coroID();
        dyco_schedule_getCoroCount();
        dyco_coroutine_sleep(1);
        int ends[2];
        if (pipe(ends) == 0) {
            dyco_coroutine_waitRead(ends[0], 1);
            close(ends[0]);
            close(ends[1]);
        }
        __atomic_add_fetch(&destroyed, 1, __ATOMIC_RELAXED);
    }
};

static thread_local Last last;
static thread_local int finished;

static void body(void *argument) {
    std::string mine = last.text + std::to_string((intptr_t)argument);
    for (int i = 0; i < 5; i++) {
        try {
            try {
                throw std::runtime_error(mine);
            } catch (const std::exception &) {
                dyco_coroutine_sleep((uint32_t)(i % 2));
                throw;
            }
        } catch (const std::exception &error) {
            CHECK_STR(error.what(), mine.c_str());
        }
    }
    finished++;
}

int main() {
    std::vector<std::thread> threads;
    for (int t = 0; t < 16; t++)
        threads.emplace_back([t] {
            if (t % 2) last.text += "s";
            for (intptr_t i = 0; i < 50; i++) spawn(body, (void *)i);
            run_all();
            CHECK_EQ(finished, 50);
            last.text += "!";
        });
    for (auto &thread : threads) thread.join();
    CHECK_EQ(destroyed, 16);
    return test_done();
}
