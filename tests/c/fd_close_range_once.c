/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * close_range() closes each descriptor once: a number that another thread gets meanwhile stays that thread's.
 */
// modes: shared archive static
// busy: much
#include "core.h"

static volatile int done;

static void *closes_ranges(void *argument) {
    (void)argument;
    for (int i = 0; i < 20000; i++) {
        int fd = eventfd(0, 0);
        CHECK(fd >= 0);
        CHECK_EQ(close_range((unsigned)fd, (unsigned)fd, 0), 0);
    }
    done = 1;
    return NULL;
}

int main(void) {
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, closes_ranges, NULL), 0);
    while (!done) {
        int fd = eventfd(0, 0);
        CHECK(fd >= 0);
        for (int i = 0; i < 10; i++) CHECK_EQ(fcntl(fd, F_GETFD), 0);
        CHECK_EQ(close(fd), 0);
    }
    CHECK_EQ(pthread_join(thread, NULL), 0);
    return test_done();
}
