/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A signal handler does not interrupt a parked coroutine: its wait goes on to its end, with no EINTR.
 */
#include "core.h"

static volatile sig_atomic_t signals;
static int ends[2], finished, is_over;

static void handler(int number) {
    (void)number;
    signals++;
}

static void sleeps(void *argument) {
    int64_t begin = now_ns();
    (void)argument;
    dyco_coroutine_sleep(200);
    CHECK(now_ns() - begin >= 200000000);
    CHECK_EQ(errno, 0);
    finished++;
}

static void waits(void *argument) {
    int64_t begin = now_ns();
    (void)argument;
    CHECK_EQ(dyco_coroutine_waitRead(ends[0], 200), 0);
    CHECK(now_ns() - begin >= 200000000);
    finished++;
}

static void polls(void *argument) {
    struct pollfd item = {ends[0], POLLIN, 0};
    int64_t begin = now_ns();
    (void)argument;
    CHECK_EQ(poll(&item, 1, 200), 0);
    CHECK(now_ns() - begin >= 200000000);
    finished++;
}

static void naps(void *argument) {
    struct timespec wanted = {0, 200000000}, left = {0, 0};
    int64_t begin = now_ns();
    (void)argument;
    CHECK_EQ(nanosleep(&wanted, &left), 0);
    CHECK(now_ns() - begin >= 200000000);
    finished++;
}

static void *pelt(void *target) {
    while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
        pthread_kill(*(pthread_t *)target, SIGUSR1);
        usleep(2000);
    }
    return NULL;
}

int main(void) {
    pthread_t self = pthread_self(), other;
    struct sigaction action = {.sa_handler = handler}; /* no SA_RESTART */
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(pthread_create(&other, NULL, pelt, &self), 0);
    spawn(sleeps, NULL);
    spawn_own(sleeps, NULL, 16384);
    run_all();
    spawn(waits, NULL);
    run_all();
    spawn(polls, NULL);
    spawn(naps, NULL);
    spawn(sleeps, NULL);
    run_all();
    __atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
    CHECK_EQ(pthread_join(other, NULL), 0);
    CHECK_EQ(finished, 6);
    CHECK(signals > 20);
    return test_done();
}
