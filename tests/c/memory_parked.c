// timeout: 60
// arch: x86_64
// modes: shared ring
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What parked coroutines take: on stacks of their own the page that they have touched and little more, on shared ones their
 * live bytes and little more, also where they wait in a hooked call.
 */
#include "core.h"

#include <sys/socket.h>

#define MANY 50000

static dyco_semaphore *gate;
static int ends[2], arrived;

static void at_semaphore(void *argument) {
    (void)argument;
    arrived++;
    dyco_semaphore_wait(gate, -1);
    TEST_FAIL("woken");
}

static void in_recv(void *argument) {
    char byte;
    (void)argument;
    arrived++;
    CHECK_EQ(recv(ends[0], &byte, 1, 0), 1);
    TEST_FAIL("received");
}

static void in_read(void *argument) {
    char byte;
    (void)argument;
    arrived++;
    CHECK_EQ(read(ends[0], &byte, 1), 1);
    TEST_FAIL("read");
}

static proc_coroutine body;
static int is_own, limit;

static void measure(void *argument) {
    (void)argument;
    long before = rss_kb();
    for (int i = 0; i < MANY; i++) {
        if (is_own)
            spawn_own(body, NULL, 16384);
        else
            spawn_shared(body, NULL);
    }
    while (arrived < MANY) dyco_coroutine_sleep(0);
    dyco_coroutine_sleep(10);
    long each = (rss_kb() - before) * 1024 / MANY;
    if (each > limit) TEST_FAIL("%ld bytes each, more than %d", each, limit);
    dyco_schedcall_abort();
}

/* In a process of its own: memory that has been given back is not all the kernel's at once. */
static void crowd(proc_coroutine function, int own, int most) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        body = function;
        is_own = own;
        limit = most;
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        CHECK((gate = dyco_semaphore_create(0)) != NULL);
        spawn_own(measure, NULL, 65536);
        dyco_schedule_run();
        _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

int main(void) {
    /* Where the kernel finds the buffer, and what it may choose one for. */
    int by_ring = ring_is_asked_for() ? 150 : 0;
    crowd(at_semaphore, 1, 4096 + 128);
    crowd(in_recv, 1, 4096 + 128);
    crowd(at_semaphore, 0, 500);
    crowd(in_recv, 0, 590 + by_ring);
    crowd(in_read, 0, 610 + by_ring);
    return test_done();
}
