// arch: x86_64
// timeout: 120
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Not under emulation: qemu-user leaks a connection whose address it cannot store.
 *
 * connect, accept and their kin: each hooked call returns in a coroutine what it returns in a plain thread.
 */
#include "same.h"

static int family;
static union address where;
static socklen_t length;

static void *connect_client(void *argument) {
    int fd = socket(family, SOCK_STREAM, 0);
    (void)argument;
    CHECK(fd >= 0);
    CHECK_EQ(connect(fd, &where.any, length), 0);
    char b;
    CHECK_EQ(recv(fd, &b, 1, 0), 0);
    CHECK_EQ(close(fd), 0);
    return NULL;
}

static void client(void *argument) {
    connect_client(argument);
}

static void accepts(void) {
    union address peer;
    socklen_t size = sizeof peer;
    int fd, listening = listener(family, SOCK_STREAM, 8, &where, &length);
    after(60, client, NULL);
    COMES(60, fd = TRY_FD(accept(listening, &peer.any, &size)));
    say("family %d length %d flags %x\n", peer.any.sa_family, (int)size, flags_of(fd) & O_NONBLOCK);
    say("cloexec %d\n", fcntl(fd, F_GETFD));
    TRY(close(fd));
    size = 2;
    after(30, client, NULL);
    fd = TRY_FD(accept4(listening, &peer.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    say("length %d flags %x cloexec %d\n", (int)size, flags_of(fd) & O_NONBLOCK, fcntl(fd, F_GETFD));
    TRY(recv(fd, &peer, 1, 0));
    TRY(close(fd));
    after(30, client, NULL);
    fd = TRY_FD(accept(listening, NULL, NULL));
    TRY(close(fd));
    say("listener %x\n", flags_of(listening) & O_NONBLOCK);
    /* O_NONBLOCK of the listener is honoured, and not inherited. */
    set_nonblock(listening, 1);
    TRY(accept(listening, NULL, NULL));
    TRY(accept4(listening, NULL, NULL, SOCK_CLOEXEC));
    after(0, client, NULL);
    usleep(50000);
    fd = TRY_FD(accept(listening, NULL, NULL));
    say("flags %x\n", flags_of(fd) & O_NONBLOCK);
    TRY(close(fd));
    set_nonblock(listening, 0);
    set_timeout(listening, SO_RCVTIMEO, 100);
    TAKES(100, TRY(accept(listening, NULL, NULL)));
    TRY(close(listening));
}

static void accept_errors(void) {
    char *nowhere = (char *)8;
    int fd, plain = socket(family, SOCK_STREAM, 0), pair[2];
    int listening = listener(family, SOCK_STREAM, 8, &where, &length);
    union address peer;
    TRY(accept(plain, NULL, NULL));
    TRY(accept(-1, NULL, NULL));
    TRY(accept4(listening, NULL, NULL, 0x12345));
    CHECK_EQ(pipe(pair), 0);
    TRY(accept(pair[0], NULL, NULL));
    close_pair(pair);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    TRY(accept(pair[0], NULL, NULL));
    close_pair(pair);
    int out = socket(family, SOCK_STREAM, 0);
    CHECK_EQ(connect(out, &where.any, length), 0);
    TRY(accept(listening, &peer.any, (socklen_t *)(void *)nowhere));
    if (family != AF_UNIX) {
        /* The connection is lost with the fault. */
        set_nonblock(listening, 1);
        TRY(accept(listening, NULL, NULL));
    }
    TRY(close(out));
    TRY(shutdown(listening, SHUT_RD));
    TRY(accept(listening, NULL, NULL));
    TRY(close(listening));
    fd = plain;
    TRY(close(fd));
    TRY(accept(fd, NULL, NULL));
}

static void shut_listener(void *argument) {
    CHECK_EQ(shutdown((int)(intptr_t)argument, SHUT_RDWR), 0);
}

static void accept_shut_down(void) {
    int listening = listener(family, SOCK_STREAM, 8, &where, &length);
    after(60, shut_listener, (void *)(intptr_t)listening);
    TRY(accept(listening, NULL, NULL));
    TRY(close(listening));
}

static void connects(void) {
    char *nowhere = (char *)8;
    int listening = listener(family, SOCK_STREAM, 8, &where, &length);
    int fd = socket(family, SOCK_STREAM, 0);
    TRY(connect(fd, &where.any, length));
    say("flags %x\n", flags_of(fd) & O_NONBLOCK);
    TRY(connect(fd, &where.any, length));
    TRY(close(fd));
    fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int result = connect(fd, &where.any, length);
    say("%d\n", result == 0 || errno == EINPROGRESS);
    struct pollfd entry = {fd, POLLOUT, 0};
    TRY(poll(&entry, 1, 1000));
    result = connect(fd, &where.any, length);
    say("%d\n", result == 0 || errno == EISCONN);
    TRY(close(fd));
    fd = socket(family, SOCK_STREAM, 0);
    TRY(connect(fd, &where.any, 1));
    TRY(connect(fd, (struct sockaddr *)(void *)nowhere, length));
    TRY(connect(-1, &where.any, length));
    TRY(connect(fd, &where.any, 1 << 20));
    TRY(close(fd));
    TRY(connect(fd, &where.any, length));
    TRY(connect(1, &where.any, 0) < 0);
    TRY(close(listening));
}

static void refused(void) {
    int bare = bound(family, SOCK_STREAM, &where, &length), error = 1;
    socklen_t size = sizeof error;
    int fd = socket(family, SOCK_STREAM, 0);
    TRY(connect(fd, &where.any, length));
    TRY(connect(fd, &where.any, length));
    TRY(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size));
    say("error %d\n", error);
    /* The socket may be used again. */
    CHECK_EQ(listen(bare, 4), 0);
    TRY(connect(fd, &where.any, length));
    TRY(send(fd, "x", 1, 0));
    TRY(close(fd));
    TRY(close(bare));
    if (family == AF_UNIX) {
        fd = socket(family, SOCK_STREAM, 0);
        TRY(connect(fd, &where.any, length));
        TRY(close(fd));
    }
}

/* A listener whose queue is full, so that a further connect waits. */
static int full_listener(int fillers[], int *count) {
    int listening = listener(family, SOCK_STREAM, 0, &where, &length);
    *count = 0;
    for (;;) {
        int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
        CHECK(fd >= 0);
        int result = connect(fd, &where.any, length);
        struct pollfd entry = {fd, POLLOUT, 0};
        struct timespec limit = {0, 100000000};
        fillers[(*count)++] = fd;
        CHECK(*count < 16);
        if (family == AF_UNIX ? result < 0 : syscall(SYS_ppoll, &entry, 1, &limit, NULL, 0) == 0) return listening;
    }
}

static volatile int connected;

/* Takes whatever comes until the connection is made: TCP tries again after 1 s, then after 2 more. */
static void accept_some(void *argument) {
    int accepted[32], count = 0, listening = (int)(intptr_t)argument;
    while (!connected) {
        struct pollfd entry = {listening, POLLIN, 0};
        if (poll(&entry, 1, 20) == 1) CHECK((accepted[count++] = accept(listening, NULL, NULL)) >= 0);
    }
    while (count > 0) CHECK_EQ(close(accepted[--count]), 0);
    CHECK_EQ(close(listening), 0);
}

/* Nobody accepts: connect waits until somebody does, or its timeout has passed. */
static void full_queue(void) {
    int fillers[16], count, fd, listening = full_listener(fillers, &count);
    connected = 0;
    fd = socket(family, SOCK_STREAM, 0);
    set_timeout(fd, SO_SNDTIMEO, 150);
    TAKES(150, TRY(connect(fd, &where.any, length)));
    if (family != AF_UNIX) TAKES(150, TRY(connect(fd, &where.any, length)));
    say("flags %x\n", flags_of(fd) & O_NONBLOCK);
    TRY(close(fd));
    fd = socket(family, SOCK_STREAM, 0);
    set_nonblock(fd, 1);
    TRY(connect(fd, &where.any, length));
    if (family != AF_UNIX) TRY(connect(fd, &where.any, length));
    TRY(close(fd));
    fd = socket(family, SOCK_STREAM, 0);
    after(150, accept_some, (void *)(intptr_t)listening);
    COMES(150, TRY(connect(fd, &where.any, length)));
    TRY(close(fd));
    while (count > 0) CHECK_EQ(close(fillers[--count]), 0);
    connected = 1;
}

static void creates(void) {
    int pair[2] = {-7, -7}, on, fd;
    socklen_t size = sizeof on;
    TRY(socket(family, 99, 0));
    TRY(socket(999, SOCK_STREAM, 0));
    TRY(socket(family, SOCK_STREAM, 999) < 0);
    TRY(socketpair(AF_INET, SOCK_STREAM, 0, pair));
    TRY(socketpair(AF_UNIX, 99, 0, pair));
    fd = TRY_FD(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    say("flags %x cloexec %d\n", flags_of(fd) & O_NONBLOCK, fcntl(fd, F_GETFD));
    TRY(close(fd));
    fd = TRY_FD(socket(family, SOCK_STREAM, 0));
    say("flags %x cloexec %d\n", flags_of(fd) & O_NONBLOCK, fcntl(fd, F_GETFD));
    TRY(close(fd));
    /* Datagram sockets keep the kernel's options: two of them do not share a port unasked. */
    fd = TRY_FD(socket(AF_INET, SOCK_DGRAM, 0));
    TRY(getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, &size));
    say("reuse %d\n", on);
    TRY(close(fd));
    TRY(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
    say("flags %x\n", flags_of(pair[0]) & O_NONBLOCK);
    TRY(recv(pair[0], &on, 1, 0));
    close_pair(pair);
    TRY(listen(-1, 1));
}

int main(void) {
    static const int families[] = {AF_UNIX, AF_INET, AF_INET6};
    same_start();
    for (size_t i = 0; i < COUNT(families); i++) {
        family = families[i];
        if (family == AF_INET6 && !has_ipv6()) continue;
        SAME(accepts);
        SAME(accept_errors);
        SAME(accept_shut_down);
        SAME(connects);
        SAME(refused);
        SAME(full_queue);
        SAME(creates);
    }
    return test_done();
}
