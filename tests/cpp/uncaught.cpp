/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * An exception that leaves a coroutine's function ends the program by std::terminate, as one that leaves a thread's.
 */
#include "../c/core.h"

#include <stdexcept>

static void throws(void *) {
    throw std::runtime_error("nobody catches this");
}

static void shared() {
    spawn(throws, nullptr);
    try {
        dyco_schedule_run();
    } catch (...) {
        TEST_FAIL("caught on another stack");
    }
}

static void own() {
    spawn_own(throws, nullptr, 65536);
    dyco_schedule_run();
}

static void my_terminate() {
    _exit(42);
}

static void handled() {
    std::set_terminate(my_terminate);
    shared();
}

int main() {
    static char output[4096];
    CHECK_EQ(in_child(shared, output, sizeof output) & 0x7f, SIGABRT);
    CHECK(strstr(output, "nobody catches this") != nullptr);
    CHECK_EQ(in_child(own, output, sizeof output) & 0x7f, SIGABRT);
    CHECK(strstr(output, "nobody catches this") != nullptr);
    CHECK_EQ(in_child(handled, output, sizeof output), 42 << 8);
    return test_done();
}
