/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * C++ exceptions inside coroutines: thrown and caught, parked while one is being handled or unwound, rethrown. Which
 * exception is the current one belongs to the coroutine.
 */
#include "../c/core.h"

#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

static int finished, alive;

struct Counted {
    Counted() { alive++; }
    Counted(const Counted &) { alive++; }
    ~Counted() { alive--; }
};

static void throw_deep(int depth, int value) {
    Counted local;
    std::string text(100, 'x');
    if (depth > 0) throw_deep(depth - 1, value);
    throw value;
}

static void throws(void *argument) {
    int mine = (int)(intptr_t)argument;
    Counted local;
    for (int i = 0; i < 10; i++) {
        int caught = -1;
        try {
            dyco_coroutine_sleep(0);
            throw_deep(i, mine);
        } catch (int value) {
            caught = value;
        }
        CHECK_EQ(caught, mine);
    }
    finished++;
}

/* Parks inside catch, then rethrows: it must be its own exception. */
static void rethrows(void *argument) {
    int mine = (int)(intptr_t)argument;
    for (int i = 0; i < 5; i++) {
        int caught = -1;
        try {
            try {
                throw mine;
            } catch (int) {
                dyco_coroutine_sleep((uint32_t)((mine + i) % 3));
                CHECK(std::current_exception() != nullptr);
                throw;
            }
        } catch (int value) {
            caught = value;
            dyco_coroutine_sleep(0);
            try {
                std::rethrow_exception(std::current_exception());
            } catch (int again) {
                dyco_coroutine_sleep(0);
                CHECK_EQ(again, mine);
            }
        }
        CHECK_EQ(caught, mine);
        CHECK(std::current_exception() == nullptr);
    }
    finished++;
}

#if __cplusplus >= 201703L
static int uncaught() { return std::uncaught_exceptions(); }
#else
static int uncaught() { return std::uncaught_exception(); }
#endif

/* Never in a catch block: has no current exception whatever the others do. */
static void innocent(void *) {
    for (int i = 0; i < 30; i++) {
        CHECK(std::current_exception() == nullptr);
        CHECK_EQ(uncaught(), 0);
        dyco_coroutine_sleep((uint32_t)(i % 2));
    }
    finished++;
}

/* Parks in a destructor that runs while an exception is on its way. */
struct ParksWhenDestroyed {
    int expected;
    explicit ParksWhenDestroyed(int expected) : expected(expected) {}
    ~ParksWhenDestroyed() {
        CHECK_EQ(uncaught(), expected);
        dyco_coroutine_sleep(1);
        CHECK_EQ(uncaught(), expected);
        try {
            throw std::runtime_error("inner");
        } catch (const std::runtime_error &error) {
            dyco_coroutine_sleep(0);
            CHECK_STR(error.what(), "inner");
        }
        CHECK_EQ(uncaught(), expected);
    }
};

static void unwinds(void *argument) {
    std::string mine = "number " + std::to_string((intptr_t)argument);
    CHECK_EQ(uncaught(), 0);
    {
        ParksWhenDestroyed quiet(0);
    }
    try {
        ParksWhenDestroyed loud(1);
        throw std::runtime_error(mine);
    } catch (const std::exception &error) {
        CHECK_EQ(uncaught(), 0);
        CHECK_STR(error.what(), mine.c_str());
    }
    finished++;
}

/* Ends without leaving its catch block. */
static void leaves_in_catch(void *) {
    try {
        throw 1;
    } catch (int) {
        dyco_coroutine_sleep(0);
        dyco_coroutine_abort();
    }
}

static void is_stopped_in_catch(void *) {
    try {
        throw std::string("stopped");
    } catch (const std::string &text) {
        dyco_schedcall_stop();
        CHECK_STR(text.c_str(), "stopped");
        CHECK(std::current_exception() != nullptr);
    }
    finished++;
}

static void all(proc_coroutine function, int count) {
    static std::vector<std::unique_ptr<char[]>> memory;
    finished = 0;
    memory.clear();
    for (intptr_t i = 0; i < count; i++) {
        int cid = spawn(function, (void *)i);
        if (i % 3 == 1) CHECK_EQ(dyco_coroutine_setStack(cid, nullptr, 65536), 1);
        if (i % 3 == 2 && count < 200) {
            memory.emplace_back(new char[65536]);
            CHECK_EQ(dyco_coroutine_setStack(cid, memory.back().get(), 65536), 1);
        }
    }
    run_all();
    CHECK_EQ(finished, count);
    CHECK_EQ(alive, 0);
}

int main() {
    all(throws, 1000);
    all(throws, 100);
    all(rethrows, 2);
    all(rethrows, 1000);
    all(rethrows, 100);
    all(unwinds, 100);

    finished = 0;
    for (int i = 0; i < 10; i++) spawn(innocent, nullptr);
    for (int i = 0; i < 10; i++) spawn(rethrows, (void *)(intptr_t)i);
    for (int i = 0; i < 10; i++) spawn(leaves_in_catch, nullptr);
    for (int i = 0; i < 10; i++) spawn(innocent, nullptr);
    run_all();
    CHECK_EQ(finished, 30);
    CHECK(std::current_exception() == nullptr);

    /* The thread's own stack has a current exception of its own, too. */
    finished = 0;
    try {
        throw 42;
    } catch (int) {
        spawn(innocent, nullptr);
        spawn(is_stopped_in_catch, nullptr);
        CHECK_EQ(dyco_schedule_run(), 1);
        int caught = 0;
        try {
            throw;
        } catch (int value) {
            caught = value;
        }
        CHECK_EQ(caught, 42);
    }
    CHECK(std::current_exception() == nullptr);
    run_all();
    CHECK_EQ(finished, 2);
    return test_done();
}
