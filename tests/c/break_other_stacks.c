/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A coroutine on a stack of the caller that works on yet another stack, lower in memory, has not overflowed: it may wait
 * there (makecontext), and a signal handler on the alternate stack may ask.
 */
#include "core.h"

#include <ucontext.h>

enum { SIZE = 65536 };

static ucontext_t back, other;
static int waited, finished, asked;

static void elsewhere(void) {
    dyco_coroutine_sleep(2);
    CHECK_EQ(usleep(1000), 0);
    CHECK_EQ(dyco_coroutine_checkStack() < 0, 0);
    waited++;
}

static void makes_context(void *lower) {
    CHECK_EQ(getcontext(&other), 0);
    other.uc_stack.ss_sp = lower;
    other.uc_stack.ss_size = SIZE;
    other.uc_link = &back;
    makecontext(&other, elsewhere, 0);
    CHECK_EQ(swapcontext(&back, &other), 0);
    dyco_coroutine_sleep(1);
    finished++;
}

static void asks(int signal) {
    (void)signal;
    CHECK_EQ(dyco_coroutine_checkStack(), 0);
    asked++;
}

static void is_signalled(void *argument) {
    (void)argument;
    CHECK_EQ(raise(SIGUSR1), 0);
    dyco_coroutine_sleep(1);
    finished++;
}

int main(void) {
    char *memory = mmap(NULL, 8 * SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *stack = memory + 7 * SIZE;
    CHECK(memory != MAP_FAILED);
    CHECK_EQ(dyco_coroutine_setStack(spawn(makes_context, memory), stack, SIZE), 1);
    run_all();
    CHECK_EQ(waited, 1);
    CHECK_EQ(finished, 1);

    /* Also where the alternate stack is right below, and on each kind of stack. */
    struct sigaction action = {.sa_handler = asks, .sa_flags = SA_ONSTACK};
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    for (int distance = 1; distance < 7; distance++) {
        stack_t alternate = {.ss_sp = stack - distance * SIZE, .ss_size = SIZE};
        CHECK_EQ(sigaltstack(&alternate, NULL), 0);
        CHECK_EQ(dyco_coroutine_setStack(spawn(is_signalled, NULL), stack, SIZE), 1);
        spawn(is_signalled, NULL);
        spawn_own(is_signalled, NULL, SIZE);
        run_all();
        CHECK_EQ(asked, 3 * distance);
        CHECK_EQ(finished, 1 + 3 * distance);
    }
    return test_done();
}
