/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * waitRead, waitWrite and waitRW: hang-up and errors count as ready, timeouts to the millisecond, wrong descriptors.
 */
#include "net.h"

static int ends[2];

static void peer_closes(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(50);
    CHECK_EQ(close(ends[1]), 0);
}

static void peer_resets(void *argument) {
    dyco_coroutine_sleep(50);
    set_reset(ends[1]);
    CHECK_EQ(close(ends[1]), 0);
    (void)argument;
}

static void peer_shuts(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(50);
    CHECK_EQ(shutdown(ends[1], SHUT_WR), 0);
}

static void becomes_ready(void *argument) {
    int64_t begin = now_ms();
    int (*wait)(int, int) = argument;
    errno = 77;
    CHECK(wait(ends[0], 10000) > 0);
    CHECK_EQ(errno, 77);
    CHECK_TOOK(now_ms() - begin, 49, 5000);
    CHECK(wait(ends[0], 0) > 0);
    CHECK(wait(ends[0], -1) > 0);
}

static void with_peer(int family, int full, int (*wait)(int, int), proc_coroutine peer) {
    stream_pair(family, ends);
    if (full) fill(ends[0]);
    spawn(becomes_ready, (void *)wait);
    spawn(peer, NULL);
    run_with_ticker();
    CHECK_EQ(close(ends[0]), 0);
    close(ends[1]);
}

static void timeouts(void *argument) {
    static const int limits[] = {1, 2, 5, 17, 60};
    (void)argument;
    stream_pair(AF_UNIX, ends);
    fill(ends[0]);
    for (size_t i = 0; i < COUNT(limits); i++) {
        int64_t begin = now_ns();
        errno = 77;
        CHECK_EQ(dyco_coroutine_waitRead(ends[0], limits[i]), 0);
        CHECK_TOOK(now_ns() - begin, limits[i] * 1000000LL, 3000000000LL);
        begin = now_ns();
        CHECK_EQ(dyco_coroutine_waitWrite(ends[0], limits[i]), 0);
        CHECK_TOOK(now_ns() - begin, limits[i] * 1000000LL, 3000000000LL);
        begin = now_ns();
        CHECK_EQ(dyco_coroutine_waitRW(ends[0], limits[i]), 0);
        CHECK_TOOK(now_ns() - begin, limits[i] * 1000000LL, 3000000000LL);
        CHECK_EQ(errno, 77);
    }
    int64_t begin = now_ms();
    for (int i = 0; i < 100; i++) CHECK_EQ(dyco_coroutine_waitRead(ends[0], 0), 0);
    CHECK_TOOK(now_ms() - begin, 0, 1000);
    CHECK_EQ(dyco_coroutine_waitRead(ends[1], 0) > 0, 1);
    CHECK(dyco_coroutine_waitRW(ends[1], 0) > 0);
    close_pair(ends);
}

static void wrong(void *argument) {
    int fd;
    (void)argument;
    for (int timeout = -1; timeout < 2; timeout++) {
        CHECK_ERRNO(dyco_coroutine_waitRead(-1, timeout), EBADF);
        CHECK_ERRNO(dyco_coroutine_waitWrite(INT_MAX, timeout), EBADF);
        CHECK_ERRNO(dyco_coroutine_waitRW(INT_MIN, timeout), EBADF);
        fd = dup(0);
        CHECK_EQ(close(fd), 0);
        CHECK_ERRNO(dyco_coroutine_waitRead(fd, timeout), EBADF);
        CHECK_ERRNO(dyco_coroutine_waitWrite(fd, timeout), EBADF);
    }
    CHECK((fd = open("/proc/self/exe", O_RDONLY)) >= 0);
    for (int timeout = -1; timeout < 2; timeout++) {
        CHECK(dyco_coroutine_waitRead(fd, timeout) > 0);
        CHECK(dyco_coroutine_waitWrite(fd, timeout) > 0);
        CHECK(dyco_coroutine_waitRW(fd, timeout) > 0);
    }
    CHECK_EQ(close(fd), 0);
    CHECK_ERRNO(dyco_coroutine_waitRead(fd, -1), EBADF);
    CHECK((fd = open("/dev/null", O_RDWR)) >= 0);
    CHECK(dyco_coroutine_waitRead(fd, -1) > 0);
    CHECK_EQ(close(fd), 0);
}

int main(void) {
    with_peer(AF_INET, 0, dyco_coroutine_waitRead, peer_closes);
    with_peer(AF_UNIX, 0, dyco_coroutine_waitRead, peer_closes);
    with_peer(AF_UNIX, 1, dyco_coroutine_waitWrite, peer_closes);
    with_peer(AF_UNIX, 1, dyco_coroutine_waitRW, peer_closes);
    with_peer(AF_INET, 0, dyco_coroutine_waitRead, peer_resets);
    with_peer(AF_INET, 1, dyco_coroutine_waitWrite, peer_resets);
    with_peer(AF_INET, 0, dyco_coroutine_waitRead, peer_shuts);
    with_peer(AF_INET, 1, dyco_coroutine_waitRW, peer_shuts);
    in_coroutine(timeouts, NULL);
    in_coroutine(wrong, NULL);
    return test_done();
}
