/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * close by another coroutine, another thread or the main program wakes every waiter with EBADF, in each direction and
 * in each call.
 */
#include "net.h"

static int ends[2], woken, set, unix_sockets;
static char block[1 << 20];

static void in_recv(void *argument) {
    char b[4];
    (void)argument;
    CHECK_ERRNO(recv(ends[0], b, 4, 0), EBADF);
    woken++;
}

static void in_dyco_recv(void *argument) {
    char b[4];
    (void)argument;
    CHECK_ERRNO(dyco_recv(ends[0], b, 4, 0), EBADF);
    woken++;
}

static void in_read(void *argument) {
    char b[4];
    (void)argument;
    CHECK_ERRNO(read(ends[0], b, 4), EBADF);
    woken++;
}

static void in_recvmsg(void *argument) {
    char b[4];
    struct iovec piece = {b, 4};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    (void)argument;
    CHECK_ERRNO(recvmsg(ends[0], &message, 0), EBADF);
    woken++;
}

static void in_wait_read(void *argument) {
    CHECK_ERRNO(dyco_coroutine_waitRead(ends[0], (int)(intptr_t)argument), EBADF);
    woken++;
}

/* Nothing was sent, or, of TCP, what its window probes have made room for after it was full. */
static void cut_short(ssize_t sent) {
    int error = errno;
    if (unix_sockets || sent < 0) CHECK(sent == -1 && error == EBADF);
    CHECK(sent < (ssize_t)sizeof block);
}

static void in_send(void *argument) {
    (void)argument;
    cut_short(send(ends[0], block, sizeof block, 0));
    woken++;
}

static void in_write(void *argument) {
    (void)argument;
    cut_short(write(ends[0], block, sizeof block));
    woken++;
}

static void in_wait_write(void *argument) {
    CHECK_ERRNO(dyco_coroutine_waitWrite(ends[0], (int)(intptr_t)argument), EBADF);
    woken++;
}

static void in_wait_both(void *argument) {
    struct pollfd entry = {ends[0], POLLPRI, 0};
    (void)argument;
    CHECK_EQ(poll(&entry, 1, -1), 1);
    CHECK_EQ(entry.revents, POLLNVAL);
    woken++;
}

static void in_accept(void *argument) {
    (void)argument;
    CHECK_ERRNO(accept(set, NULL, NULL), EBADF);
    woken++;
}

static void close_later(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(50);
    CHECK_EQ(close(ends[0]), 0);
}

static void dyco_close_later(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(50);
    CHECK_EQ(dyco_close(ends[0]), 0);
}

static void close_now(void *argument) {
    (void)argument;
    CHECK_EQ(close(ends[0]), 0);
}

static void close_listener(void *argument) {
    (void)argument;
    CHECK_EQ(close(set), 0);
}

static void stop_soon(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(50);
    dyco_schedcall_stop();
}

static const proc_coroutine waiters[] = {in_recv, in_dyco_recv, in_read, in_recvmsg, in_send, in_write, in_wait_both};

static int spawn_waiters(int family) {
    stream_pair(family, ends);
    unix_sockets = family == AF_UNIX;
    fill(ends[0]);
    for (size_t i = 0; i < COUNT(waiters); i++) spawn(waiters[i], NULL);
    spawn(in_wait_read, (void *)-1);
    spawn(in_wait_read, (void *)60000);
    spawn(in_wait_write, (void *)-1);
    spawn(in_wait_write, (void *)60000);
    woken = 0;
    return (int)COUNT(waiters) + 4;
}

int main(void) {
    union address address;
    socklen_t length;
    for (int family = AF_UNIX; family <= AF_INET; family++) {
        int count = spawn_waiters(family);
        spawn(close_later, NULL);
        run_with_ticker();
        CHECK_EQ(woken, count);
        CHECK_EQ(close(ends[1]), 0);

        count = spawn_waiters(family);
        spawn(dyco_close_later, NULL);
        run_with_ticker();
        CHECK_EQ(woken, count);
        CHECK_EQ(close(ends[1]), 0);

        /* A thread that knows no scheduler; here with a second descriptor that keeps the socket alive. */
        count = spawn_waiters(family);
        int twin = dup(ends[0]);
        after(50, close_now, NULL);
        run_with_ticker();
        CHECK_EQ(woken, count);
        CHECK_EQ(close(ends[1]), 0);
        CHECK_EQ(close(twin), 0);

        count = spawn_waiters(family);
        spawn(stop_soon, NULL);
        CHECK_EQ(dyco_schedule_run(), 1);
        CHECK_EQ(woken, 0);
        CHECK_EQ(close(ends[0]), 0);
        run_all();
        CHECK_EQ(woken, count);
        CHECK_EQ(close(ends[1]), 0);
    }
    woken = 0;
    set = listener(AF_INET, SOCK_STREAM, 8, &address, &length);
    spawn(in_accept, NULL);
    spawn(in_accept, NULL);
    after(50, close_listener, NULL);
    run_with_ticker();
    CHECK_EQ(woken, 2);
    join_later();
    return test_done();
}
