// modes: shared ring
// arch: x86_64
// timeout: 60
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A crowd that is ended from outside gives its memory back, too: by an abort, from inside and from outside the loop, when
 * its scheduler is freed, and when its thread ends.
 */
#include "core.h"

enum { CROWD = 200000 };

static long peak_kb;

static void waits(void *argument) {
    volatile char room[300];
    room[0] = (char)(intptr_t)argument;
    dyco_coroutine_sleep((uint32_t)(3600000 + room[0]));
}

static void ends(void *argument) {
    dyco_coroutine_sleep(0);
    peak_kb = rss_kb();
    if (argument) dyco_schedcall_abort();
    dyco_schedcall_stop();
}

static void gather(int abort, int result) {
    for (intptr_t i = 0; i < CROWD; i++) spawn(waits, (void *)i);
    spawn(ends, (void *)(intptr_t)abort);
    CHECK_EQ(dyco_schedule_run(), result);
}

static void *in_thread(void *argument) {
    gather(0, 1);
    return argument;
}

static void is_back(const char *how, long before) {
    long now = rss_kb();
    CHECK(peak_kb - before > CROWD / 4);
    if (now > before + (peak_kb - before) / 4)
        TEST_FAIL("%s: %ld KiB before, %ld KiB at most, and %ld KiB left", how, before, peak_kb, now);
}

int main(void) {
    pthread_t thread;
    long before = rss_kb();
    gather(1, -1);
    is_back("abort inside", before);
    gather(0, 1);
    dyco_schedcall_abort();
    is_back("abort outside", before);
    gather(0, 1);
    dyco_schedule_free(NULL);
    is_back("free", before);
    CHECK_EQ(pthread_create(&thread, NULL, in_thread, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    is_back("end of the thread", before);
    return test_done();
}
