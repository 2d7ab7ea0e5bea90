// timeout: 120
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * UDP, UNIX datagrams and UNIX sequenced packets: each hooked call returns in a coroutine what it returns in a plain
 * thread.
 */
#include "same.h"

static int family, ends[2];
static union address where[2];
static socklen_t lengths[2];

/* Two sockets that know each other. */
static void datagram_pair(void) {
    ends[0] = bound(family, SOCK_DGRAM, &where[0], &lengths[0]);
    ends[1] = bound(family, SOCK_DGRAM, &where[1], &lengths[1]);
    CHECK_EQ(connect(ends[0], &where[1].any, lengths[1]), 0);
    CHECK_EQ(connect(ends[1], &where[0].any, lengths[0]), 0);
}

static void send_hello(void *argument) {
    (void)argument;
    CHECK_EQ(send(ends[1], "hello", 5, 0), 5);
}

static void send_empty(void *argument) {
    (void)argument;
    CHECK_EQ(send(ends[1], "", 0, 0), 0);
}

static void receives(void) {
    char b[16] = "";
    union address from;
    socklen_t length = sizeof from;
    struct iovec pieces[2] = {{b, 2}, {b + 4, 2}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2, .msg_name = &from, .msg_namelen = sizeof from};
    datagram_pair();
    after(50, send_hello, NULL);
    COMES(50, TRY(recv(ends[0], b, sizeof b, 0)));
    after(50, send_hello, NULL);
    TRY(read(ends[0], b, sizeof b));
    after(50, send_hello, NULL);
    TRY(readv(ends[0], pieces, 2));
    say("%.2s %.2s\n", b, b + 4);
    after(50, send_hello, NULL);
    TRY(recvfrom(ends[0], b, sizeof b, 0, &from.any, &length));
    say("%d %d\n", length == lengths[1], memcmp(&from, &where[1], length) == 0);
    after(50, send_hello, NULL);
    TRY(recvmsg(ends[0], &message, 0));
    say("%x %d\n", message.msg_flags, message.msg_namelen == lengths[1]);
    after(50, send_hello, NULL);
    TRY(recv(ends[0], b, 3, MSG_PEEK | MSG_TRUNC));
    TRY(recv(ends[0], b, 3, MSG_TRUNC));
    after(50, send_hello, NULL);
    TRY(recv(ends[0], b, 10, MSG_WAITALL));
    TRY(recv(ends[0], b, 10, MSG_DONTWAIT));
    close_pair(ends);
}

/* A datagram is there: who has room for nothing, takes nothing by read; recv takes it. */
static void zero_lengths(void) {
    char b[16];
    struct iovec none[2] = {{b, 0}, {b, 0}};
    struct msghdr message = {.msg_iov = none, .msg_iovlen = 2};
    datagram_pair();
    TRY(read(ends[0], b, 0));
    TRY(readv(ends[0], none, 2));
    send_hello(NULL);
    TRY(read(ends[0], b, 0));
    TRY(readv(ends[0], none, 2));
    TRY(readv(ends[0], none, 0));
    TRY(recv(ends[0], b, sizeof b, MSG_DONTWAIT));
    send_hello(NULL);
    TRY(recv(ends[0], b, 0, 0));
    TRY(recv(ends[0], b, sizeof b, MSG_DONTWAIT));
    send_hello(NULL);
    TRY(recvmsg(ends[0], &message, 0));
    TRY(recv(ends[0], b, sizeof b, MSG_DONTWAIT));
    /* Nothing is there: read and readv return at once, recv waits. */
    TRY(read(ends[0], b, 0));
    TRY(readv(ends[0], none, 2));
    after(60, send_empty, NULL);
    COMES(60, TRY(recv(ends[0], b, 0, 0)));
    after(60, send_empty, NULL);
    COMES(60, TRY(read(ends[0], b, sizeof b)));
    /* Nothing to send: write and send make a datagram, writev none. */
    TRY(write(ends[0], b, 0));
    TRY(recv(ends[1], b, sizeof b, MSG_DONTWAIT));
    TRY(send(ends[0], b, 0, 0));
    TRY(recv(ends[1], b, sizeof b, MSG_DONTWAIT));
    TRY(writev(ends[0], none, 2));
    TRY(recv(ends[1], b, sizeof b, MSG_DONTWAIT));
    TRY(sendmsg(ends[0], &message, 0));
    TRY(recv(ends[1], b, sizeof b, MSG_DONTWAIT));
    close_pair(ends);
}

static void addresses(void) {
    char b[16];
    union address from;
    socklen_t length = sizeof from;
    int plain = bound(family, SOCK_DGRAM, &where[0], &lengths[0]);
    int other = bound(family, SOCK_DGRAM, &where[1], &lengths[1]);
    struct iovec piece = {b, 3};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_name = &where[1], .msg_namelen = lengths[1]};
    TRY(send(plain, "abc", 3, 0));
    TRY(write(plain, "abc", 3));
    TRY(sendto(plain, "abc", 3, 0, &where[1].any, lengths[1]));
    TRY(recvfrom(other, b, sizeof b, 0, &from.any, &length));
    say("%d %d\n", length == lengths[0], memcmp(&from, &where[0], length) == 0);
    TRY(sendmsg(plain, &message, 0));
    TRY(recv(other, b, sizeof b, 0));
    length = 1;
    TRY(sendto(plain, "abc", 3, 0, &where[1].any, lengths[1]));
    TRY(recvfrom(other, b, sizeof b, 0, &from.any, &length));
    say("%d\n", length == lengths[0]);
    TRY(sendto(plain, "abc", 3, 0, &where[1].any, 1));
    TRY(connect(plain, &where[1].any, lengths[1]));
    TRY(send(plain, "abc", 3, 0));
    from.any.sa_family = AF_UNSPEC;
    TRY(connect(plain, &from.any, sizeof from.any));
    TRY(send(plain, "abc", 3, 0));
    TRY(listen(plain, 1));
    TRY(accept(plain, NULL, NULL));
    TRY(close(plain));
    TRY(close(other));
}

static void refused(void) {
    char b[4];
    datagram_pair();
    TRY(close(ends[1]));
    TRY(send(ends[0], "x", 1, 0));
    usleep(20000);
    TRY(send(ends[0], "x", 1, 0));
    usleep(20000);
    TRY(send(ends[0], "x", 1, 0));
    usleep(20000);
    if (family != AF_UNIX) TRY(recv(ends[0], b, 4, 0));
    TRY(recv(ends[0], b, 4, MSG_DONTWAIT));
    TRY(close(ends[0]));
}

static void send_into_the_void(void *argument) {
    (void)argument;
    CHECK_EQ(send(ends[0], "x", 1, 0), 1);
}

/* The refusal arrives under a coroutine that waits to receive. */
static void refused_while_waiting(void) {
    char b[4];
    if (family == AF_UNIX) {
        say("none\n");
        return;
    }
    datagram_pair();
    TRY(close(ends[1]));
    after(50, send_into_the_void, NULL);
    TRY(recv(ends[0], b, 4, 0));
    TRY(close(ends[0]));
}

static void shut_down(void *argument) {
    (void)argument;
    CHECK_EQ(shutdown(ends[0], SHUT_RD), 0);
}

/* Shut down for reading: who may wait gets 0, who may not EAGAIN. What was there before comes first. */
static void shut_down_for_reading(void) {
    char b[16];
    struct iovec piece = {b, sizeof b};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    datagram_pair();
    send_hello(NULL);
    after(60, shut_down, NULL);
    TRY(recv(ends[0], b, sizeof b, 0));
    COMES(60, TRY(recv(ends[0], b, sizeof b, 0)));
    TRY(recv(ends[0], b, sizeof b, 0));
    TRY(recv(ends[0], b, sizeof b, MSG_PEEK));
    TRY(recv(ends[0], b, sizeof b, MSG_DONTWAIT));
    TRY(read(ends[0], b, sizeof b));
    TRY(readv(ends[0], &piece, 1));
    TRY(recvmsg(ends[0], &message, 0));
    set_nonblock(ends[0], 1);
    TRY(read(ends[0], b, sizeof b));
    close_pair(ends);
}

static void too_long(void) {
    static char block[70000];
    datagram_pair();
    if (family != AF_UNIX) TRY(send(ends[0], block, sizeof block, 0));
    TRY(send(ends[0], block, 60000, 0));
    TRY(recv(ends[1], block, sizeof block, 0));
    set_buffer(ends[0], SO_SNDBUF, 4096);
    if (family == AF_UNIX) TRY(send(ends[0], block, sizeof block, 0));
    close_pair(ends);
}

static void take_one(void *argument) {
    char b[16];
    (void)argument;
    CHECK_EQ(recv(ends[1], b, sizeof b, 0), 5);
}

/* The queue of a UNIX receiver is full: send waits for room in it. */
static void full_queue(void) {
    int queued = 0;
    if (family != AF_UNIX) {
        say("UDP drops\n");
        return;
    }
    datagram_pair();
    /* Between two that are connected to each other only the send buffer counts. */
    CHECK_EQ(connect(ends[1], &(struct sockaddr){.sa_family = AF_UNSPEC}, sizeof(struct sockaddr)), 0);
    set_buffer(ends[0], SO_SNDBUF, 1 << 20);
    while (send(ends[0], "hello", 5, MSG_DONTWAIT) == 5) queued++;
    say("%d %d\n", queued, errno);
    after(60, take_one, NULL);
    COMES(60, TRY(send(ends[0], "hello", 5, 0)));
    after(60, take_one, NULL);
    COMES(60, TRY(write(ends[0], "hello", 5)));
    set_timeout(ends[0], SO_SNDTIMEO, 100);
    TAKES(100, TRY(send(ends[0], "hello", 5, 0)));
    /* The unconnected sender waits for the same queue. */
    int plain = socket(AF_UNIX, SOCK_DGRAM, 0);
    after(60, take_one, NULL);
    COMES(60, TRY(sendto(plain, "hello", 5, 0, &where[1].any, lengths[1])));
    set_nonblock(ends[0], 1);
    TRY(send(ends[0], "hello", 5, 0));
    TRY(close(plain));
    close_pair(ends);
}

static void send_packet(void *argument) {
    (void)argument;
    CHECK_EQ(send(ends[1], "packet", 6, 0), 6);
}

static void close_peer(void *argument) {
    (void)argument;
    CHECK_EQ(close(ends[1]), 0);
}

static void sequenced_packets(void) {
    char b[16];
    struct iovec piece = {b, 4};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    after(40, send_packet, NULL);
    TRY(recv(ends[0], b, sizeof b, 0));
    after(40, send_packet, NULL);
    TRY(recvmsg(ends[0], &message, 0));
    say("%x\n", message.msg_flags);
    after(40, send_packet, NULL);
    TRY(recv(ends[0], b, sizeof b, MSG_WAITALL));
    send_packet(NULL);
    TRY(read(ends[0], b, 0));
    TRY(read(ends[0], b, 3));
    TRY(recv(ends[0], b, sizeof b, MSG_DONTWAIT));
    TRY(write(ends[0], "a", 1));
    TRY(writev(ends[0], &piece, 1));
    TRY(recv(ends[1], b, sizeof b, 0));
    TRY(recv(ends[1], b, sizeof b, 0));
    after(40, close_peer, NULL);
    TRY(recv(ends[0], b, sizeof b, 0));
    TRY(recv(ends[0], b, sizeof b, 0));
    TRY(send(ends[0], b, 1, MSG_NOSIGNAL));
    TRY(close(ends[0]));
    datagram_pair();
    TRY(shutdown(ends[0], SHUT_RD));
    TRY(recv(ends[0], b, 4, MSG_DONTWAIT));
    close_pair(ends);
}

int main(void) {
    static const int families[] = {AF_INET, AF_INET6, AF_UNIX};
    same_start();
    for (size_t i = 0; i < COUNT(families); i++) {
        family = families[i];
        if (family == AF_INET6 && !has_ipv6()) continue;
        SAME(receives);
        SAME(zero_lengths);
        SAME(addresses);
        SAME(refused);
        SAME(refused_while_waiting);
        SAME(shut_down_for_reading);
        SAME(too_long);
        SAME(full_queue);
    }
    SAME(sequenced_packets);
    return test_done();
}
