// SPDX-License-Identifier: MIT OR Apache-2.0
// Receiving with room for nothing: whether each call waits, until when, and what it says then is the kernel's affair, and
// differs from one kind of socket to the other. With SO_RCVTIMEO and without.
#include "same.h"

static int family, type;
static int ends[2];

static void pair(void) {
    if (type == SOCK_STREAM) {
        stream_pair(family, ends);
    } else if (family == AF_UNIX) {
        CHECK_EQ(socketpair(AF_UNIX, type, 0, ends), 0);
    } else {
        union address addresses[2];
        socklen_t length;
        for (int i = 0; i < 2; i++) ends[i] = bound(family, type, &addresses[i], &length);
        for (int i = 0; i < 2; i++) CHECK_EQ(connect(ends[i], &addresses[1 - i].any, length), 0);
    }
}

static void send_hello(void *argument) {
    (void)argument;
    CHECK_EQ(syscall(SYS_sendto, ends[1], "hello", 5, 0, NULL, 0), 5);
}

static void end(void *argument) {
    (void)argument;
    shutdown(ends[1], SHUT_WR);
}

static struct iovec none[2] = {{"", 0}, {"", 0}};

static ssize_t by_recv(int flags) {
    char b;
    return recv(ends[0], &b, 0, flags);
}

static ssize_t by_recv_null(int flags) {
    return recv(ends[0], NULL, 0, flags);
}

static ssize_t by_recvfrom(int flags) {
    char b;
    union address from;
    socklen_t length = sizeof from;
    return recvfrom(ends[0], &b, 0, flags, &from.any, &length);
}

static ssize_t by_recvmsg(int flags) {
    struct msghdr message = {.msg_iov = none, .msg_iovlen = 2};
    return recvmsg(ends[0], &message, flags);
}

static ssize_t by_recvmsg_bare(int flags) {
    struct msghdr message = {0};
    return recvmsg(ends[0], &message, flags);
}

static ssize_t by_recvmmsg(int flags) {
    struct mmsghdr message = {.msg_hdr = {.msg_iov = none, .msg_iovlen = 2}};
    return recvmmsg(ends[0], &message, 1, flags, NULL);
}

static ssize_t by_read(int flags) {
    char b;
    (void)flags;
    return read(ends[0], &b, 0);
}

static ssize_t by_readv(int flags) {
    (void)flags;
    return readv(ends[0], none, 2);
}

static ssize_t by_readv_bare(int flags) {
    (void)flags;
    return readv(ends[0], none, 0);
}

static ssize_t (*call)(int);
static int flags;

static void nothing_comes(void) {
    pair();
    TRY(call(flags | MSG_DONTWAIT));
    set_timeout(ends[0], SO_RCVTIMEO, 12);
    TRY(call(flags));
    TRY(call(flags));
    set_nonblock(ends[0], 1);
    TRY(call(flags));
    close_pair(ends);
}

static void something_comes(void) {
    char b[64];
    for (int limited = 0; limited < 2; limited++) {
        pair();
        if (limited) set_timeout(ends[0], SO_RCVTIMEO, 20000);
        after(10, send_hello, NULL);
        TRY(call(flags));
        later_is_over();
        send_hello(NULL);
        TRY(call(flags));
        set_nonblock(ends[0], 1);
        TRY(read(ends[0], b, sizeof b));
        TRY(read(ends[0], b, sizeof b));
        TRY(call(flags));
        close_pair(ends);
    }
}

/* Only part of what is there has been read. */
static void something_is_left(void) {
    char b[16];
    pair();
    send_hello(NULL);
    TRY(recv(ends[0], b, 3, 0));
    TRY(call(flags));
    TRY(recv(ends[0], b, sizeof b, MSG_DONTWAIT));
    close_pair(ends);
}

static void it_ends(void) {
    pair();
    after(10, end, NULL);
    TRY(call(flags));
    later_is_over();
    TRY(call(flags));
    close_pair(ends);
}

static void reset(void *argument) {
    (void)argument;
    set_reset(ends[1]);
    CHECK_EQ(syscall(SYS_close, ends[1]), 0);
}

/* An error that ends the wait of TCP stays for the next call. */
static void it_breaks(void) {
    char b[16];
    pair();
    after(10, reset, NULL);
    TRY(call(flags));
    later_is_over();
    TRY(recv(ends[0], b, sizeof b, 0));
    TRY(recv(ends[0], b, sizeof b, 0));
    CHECK_EQ(close(ends[0]), 0);
}

int main(void) {
    static const int kinds[][2] = {{AF_INET, SOCK_STREAM},
                                   {AF_UNIX, SOCK_STREAM},
                                   {AF_INET, SOCK_DGRAM},
                                   {AF_UNIX, SOCK_DGRAM},
                                   {AF_UNIX, SOCK_SEQPACKET}};
    static ssize_t (*const calls[])(int) = {by_recv,     by_recv_null, by_recvfrom, by_recvmsg,   by_recvmsg_bare,
                                            by_recvmmsg, by_read,      by_readv,    by_readv_bare};
    static const int all_flags[] = {0, MSG_PEEK, MSG_WAITALL, MSG_TRUNC};
    same_start();
    for (size_t k = 0; k < COUNT(kinds); k++) {
        for (size_t c = 0; c < COUNT(calls); c++) {
            for (size_t f = 0; f < (calls[c] == by_recv || calls[c] == by_recvmsg ? COUNT(all_flags) : 1); f++) {
                char name[80];
                void (*const scenarios[])(void) = {nothing_comes, something_comes, something_is_left, it_ends, it_breaks};
                family = kinds[k][0], type = kinds[k][1], call = calls[c], flags = all_flags[f];
                /* Datagrams are whole, and have no end. */
                size_t count = type != SOCK_STREAM ? 2 : family == AF_UNIX ? 4 : 5;
                for (size_t i = 0; i < count; i++) {
                    snprintf(name, sizeof name, "family %d, type %d, call %d, flags %d, scenario %d", family,
                             type, (int)c, flags, (int)i);
                    same_named(name, scenarios[i]);
                }
            }
        }
    }
    return test_done();
}
