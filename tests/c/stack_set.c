/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * setStack and getStack: what may be set, when, and what is refused.
 */
#include "core.h"

static char memory[65536] __attribute__((aligned(64)));
static int ran;

static void where(void *argument) {
    char here;
    ran++;
    (void)argument;
    CHECK(&here > memory && &here < memory + sizeof memory);
}

static void elsewhere(void *argument) {
    char here;
    (void)argument;
    ran++;
    CHECK(&here < memory || &here >= memory + sizeof memory);
}

/* What the call below, its frame and the first one take of it; a sanitizer looks at each write in frames of its own. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define FRAMES 8192
#else
#define FRAMES 192
#endif

__attribute__((noinline)) static void fill(size_t size) {
    volatile uint64_t *block = __builtin_alloca(size);
    for (size_t i = 0; i < size / sizeof *block; i++) block[i] = i + size;
    CHECK(block[0] == size && block[size / sizeof *block - 1] == size / sizeof *block - 1 + size);
}

/* Every byte that was asked for can be written. */
static void has_room(void *argument) {
    size_t asked = (size_t)(uintptr_t)argument;
    fill(asked - FRAMES);
    dyco_coroutine_sleep(0); /* the others get stacks at other places */
    ran++;
}

/* Sizes about the steps in which stacks grow, and of each so many that they begin at different places in their pages. */
static void all_have_room(void) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t power = 16384; power <= 65536; power *= 4) {
        for (size_t size = power; size <= power + page; size += page / 32) {
            ran = 0;
            for (int i = 0; i < 16; i++) spawn_own(has_room, (void *)(uintptr_t)size, size);
            run_all();
            CHECK_EQ(ran, 16);
        }
    }
}

static void running(void *argument) {
    (void)argument;
    int self = dyco_coroutine_coroID();
    CHECK_ERRNO(dyco_coroutine_setStack(self, NULL, 16384), EBUSY);
    CHECK_ERRNO(dyco_coroutine_setStack(self, memory, sizeof memory), EBUSY);
    CHECK_ERRNO(dyco_coroutine_setStack(self, NULL, 0), EBUSY);
    dyco_coroutine_sleep(0);
    CHECK_ERRNO(dyco_coroutine_setStack(self, NULL, 0), EBUSY);
    int child = spawn_shared(where, NULL);
    CHECK_EQ(dyco_coroutine_setStack(child, memory, sizeof memory), 1);
    dyco_coroutine_sleep(0);
    ran++;
}

static int parked_cid;

static void parked(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(5);
}

static void prodder(void *argument) {
    (void)argument;
    CHECK_ERRNO(dyco_coroutine_setStack(parked_cid, NULL, 16384), EBUSY);
}

int main(void) {
    void *pointer = &ran;
    size_t size = 1;

    int cid = spawn_shared(elsewhere, NULL);
    CHECK_EQ(dyco_coroutine_getStack(cid, &pointer, &size), 0);
    CHECK_EQ(dyco_coroutine_getStack(cid, NULL, NULL), 0);

    /* The library's memory: at least what was asked for. */
    CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 20000), 1);
    CHECK_EQ(dyco_coroutine_getStack(cid, &pointer, &size), 1);
    CHECK(pointer != NULL && size >= 20000);
    CHECK_EQ(dyco_coroutine_getStack(cid, NULL, &size), 1);
    CHECK_EQ(dyco_coroutine_getStack(cid, &pointer, NULL), 1);
    CHECK_EQ(dyco_coroutine_getStack(cid, NULL, NULL), 1);
    CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 100000), 1);
    CHECK_EQ(dyco_coroutine_getStack(cid, &pointer, &size), 1);
    CHECK(size >= 100000);
    run_all();
    CHECK_EQ(ran, 1);

    /* Asking for little gets something usable. */
    cid = spawn_own(elsewhere, NULL, 1);
    CHECK_EQ(dyco_coroutine_getStack(cid, NULL, &size), 1);
    CHECK(size >= 4096);
    run_all();

    all_have_room();

    /* The caller's memory: exactly that. */
    cid = spawn_shared(where, NULL);
    CHECK_EQ(dyco_coroutine_setStack(cid, memory, sizeof memory), 1);
    CHECK_EQ(dyco_coroutine_getStack(cid, &pointer, &size), 1);
    CHECK(pointer == memory);
    CHECK_EQ(size, sizeof memory);
    run_all();

    /* The last word counts. */
    cid = spawn_shared(where, NULL);
    CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 16384), 1);
    CHECK_EQ(dyco_coroutine_setStack(cid, memory, 32768), 1);
    CHECK_EQ(dyco_coroutine_setStack(cid, memory + 32768, 32768), 1);
    CHECK_EQ(dyco_coroutine_getStack(cid, &pointer, &size), 1);
    CHECK(pointer == memory + 32768);
    CHECK_EQ(size, 32768);
    run_all();
    cid = spawn_shared(elsewhere, NULL);
    CHECK_EQ(dyco_coroutine_setStack(cid, memory, sizeof memory), 1);
    CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 0), 0);
    CHECK_EQ(dyco_coroutine_getStack(cid, &pointer, &size), 0);
    CHECK_EQ(dyco_coroutine_setStack(cid, memory, sizeof memory), 1);
    CHECK_EQ(dyco_coroutine_setStack(cid, memory, 0), 0);
    CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 16384), 1);
    CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 0), 0);
    CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 0), 0);
    run_all();

    /* What cannot be is refused, and what was set before stays. */
    cid = spawn_shared(where, NULL);
    CHECK_EQ(dyco_coroutine_setStack(cid, memory, sizeof memory), 1);
    CHECK_ERRNO(dyco_coroutine_setStack(cid, memory, 1), EINVAL);
    CHECK_ERRNO(dyco_coroutine_setStack(cid, memory, 100), EINVAL);
    CHECK_ERRNO(dyco_coroutine_setStack(cid, memory, SIZE_MAX), EINVAL);
    CHECK_ERRNO(dyco_coroutine_setStack(cid, memory, SIZE_MAX - (uintptr_t)memory + 1), EINVAL);
    const size_t absurd[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 4095, SIZE_MAX - 65536, SIZE_MAX / 2, SIZE_MAX / 2 + 1, (size_t)1 << 62};
    for (size_t i = 0; i < COUNT(absurd); i++) {
        errno = 0;
        CHECK_EQ(dyco_coroutine_setStack(cid, NULL, absurd[i]), -1);
        CHECK(errno == EINVAL || errno == ENOMEM);
    }
    CHECK_EQ(dyco_coroutine_getStack(cid, &pointer, &size), 1);
    CHECK(pointer == memory);
    CHECK_EQ(size, sizeof memory);
    run_all();

    ran = 0;
    spawn_shared(running, NULL);
    run_all();
    CHECK_EQ(ran, 2);

    parked_cid = spawn_shared(parked, NULL);
    spawn_shared(prodder, NULL);
    run_all();
    return test_done();
}
