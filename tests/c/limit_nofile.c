/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Without a free descriptor: creating, sleeping and switching go on; a wait for a descriptor works or says EMFILE; and
 * all is well when there are descriptors again.
 */
#include "core.h"

static int ends[2], finished, waited, refused;
static struct rlimit before;

static void sleeps(void *argument) {
    (void)argument;
    for (int i = 0; i < 5; i++) dyco_coroutine_sleep((uint32_t)i % 2);
    finished++;
}

static void waits(void *argument) {
    int result = dyco_coroutine_waitRead(ends[0], (int)(intptr_t)argument);
    if (result < 0) {
        CHECK_EQ(errno, EMFILE);
        refused++;
    } else {
        waited++;
    }
}

static void *thread(void *argument) {
    for (int i = 0; i < 20; i++) spawn(sleeps, NULL);
    for (int i = 0; i < 20; i++) spawn_own(sleeps, NULL, 16384);
    for (int i = 0; i < 5; i++) spawn(waits, (void *)5);
    run_all();
    CHECK_EQ(finished, 40);
    CHECK_EQ(waited + refused, 5);

    /* The same scheduler, when there are descriptors again. */
    waited = refused = 0;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (int i = 0; i < 5; i++) spawn(waits, (void *)5);
    run_all();
    CHECK_EQ(waited, 5);
    return argument;
}

static void accepts(void *argument) {
    (void)argument;
    int fd = dyco_socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(fd, -1);
    CHECK_EQ(errno, EMFILE);
    CHECK_EQ(dyco_coroutine_waitRead(ends[0], 1), 0); /* its epoll set was there before */
    finished++;
}

int main(void) {
    struct rlimit none;
    pthread_t other;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_EQ(pipe(ends), 0);
    none = before;
    none.rlim_cur = (rlim_t)ends[1] + 1;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    CHECK_EQ(pthread_create(&other, NULL, thread, NULL), 0);
    CHECK_EQ(pthread_join(other, NULL), 0);

    spawn(waits, (void *)1);
    run_all();
    finished = 0;
    int last = dup(0);
    CHECK(last >= 0);
    none.rlim_cur = (rlim_t)last;
    close(last);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    spawn(accepts, NULL);
    spawn_own(accepts, NULL, 32768);
    run_all();
    CHECK_EQ(finished, 2);
    return test_done();
}
