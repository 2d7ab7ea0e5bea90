// flags: -Wl,-z,now
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A caller's stack is used exactly as given: nothing outside it is touched, nothing of it is freed, and it can be lent
 * again afterwards. Whatever its alignment. Bound at start: looking a function up at its first call takes more than the
 * smallest of these stacks where the processor has AVX-512.
 */
#include "core.h"

#include <malloc.h>

#define MARGIN 4096

static int turns;
static char *expected_low, *expected_high;

static int recurse(int depth) {
    volatile char frame[64];
    frame[0] = (char)depth;
    if (depth == 0) {
        dyco_coroutine_sleep(0);
        return frame[0];
    }
    return recurse(depth - 1) + frame[0];
}

static void body(void *argument) {
    char here;
    CHECK(&here > expected_low && &here < expected_high);
    for (int i = 0; i < 3; i++) {
        recurse((int)(intptr_t)argument);
        dyco_coroutine_sleep(1);
        turns++;
    }
}

static void is_untouched(const unsigned char *from, size_t size) {
    for (size_t i = 0; i < size; i++) CHECK_EQ(from[i], 0xA5);
}

int main(void) {
    const size_t sizes[] = {2048, 2049, 3000, 4096, 4099, 8192, 10000, 65536};
    for (size_t s = 0; s < COUNT(sizes); s++) {
        for (size_t offset = 0; offset < 18; offset += s < 5 ? 1 : 7) {
            unsigned char *block = malloc(sizes[s] + 2 * MARGIN + 32);
            CHECK(block != NULL);
            unsigned char *stack = block + MARGIN + offset;
            memset(block, 0xA5, sizes[s] + 2 * MARGIN + 32);
            expected_low = (char *)stack;
            expected_high = (char *)stack + sizes[s];
            turns = 0;
            int cid = spawn(body, (void *)(intptr_t)(sizes[s] >= 4096 ? 5 : 0));
            CHECK_EQ(dyco_coroutine_setStack(cid, stack, sizes[s]), 1);
            run_all();
            CHECK_EQ(turns, 3);
            is_untouched(block, MARGIN + offset);
            is_untouched(stack + sizes[s], MARGIN + 32 - offset);
            CHECK(malloc_usable_size(block) >= sizes[s]);
            free(block);
        }
    }

    /* Never freed: static memory, a mapping, the same memory a thousand times. */
    static unsigned char fixed[8192];
    expected_low = (char *)fixed;
    expected_high = (char *)fixed + sizeof fixed;
    for (int i = 0; i < 1000; i++) {
        int cid = spawn(body, NULL);
        CHECK_EQ(dyco_coroutine_setStack(cid, fixed, sizeof fixed), 1);
        if (i % 3 == 1) CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 0), 0);
        if (i % 3 == 2) dyco_schedule_free(NULL);
        if (i % 3 == 0 && i % 60 == 0) run_all();
        else if (i % 3 != 2) dyco_schedule_free(NULL);
    }
    size_t length = 65536;
    unsigned char *mapping = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(mapping != MAP_FAILED);
    expected_low = (char *)mapping;
    expected_high = (char *)mapping + length;
    int cid = spawn(body, (void *)20);
    CHECK_EQ(dyco_coroutine_setStack(cid, mapping, length), 1);
    run_all();
    mapping[0] = mapping[length - 1] = 1; /* still there */
    CHECK_EQ(munmap(mapping, length), 0);
    return test_done();
}
