// timeout: 60
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * There is no timeout of the library's own: every call that waits waits beyond three seconds, all of them at once here.
 */
#include "net.h"

#define LONG 3300

static union address where, full_where, udp_where;
static socklen_t length, full_length, udp_length;
static int listening, full, done, fillers[8], filler_count;

static void long_enough(int64_t begin) {
    CHECK_TOOK(now_ms() - begin, LONG - 100, 20000);
    done++;
}

struct pair {
    int ends[2];
};

static struct pair pairs[8];

static void in_recv(void *argument) {
    struct pair *pair = argument;
    int64_t begin = now_ms();
    char b;
    CHECK_EQ(recv(pair->ends[0], &b, 1, 0), 1);
    long_enough(begin);
}

static void in_read(void *argument) {
    struct pair *pair = argument;
    int64_t begin = now_ms();
    char b;
    CHECK_EQ(read(pair->ends[0], &b, 1), 1);
    long_enough(begin);
}

static void in_dyco_recv(void *argument) {
    struct pair *pair = argument;
    int64_t begin = now_ms();
    char b;
    CHECK_EQ(dyco_recv(pair->ends[0], &b, 1, 0), 1);
    long_enough(begin);
}

static void in_recvfrom(void *argument) {
    int64_t begin = now_ms();
    char b;
    CHECK_EQ(recvfrom((int)(intptr_t)argument, &b, 1, 0, NULL, NULL), 1);
    long_enough(begin);
}

static void in_send(void *argument) {
    struct pair *pair = argument;
    fill(pair->ends[1]);
    int64_t begin = now_ms();
    CHECK_EQ(send(pair->ends[1], "x", 1, 0), 1);
    long_enough(begin);
}

static void in_accept(void *argument) {
    int64_t begin = now_ms();
    int fd = argument ? dyco_accept(listening, NULL, NULL) : accept(listening, NULL, NULL);
    CHECK(fd >= 0);
    CHECK_EQ(close(fd), 0);
    long_enough(begin);
}

static void in_connect(void *argument) {
    int64_t begin = now_ms();
    int fd = socket(full_where.any.sa_family, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    CHECK_EQ(argument ? dyco_connect(fd, &full_where.any, full_length) : connect(fd, &full_where.any, full_length), 0);
    CHECK_EQ(close(fd), 0);
    long_enough(begin);
}

static void in_poll(void *argument) {
    struct pair *pair = argument;
    int64_t begin = now_ms();
    struct pollfd entry = {pair->ends[0], POLLIN, 0};
    CHECK_EQ(poll(&entry, 1, -1), 1);
    long_enough(begin);
}

static void in_wait_read(void *argument) {
    struct pair *pair = argument;
    int64_t begin = now_ms();
    CHECK(dyco_coroutine_waitRead(pair->ends[0], -1) > 0);
    long_enough(begin);
}

static void in_pipe(void *argument) {
    struct pair *pair = argument;
    int64_t begin = now_ms();
    char b;
    CHECK_EQ(read(pair->ends[0], &b, 1), 1);
    long_enough(begin);
}

static void at_last(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(LONG);
    for (int i = 0; i < 5; i++) CHECK_EQ(send(pairs[i].ends[1], "x", 1, 0), 1);
    drain(pairs[5].ends[0]);
    CHECK_EQ(write(pairs[6].ends[1], "x", 1), 1);
    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_EQ(sendto(udp, "x", 1, 0, &udp_where.any, udp_length), 1);
    CHECK_EQ(close(udp), 0);
    for (int i = 0; i < 2; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        CHECK_EQ(connect(fd, &where.any, length), 0);
        CHECK_EQ(close(fd), 0);
    }
    while (dyco_coroutine_waitRead(full, 1500) > 0) {
        int fd = accept(full, NULL, NULL);
        CHECK(fd >= 0);
        CHECK_EQ(close(fd), 0);
    }
}

int main(void) {
    int udp = bound(AF_INET, SOCK_DGRAM, &udp_where, &udp_length);
    listening = listener(AF_INET, SOCK_STREAM, 8, &where, &length);
    full = listener(AF_UNIX, SOCK_STREAM, 0, &full_where, &full_length);
    do {
        CHECK((fillers[filler_count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)) >= 0);
    } while (connect(fillers[filler_count++], &full_where.any, full_length) == 0);
    for (int i = 0; i < 6; i++) stream_pair(AF_INET, pairs[i].ends);
    CHECK_EQ(pipe(pairs[6].ends), 0);
    spawn(in_recv, &pairs[0]);
    spawn(in_read, &pairs[1]);
    spawn(in_dyco_recv, &pairs[2]);
    spawn(in_poll, &pairs[3]);
    spawn(in_wait_read, &pairs[4]);
    spawn(in_send, &pairs[5]);
    spawn(in_pipe, &pairs[6]);
    spawn(in_recvfrom, (void *)(intptr_t)udp);
    spawn(in_accept, NULL);
    spawn(in_accept, (void *)1);
    spawn(in_connect, NULL);
    spawn(in_connect, (void *)1);
    spawn(at_last, NULL);
    run_with_ticker();
    CHECK_EQ(done, 12);
    return test_done();
}
