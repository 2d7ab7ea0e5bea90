// timeout: 60
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The dyco_* socket calls: results and errno of the system calls; they wait even on an O_NONBLOCK descriptor, and leave
 * that flag alone.
 */
#include "net.h"

static union address where;
static socklen_t length;
static int listening, echoed;

static void server(void *argument) {
    (void)argument;
    union address peer;
    socklen_t size = sizeof peer;
    char b[64];
    set_nonblock(listening, 1);
    int fd = dyco_accept(listening, &peer.any, &size);
    CHECK(fd >= 0);
    CHECK_EQ(peer.any.sa_family, where.any.sa_family);
    CHECK_EQ(flags_of(listening) & O_NONBLOCK, O_NONBLOCK);
    CHECK_EQ(flags_of(fd) & O_NONBLOCK, 0);
    set_nonblock(fd, 1);
    ssize_t n;
    while ((n = dyco_recv(fd, b, sizeof b, 0)) > 0) CHECK_EQ(dyco_send(fd, b, (size_t)n, 0), n);
    CHECK_EQ(n, 0);
    CHECK_EQ(flags_of(fd) & O_NONBLOCK, O_NONBLOCK);
    CHECK_EQ(dyco_close(fd), 0);
    CHECK_ERRNO(dyco_close(fd), EBADF);
}

static void client(void *argument) {
    char b[64];
    int on = 0, fd = dyco_socket(where.any.sa_family, SOCK_STREAM, 0);
    socklen_t size = sizeof on;
    (void)argument;
    CHECK(fd >= 0);
    CHECK_EQ(flags_of(fd), O_RDWR);
    CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, &size), 0);
    CHECK_EQ(on, 1);
    dyco_coroutine_sleep(50);
    set_nonblock(fd, 1);
    errno = 77;
    CHECK_EQ(dyco_connect(fd, &where.any, length), 0);
    CHECK_EQ(errno, 77);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(dyco_send(fd, "hello", 5, 0), 5);
        errno = 77;
        CHECK_EQ(dyco_recv(fd, b, 5, MSG_WAITALL), 5);
        CHECK_EQ(errno, 77);
        dyco_coroutine_sleep((uint32_t)i % 3);
    }
    CHECK_ERRNO(dyco_recv(fd, b, 5, MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(dyco_sendto(fd, "to", 2, 0, NULL, 0), 2);
    CHECK_EQ(dyco_recvfrom(fd, b, 5, 0, NULL, NULL), 2);
    CHECK_EQ(flags_of(fd), O_RDWR | O_NONBLOCK);
    CHECK_EQ(dyco_close(fd), 0);
    echoed++;
}

static void echo(int family) {
    listening = listener(family, SOCK_STREAM, 8, &where, &length);
    echoed = 0;
    spawn(server, NULL);
    spawn(client, NULL);
    run_with_ticker();
    CHECK_EQ(echoed, 1);
    CHECK_EQ(close(listening), 0);
}

/* Datagrams: addresses, lengths, waiting on O_NONBLOCK. */
static int datagrams[2];

static void send_datagram(void *argument) {
    dyco_coroutine_sleep(40);
    CHECK_EQ(dyco_sendto(datagrams[1], "datagram", 8, 0, argument, length), 8);
}

static void receive_datagram(void *argument) {
    char b[16];
    union address from;
    socklen_t size = sizeof from;
    (void)argument;
    set_nonblock(datagrams[0], 1);
    CHECK_EQ(dyco_recvfrom(datagrams[0], b, 4, MSG_TRUNC, &from.any, &size), 8);
    CHECK_EQ(from.any.sa_family, AF_INET);
    CHECK_ERRNO(dyco_recvfrom(datagrams[0], b, 4, MSG_DONTWAIT, &from.any, &size), EAGAIN);
}

static void errors(void *argument) {
    char b[4] = "";
    int fd;
    (void)argument;
    CHECK_ERRNO(dyco_socket(-1, 0, 0), EAFNOSUPPORT);
#ifndef __aarch64__ /* qemu-user has its own idea */
    CHECK_ERRNO(dyco_socket(AF_INET, 99, 0), EINVAL);
#endif
    CHECK_ERRNO(dyco_close(-1), EBADF);
    CHECK_ERRNO(dyco_accept(-1, NULL, NULL), EBADF);
    CHECK_ERRNO(dyco_connect(-1, &where.any, length), EBADF);
    CHECK_ERRNO(dyco_send(-1, b, 1, 0), EBADF);
    CHECK_ERRNO(dyco_recv(-1, b, 1, 0), EBADF);
    CHECK_ERRNO(dyco_sendto(-1, b, 1, 0, NULL, 0), EBADF);
    CHECK_ERRNO(dyco_recvfrom(-1, b, 1, 0, NULL, NULL), EBADF);
    CHECK_ERRNO(dyco_recv(1 << 30, b, 1, 0), EBADF);
    CHECK((fd = dyco_socket(AF_INET, SOCK_STREAM, 0)) >= 0);
    CHECK_ERRNO(dyco_accept(fd, NULL, NULL), EINVAL);
    CHECK_ERRNO(dyco_recv(fd, b, 1, 0), ENOTCONN);
    CHECK_ERRNO(dyco_send(fd, b, 1, MSG_NOSIGNAL), EPIPE);
    CHECK_ERRNO(dyco_connect(fd, &where.any, 1), EINVAL);
    CHECK_ERRNO(dyco_connect(fd, &where.any, length), ECONNREFUSED);
    set_nonblock(fd, 1);
    CHECK_ERRNO(dyco_connect(fd, &where.any, length), ECONNREFUSED);
    CHECK_EQ(dyco_close(fd), 0);
    CHECK((fd = open("/dev/null", O_RDWR)) >= 0);
    CHECK_ERRNO(dyco_recv(fd, b, 1, 0), ENOTSOCK);
    CHECK_ERRNO(dyco_send(fd, b, 1, 0), ENOTSOCK);
    CHECK_ERRNO(dyco_accept(fd, NULL, NULL), ENOTSOCK);
    CHECK_ERRNO(dyco_connect(fd, &where.any, length), ENOTSOCK);
    CHECK_EQ(dyco_close(fd), 0);
}

/* Timeouts of the socket count on an O_NONBLOCK descriptor, too: these calls do not look at the flag. */
static void timeouts(void *argument) {
    int ends[2];
    char b[4];
    static char block[8 << 20];
    (void)argument;
    stream_pair(AF_UNIX, ends);
    set_timeout(ends[0], SO_RCVTIMEO, 120);
    set_timeout(ends[0], SO_SNDTIMEO, 120);
    for (int nonblock = 0; nonblock < 2; nonblock++) {
        set_nonblock(ends[0], nonblock);
        int64_t begin = now_ms();
        CHECK_ERRNO(dyco_recv(ends[0], b, 4, 0), EAGAIN);
        CHECK_TOOK(now_ms() - begin, 120, 2000);
        fill(ends[0]);
        begin = now_ms();
        CHECK_ERRNO(dyco_send(ends[0], block, 100, 0), EAGAIN);
        CHECK_TOOK(now_ms() - begin, 120, 2000);
    }
    drain(ends[1]);
    CHECK_BETWEEN(dyco_send(ends[0], block, sizeof block, 0), 1, sizeof block - 1);
    close_pair(ends);
}

/* On an O_NONBLOCK descriptor dyco_send sends all, and dyco_connect waits for a place in a full queue. */
static int ends[2];

static void reads_slowly(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(50);
    CHECK_EQ(read_bytes(ends[1], 2 << 20), 2 << 20);
}

static void sends_all(void *argument) {
    static char block[2 << 20];
    (void)argument;
    set_nonblock(ends[0], 1);
    CHECK_EQ(dyco_send(ends[0], block, sizeof block, 0), sizeof block);
}

static void accept_later(void *argument) {
    int fds[8], count = 0;
    (void)argument;
    dyco_coroutine_sleep(100);
    while (count < 8 && dyco_coroutine_waitRead(listening, 200) > 0) CHECK((fds[count++] = accept(listening, NULL, NULL)) >= 0);
    while (count > 0) CHECK_EQ(close(fds[--count]), 0);
}

static void connects_to_full(void *argument) {
    int fds[4];
    (void)argument;
    int64_t begin = now_ms();
    for (int i = 0; i < 4; i++) {
        CHECK((fds[i] = dyco_socket(AF_UNIX, SOCK_STREAM, 0)) >= 0);
        set_nonblock(fds[i], 1);
        CHECK_EQ(dyco_connect(fds[i], &where.any, length), 0);
    }
    CHECK_TOOK(now_ms() - begin, 90, 3000);
    for (int i = 0; i < 4; i++) CHECK_EQ(dyco_close(fds[i]), 0);
}

int main(void) {
    echo(AF_INET);
    if (has_ipv6()) echo(AF_INET6);
    echo(AF_UNIX);

    datagrams[0] = bound(AF_INET, SOCK_DGRAM, &where, &length);
    datagrams[1] = socket(AF_INET, SOCK_DGRAM, 0);
    spawn(receive_datagram, NULL);
    spawn(send_datagram, &where.any);
    run_with_ticker();
    close_pair(datagrams);

    CHECK_EQ(close(bound(AF_INET, SOCK_STREAM, &where, &length)), 0);
    in_coroutine(errors, NULL);
    in_coroutine(timeouts, NULL);

    stream_pair(AF_INET, ends);
    spawn(reads_slowly, NULL);
    spawn(sends_all, NULL);
    run_with_ticker();
    close_pair(ends);

    listening = listener(AF_UNIX, SOCK_STREAM, 0, &where, &length);
    spawn(accept_later, NULL);
    spawn(connects_to_full, NULL);
    run_with_ticker();
    CHECK_EQ(close(listening), 0);
    return test_done();
}
