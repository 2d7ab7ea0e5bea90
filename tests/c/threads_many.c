// nofile: 8000
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * 64 threads, each with a scheduler of its own: coroutines stay on their thread, wake by their own timers and pipes,
 * and one thread's abort is nobody else's.
 */
#include "core.h"

#define THREADS 64
#define COROUTINES 40

static __thread int finished, this_thread;
static pthread_barrier_t barrier;

static void works(void *argument) {
    int home = (int)(intptr_t)argument, ends[2], cid = dyco_coroutine_coroID();
    volatile unsigned char block[256];
    CHECK_EQ(pipe(ends), 0);
    for (int i = 0; i < 10; i++) {
        memset((void *)block, home, sizeof block);
        dyco_coroutine_sleep((uint32_t)(i % 3));
        CHECK_EQ(dyco_coroutine_waitRead(ends[0], 1), 0);
        CHECK_EQ(write(ends[1], "x", 1), 1);
        CHECK(dyco_coroutine_waitRead(ends[0], -1) > 0);
        char byte;
        CHECK_EQ(read(ends[0], &byte, 1), 1);
        CHECK_EQ(this_thread, home);
        CHECK_EQ(dyco_coroutine_coroID(), cid);
        for (size_t b = 0; b < sizeof block; b++) CHECK_EQ(block[b], home);
    }
    close(ends[0]);
    close(ends[1]);
    finished++;
}

static void abort_all(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(1);
    dyco_schedcall_abort();
}

static void *thread(void *argument) {
    this_thread = (int)(intptr_t)argument;
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < COROUTINES; i++) spawn(works, argument);
    run_all();
    CHECK_EQ(finished, COROUTINES);
    if (this_thread % 2) {
        finished = 0;
        for (int i = 0; i < COROUTINES; i++) spawn(works, argument);
        spawn(abort_all, NULL);
        CHECK_EQ(dyco_schedule_run(), -1);
        CHECK_EQ(dyco_schedule_getCoroCount(), 0);
        CHECK_EQ(finished, 0);
    } else {
        for (int i = 0; i < COROUTINES; i++) spawn(works, argument);
        run_all();
        CHECK_EQ(finished, 2 * COROUTINES);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    CHECK_EQ(pthread_barrier_init(&barrier, NULL, THREADS), 0);
    for (intptr_t i = 0; i < THREADS; i++) CHECK_EQ(pthread_create(&threads[i], NULL, thread, (void *)i), 0);
    for (int i = 0; i < THREADS; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
    return test_done();
}
