// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * How to stay within a stack: ask before going deeper. A recursion whose depth depends on its input stops in time on a
 * small stack, and goes all the way on a larger one.
 */
#include "dyco_coroutine.h"

static int depth(int levels)
{
    volatile char work[512]; // what each level needs
    work[0] = (char)levels;
    if (levels == 0)
        return 0;
    // 1 once more than 7/8 of the stack are in use: room to turn back, and for a printf.
    if (dyco_coroutine_checkStack() == 1)
        return 0;
    return 1 + depth(levels - 1) + (work[0] != (char)levels);
}

static void recursion(void *arg)
{
    int wanted = (int)(intptr_t)arg, reached = depth(wanted);
    size_t size = 0;
    dyco_coroutine_getStack(dyco_coroutine_coroID(), NULL, &size);
    printf("stack of %7zu bytes: %s\n", size, reached == wanted ? "all the way down" : "turned back in time");
}

int main(void)
{
    static const size_t sizes[] = {16384, 32768, 1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        int cid = dyco_coroutine_create(recursion, (void *)(intptr_t)1000);
        // The library allocates it with a guard page below: an overflow is a crash with a message, never silent damage.
        if (cid < 0 || dyco_coroutine_setStack(cid, NULL, sizes[i]) < 0) {
            perror("dyco_coroutine_setStack");
            return 1;
        }
    }
    return dyco_schedule_run() < 0;
}
