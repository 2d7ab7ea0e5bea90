/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * schedule_create: once per thread, its stack size counts, absurd ones are refused; an idle loop looks up in time.
 */
#include "core.h"

static int used;

static __attribute__((noinline)) void use(size_t bytes) {
    volatile char block[4096];
    for (size_t i = 0; i < sizeof block; i += 64) block[i] = 1;
    if (bytes > sizeof block) use(bytes - sizeof block);
    block[1] = 2;
}

static void use_bytes(void *argument) {
    use((size_t)argument);
    dyco_coroutine_sleep(0);
    use((size_t)argument);
    used++;
}

static void inside(void *argument) {
    (void)argument;
    CHECK_ERRNO(dyco_schedule_create(0, 0), EEXIST);
    used++;
}

static void uses(size_t stack_size, size_t bytes) {
    CHECK_EQ(dyco_schedule_create(stack_size, 0), 0);
    used = 0;
    for (int i = 0; i < 40; i++) spawn_shared(use_bytes, (void *)bytes);
    run_all();
    CHECK_EQ(used, 40);
    dyco_schedule_free(NULL);
}

static void too_small(void) {
    CHECK_EQ(dyco_schedule_create(16384, 0), 0);
    spawn_shared(use_bytes, (void *)60000);
    dyco_schedule_run();
}

static void *thread(void *argument) {
    CHECK_EQ(dyco_schedule_create(0, 0), 0);
    CHECK_ERRNO(dyco_schedule_create(0, 0), EEXIST);
    return argument;
}

static void sleep_long(void *argument) {
    dyco_coroutine_sleep((uint32_t)(intptr_t)argument);
    used++;
}

int main(void) {
    const size_t absurd[] = {SIZE_MAX, SIZE_MAX - 4095, SIZE_MAX / 2, (size_t)1 << 62, (size_t)1 << 48};
    static char output[4096];
    for (size_t i = 0; i < COUNT(absurd); i++) {
        errno = 0;
        CHECK_EQ(dyco_schedule_create(absurd[i], 0), -1);
        CHECK(errno == EINVAL || errno == ENOMEM);
        CHECK(dyco_schedule_current() == NULL);
    }

    CHECK_EQ(dyco_schedule_create(0, 0), 0);
    CHECK_ERRNO(dyco_schedule_create(0, 0), EEXIST);
    CHECK_ERRNO(dyco_schedule_create(1 << 20, 10), EEXIST);
    spawn_shared(inside, NULL);
    run_all();
    CHECK_EQ(used, 1);
    pthread_t other;
    CHECK_EQ(pthread_create(&other, NULL, thread, NULL), 0);
    CHECK_EQ(pthread_join(other, NULL), 0);
    dyco_schedule_free(NULL);

    spawn_shared(nothing, NULL); /* this makes one, too */
    CHECK_ERRNO(dyco_schedule_create(0, 0), EEXIST);
    dyco_schedule_free(NULL);

    uses(0, 50000);
    uses(DYCO_MAX_STACKSIZE, 50000);
    uses(100000, 90000);
    uses(1 << 20, 1000000);
    uses(16 << 20, 16000000);
    uses(1, 4096); /* little is rounded up to something that works */
    CHECK_EQ(in_child(too_small, output, sizeof output) & 0x7f, SIGSEGV);

    /* loopwait_timeout: any value works, and does not disturb sleeps. */
    const uint64_t waits[] = {1, 7, 1000, UINT32_MAX, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < COUNT(waits); i++) {
        CHECK_EQ(dyco_schedule_create(0, waits[i]), 0);
        used = 0;
        spawn_shared(sleep_long, (void *)30);
        int64_t begin = now_ms();
        run_all();
        CHECK_EQ(used, 1);
        CHECK_TOOK(now_ms() - begin, 30, 5000);
        dyco_schedule_free(NULL);
    }
    return test_done();
}
