/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A thread's scheduler goes with the thread, with all that it holds: descriptors, stacks, live coroutines. Whether the
 * thread returns, leaves from main code or from inside a coroutine, or is cancelled.
 */
#include "core.h"

/* In KiB for 200 threads. The emulator that runs us on other machines keeps some of each mapping. */
#if defined __x86_64__
#define TOLERANCE 2048
#else
#define TOLERANCE 16384
#endif

static int ends[2], cleaned;

static void sleeps(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(1);
}

static void parks(void *argument) {
    if (argument) dyco_coroutine_waitRead(ends[0], -1);
    else dyco_coroutine_sleep(UINT32_MAX);
}

static void stops(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(1);
    dyco_schedcall_stop();
}

static void clean(void *argument) {
    ++*(int *)argument;
}

static void leaves(void *argument) {
    pthread_cleanup_push(clean, &cleaned);
    dyco_coroutine_sleep(1);
    pthread_exit(argument);
    pthread_cleanup_pop(0);
}

static void fill(void) {
    for (intptr_t i = 0; i < 20; i++) {
        spawn(parks, (void *)(i % 2));
        spawn_own(parks, (void *)(i % 2), 65536);
    }
}

/* What a thread costs without us: an emulator keeps something of each. */
static void *plain(void *argument) {
    return argument;
}

static void *returns(void *argument) {
    for (int i = 0; i < 10; i++) spawn(sleeps, NULL);
    run_all();
    return argument;
}

static void *returns_stopped(void *argument) {
    fill();
    spawn(stops, NULL);
    CHECK_EQ(dyco_schedule_run(), 1);
    return argument;
}

static void *returns_before_run(void *argument) {
    fill();
    return argument;
}

static void *exits_inside(void *argument) {
    fill();
    spawn(leaves, argument);
    dyco_schedule_run();
    TEST_FAIL("pthread_exit came back");
}

static void *exits_inside_own(void *argument) {
    fill();
    spawn_own(leaves, argument, 65536);
    dyco_schedule_run();
    TEST_FAIL("pthread_exit came back");
}

static void *is_cancelled(void *argument) {
    fill();
    spawn(stops, NULL);
    CHECK_EQ(dyco_schedule_run(), 1);
    pthread_cancel(pthread_self());
    pthread_testcancel();
    return argument;
}

static void cancelled(void *argument) {
    pthread_cleanup_push(clean, &cleaned);
    pthread_cancel(pthread_self());
    dyco_coroutine_sleep(5); /* waits of the library are no cancellation points */
    ++*(int *)argument;
    pthread_testcancel();
    pthread_cleanup_pop(0);
}

static void *is_cancelled_inside(void *argument) {
    fill();
    spawn(cancelled, argument);
    dyco_schedule_run();
    TEST_FAIL("cancellation came back");
}

static void one(void *(*body)(void *)) {
    pthread_t thread;
    void *result;
    CHECK_EQ(pthread_create(&thread, NULL, body, &cleaned), 0);
    CHECK_EQ(pthread_join(thread, &result), 0);
    CHECK(result == (body == is_cancelled || body == is_cancelled_inside ? PTHREAD_CANCELED : (void *)&cleaned));
}

int main(void) {
    void *(*const bodies[])(void *) = {returns, returns_stopped, returns_before_run, exits_inside, exits_inside_own, is_cancelled, is_cancelled_inside};
    CHECK_EQ(pipe(ends), 0);
    for (size_t b = 0; b < COUNT(bodies); b++)
        for (int i = 0; i < 5; i++) one(bodies[b]);
    int fds = count_fds();
    long before = rss_kb();
    for (int i = 0; i < 200; i++) one(plain);
    long cost = rss_kb() - before;
    for (size_t b = 0; b < COUNT(bodies); b++) {
        before = rss_kb();
        for (int i = 0; i < 200; i++) one(bodies[b]);
        CHECK_EQ(count_fds(), fds);
        long more = rss_kb() - before - cost;
        if (more > TOLERANCE) TEST_FAIL("kind %zu: %ld KiB more", b, more);
    }
    /* pthread_exit and cancellation run cleanup handlers, as everywhere; and each cancelled one got past its sleep. */
    CHECK_EQ(cleaned, 4 * 205);
    return test_done();
}
