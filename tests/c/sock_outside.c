// timeout: 60
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Outside a coroutine, in the main program and in other threads, the dyco_* calls behave as their ordinary counterparts:
 * they wait as threads do, honour O_NONBLOCK, and leave options alone.
 */
#include "net.h"

static int ends[2];

static void send_x(void *argument) {
    (void)argument;
    CHECK_EQ(send(ends[1], "x", 1, 0), 1);
}

static void *everything(void *argument) {
    union address where;
    socklen_t length;
    char b;
    stream_pair(AF_UNIX, ends);
    after(60, send_x, NULL);
    CHECK_EQ(dyco_recv(ends[0], &b, 1, 0), 1);
    CHECK_TOOK(now_ns() - after_called, 60000000, 5000000000);
    set_nonblock(ends[0], 1);
    CHECK_ERRNO(dyco_recv(ends[0], &b, 1, 0), EAGAIN);
    CHECK_ERRNO(dyco_recvfrom(ends[0], &b, 1, 0, NULL, NULL), EAGAIN);
    fill(ends[0]);
    CHECK_ERRNO(dyco_send(ends[0], &b, 1, 0), EAGAIN);
    CHECK_ERRNO(dyco_sendto(ends[0], &b, 1, 0, NULL, 0), EAGAIN);
    CHECK_EQ(dyco_close(ends[0]), 0);
    CHECK_EQ(dyco_close(ends[1]), 0);
    CHECK_ERRNO(dyco_recv(ends[0], &b, 1, 0), EBADF);

    int listening = listener(AF_INET, SOCK_STREAM, 8, &where, &length);
    set_nonblock(listening, 1);
    CHECK_ERRNO(dyco_accept(listening, NULL, NULL), EAGAIN);
    set_nonblock(listening, 0);
    int fd = dyco_socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    CHECK_EQ(dyco_connect(fd, &where.any, length), 0);
    ends[0] = dyco_accept(listening, NULL, NULL);
    CHECK(ends[0] >= 0);
    CHECK_EQ(dyco_send(fd, "y", 1, 0), 1);
    CHECK_EQ(dyco_recv(ends[0], &b, 1, 0), 1);
    ends[1] = fd;

    int64_t begin = now_ms();
    CHECK_EQ(dyco_coroutine_waitRead(ends[0], 60), 0);
    CHECK_TOOK(now_ms() - begin, 60, 5000);
    CHECK(dyco_coroutine_waitWrite(ends[0], -1) > 0);
    CHECK(dyco_coroutine_waitRW(ends[0], -1) > 0);
    after(40, send_x, NULL);
    CHECK(dyco_coroutine_waitRead(ends[0], -1) > 0);
    CHECK_ERRNO(dyco_coroutine_waitRead(-1, 0), EBADF);
    begin = now_ms();
    dyco_coroutine_sleep(60);
    CHECK_TOOK(now_ms() - begin, 60, 5000);
    close_pair(ends);
    CHECK_EQ(close(listening), 0);
    return argument;
}

static void in_the_middle(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(10);
    dyco_schedcall_stop();
    dyco_coroutine_sleep(10);
}

int main(void) {
    pthread_t thread;
    everything(NULL);
    CHECK_EQ(dyco_schedule_getCoroCount(), -1);
    CHECK_EQ(pthread_create(&thread, NULL, everything, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    join_later();
    /* Between two runs of a scheduler, and after it is gone. */
    spawn(in_the_middle, NULL);
    CHECK_EQ(dyco_schedule_run(), 1);
    everything(NULL);
    run_all();
    everything(NULL);
    dyco_schedule_free(NULL);
    everything(NULL);
    join_later();
    return test_done();
}
