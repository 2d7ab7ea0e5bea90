// timeout: 60
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Closing a socket that lingers: until its peer has taken all, or until the time is up. Only the coroutine waits.
 */
#include "same.h"

static union address where;
static socklen_t length;
static int ends[2];

static void linger(int fd, int on, int seconds) {
    struct linger value = {on, seconds};
    TRY(setsockopt(fd, SOL_SOCKET, SO_LINGER, &value, sizeof value));
}

/* The option comes from the listener, or is set on the socket itself. */
static void open_pair(int inherits) {
    int listening = listener(AF_INET, SOCK_STREAM, 8, &where, &length);
    if (inherits) linger(listening, 1, 2);
    ends[1] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(ends[1], &where.any, length), 0);
    ends[0] = accept(listening, NULL, NULL);
    CHECK(ends[0] >= 0);
    CHECK_EQ(close(listening), 0);
    if (!inherits) linger(ends[0], 1, 2);
    CHECK(fill(ends[0]) > 0);
}

static void read_all(void *argument) {
    static char part[65536];
    (void)argument;
    while (syscall(SYS_read, ends[1], part, sizeof part) > 0) continue;
}

static void peer_takes_all(void) {
    for (int inherits = 0; inherits < 2; inherits++) {
        open_pair(inherits);
        after(400, read_all, NULL);
        int64_t begin = now_ms();
        TRY(close(ends[0]));
        CHECK_TOOK(now_ms() - begin, 300, 1900);
        TRY(close(ends[0]));
        struct timespec pause = {0, 200000000};
        nanosleep(&pause, NULL);
        CHECK_EQ(close(ends[1]), 0);
    }
}

static void time_is_up(void) {
    open_pair(0);
    TAKES(2000, TRY(close(ends[0])));
    CHECK_EQ(close(ends[1]), 0);
}

/* No time, no option: at once. */
static void at_once(void) {
    for (int on = 0; on < 2; on++) {
        open_pair(on);
        linger(ends[0], on, on ? 0 : 5);
        int64_t begin = now_ms();
        TRY(close(ends[0]));
        CHECK_TOOK(now_ms() - begin, 0, 1000);
        CHECK_EQ(close(ends[1]), 0);
    }
}

int main(void) {
    same_start();
    SAME(peer_takes_all);
    SAME(time_is_up);
    SAME(at_once);
    return test_done();
}
