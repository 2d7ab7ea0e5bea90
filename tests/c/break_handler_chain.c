/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * SIGSEGV handlers that call the one before them: the program's first, the library's, the program's second.
 */
#include "core.h"

#include <setjmp.h>

static sigjmp_buf out;
static volatile char *volatile nowhere = (char *)16;
static struct sigaction before;
static int first_calls, second_calls;

static void first(int signal, siginfo_t *info, void *context) {
    CHECK_EQ(signal, SIGSEGV);
    CHECK(info->si_addr == (void *)16 && context != NULL);
    first_calls++;
    siglongjmp(out, 1);
}

static void second(int signal, siginfo_t *info, void *context) {
    if (++second_calls > 10) _exit(1);
    CHECK(before.sa_flags & SA_SIGINFO);
    before.sa_sigaction(signal, info, context);
}

static void faults(void *argument) {
    (void)argument;
    if (sigsetjmp(out, 1) == 0) {
        *nowhere = 1;
        CHECK(!"reached");
    }
    dyco_coroutine_sleep(1);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = first, .sa_flags = SA_SIGINFO};
    CHECK_EQ(sigaction(SIGSEGV, &action, NULL), 0);
    spawn(faults, NULL);
    run_all();
    CHECK_EQ(first_calls, 1);
    action.sa_sigaction = second;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    CHECK_EQ(sigaction(SIGSEGV, &action, &before), 0);
    spawn(faults, NULL);
    run_all();
    CHECK_EQ(first_calls, 2);
    CHECK_EQ(second_calls, 1);
    return test_done();
}
