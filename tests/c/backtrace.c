// flags: -O0 -rdynamic -funwind-tables
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * backtrace() inside a coroutine walks from where it is to the coroutine's first frame and stops there.
 */
#include "core.h"

#include <execinfo.h>

#define DEPTH 10

static int finished;

__attribute__((noinline)) void innermost(void) {
    void *frames[100];
    int count = backtrace(frames, 100);
    char **names = backtrace_symbols(frames, count);
    CHECK(names != NULL);
    int inner = 0, middle = 0, outer = 0, main_seen = 0;
    for (int i = 0; i < count; i++) {
        inner += strstr(names[i], "innermost") != NULL;
        middle += strstr(names[i], "recurse") != NULL;
        outer += strstr(names[i], "body") != NULL;
        main_seen += strstr(names[i], "main+") != NULL || strstr(names[i], "schedule_run") != NULL;
    }
    CHECK_EQ(inner, 1);
    CHECK_EQ(middle, DEPTH);
    CHECK_EQ(outer, 1);
    CHECK_EQ(main_seen, 0);
    /* Those, backtrace's caller excluded, and at most the library's first frames. */
    CHECK_BETWEEN(count, DEPTH + 2, DEPTH + 5);
    free(names);
    finished++;
}

__attribute__((noinline)) void recurse(int depth) {
    if (depth > 1) recurse(depth - 1);
    else innermost();
    __asm__ volatile("");
}

void body(void *argument) {
    recurse(DEPTH);
    dyco_coroutine_sleep(0);
    recurse(DEPTH);
    dyco_coroutine_sleep(1);
    recurse(DEPTH);
    (void)argument;
}

int main(void) {
    static char memory[65536];
    CHECK_EQ(dyco_schedule_create(1 << 20, 0), 0);
    for (int i = 0; i < 40; i++) spawn(body, NULL);
    for (int i = 0; i < 5; i++) spawn_own(body, NULL, 65536);
    int cid = spawn(body, NULL);
    CHECK_EQ(dyco_coroutine_setStack(cid, memory, sizeof memory), 1);
    run_all();
    CHECK_EQ(finished, 3 * 46);
    return test_done();
}
