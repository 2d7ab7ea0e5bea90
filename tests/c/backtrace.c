// flags: -O0 -funwind-tables
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * backtrace() inside a coroutine walks from where it is to the coroutine's first frame and stops there.
 */
#include "core.h"

#include <execinfo.h>

#define DEPTH 10

static int finished;

int main(void);
void body(void *argument);
void recurse(int depth);

/* Functions stand in the program as they stand here: unoptimised code is not reordered. */
static int lies_in(void *address, void (*function)(void), void (*next)(void)) {
    return (uintptr_t)address > (uintptr_t)function && (uintptr_t)address <= (uintptr_t)next;
}

#define LIES_IN(address, function, next) lies_in(address, (void (*)(void))function, (void (*)(void))next)

void innermost(void) {
    void *frames[100];
    int count = backtrace(frames, 100);
    int inner = 0, middle = 0, outer = 0, in_main = 0;
    for (int i = 0; i < count; i++) {
        inner += LIES_IN(frames[i], innermost, recurse);
        middle += LIES_IN(frames[i], recurse, body);
        outer += LIES_IN(frames[i], body, main);
        in_main += LIES_IN(frames[i], main, (char *)main + 400);
    }
    CHECK_EQ(inner, 1);
    CHECK_EQ(middle, DEPTH);
    CHECK_EQ(outer, 1);
    CHECK_EQ(in_main, 0);
    CHECK_BETWEEN(count, DEPTH + 2, DEPTH + 5); /* those, and at most the library's first frames */
    finished++;
}

void recurse(int depth) {
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
