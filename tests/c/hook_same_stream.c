// timeout: 120
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Stream sockets: each hooked call returns in a coroutine what it returns in a plain thread.
 */
#include "same.h"

/* The compiler need not know that these are wrong. */
static volatile int below_zero = -1;
static char *volatile nowhere = (char *)8;

static int family, ends[2];

static void send_hello(void *argument) {
    (void)argument;
    CHECK_EQ(send(ends[1], "hello", 5, 0), 5);
}

static void send_world_slowly(void *argument) {
    struct timespec pause = {0, 300000000};
    (void)argument;
    CHECK_EQ(send(ends[1], "wor", 3, 0), 3);
    nanosleep(&pause, NULL);
    CHECK_EQ(send(ends[1], "ld", 2, 0), 2);
}

static void close_peer(void *argument) {
    (void)argument;
    CHECK_EQ(close(ends[1]), 0);
}

static void reset_peer(void *argument) {
    set_reset(ends[1]);
    close_peer(argument);
}

static void half_close_peer(void *argument) {
    (void)argument;
    CHECK_EQ(shutdown(ends[1], SHUT_WR), 0);
}

/* Each way to receive waits for data and takes it. */
static void receives(void) {
    char b[16] = "";
    union address address;
    socklen_t length = sizeof address;
    struct iovec pieces[2] = {{b, 2}, {b + 4, 8}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    stream_pair(family, ends);
    after(50, send_hello, NULL);
    TRY(recv(ends[0], b, sizeof b, 0));
    after(50, send_hello, NULL);
    TRY(read(ends[0], b, sizeof b));
    after(50, send_hello, NULL);
    TRY(readv(ends[0], pieces, 2));
    say("%.2s %.3s\n", b, b + 4);
    after(50, send_hello, NULL);
    TRY(recvfrom(ends[0], b, sizeof b, 0, &address.any, &length));
    say("%d\n", (int)length);
    length = 3;
    after(50, send_hello, NULL);
    TRY(recvfrom(ends[0], b, 2, 0, NULL, &length));
    TRY(recvfrom(ends[0], b, 3, 0, NULL, NULL));
    after(50, send_hello, NULL);
    TRY(recvmsg(ends[0], &message, 0));
    say("%.2s %.3s flags %x\n", b, b + 4, message.msg_flags);
    after(50, send_hello, NULL);
    COMES(50, TRY(recv(ends[0], b, 2, MSG_PEEK)));
    TRY(recv(ends[0], b, sizeof b, MSG_DONTWAIT));
    close_pair(ends);
}

static void send_hello_and_half_close(void *argument) {
    send_hello(NULL);
    usleep(80000);
    half_close_peer(argument);
}

static void wait_all(void) {
    char b[16] = "";
    struct iovec pieces[2] = {{b, 2}, {b + 2, 3}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    stream_pair(family, ends);
    after(50, send_world_slowly, NULL);
    COMES(350, TRY(recv(ends[0], b, 5, MSG_WAITALL)));
    say("%.5s\n", b);
    after(50, send_world_slowly, NULL);
    COMES(350, TRY(recvmsg(ends[0], &message, MSG_WAITALL)));
    say("%.5s\n", b);
    after(50, send_world_slowly, NULL);
    TRY(recv(ends[0], b, 5, 0));
    TRY(recv(ends[0], b, 5, 0));
    after(20, send_world_slowly, NULL);
    /* AF_UNIX peeks at what is there. */
    if (family != AF_UNIX) COMES(320, TRY(recv(ends[0], b, 5, MSG_WAITALL | MSG_PEEK)));
    else COMES(20, TRY(recv(ends[0], b, 5, MSG_WAITALL | MSG_PEEK)));
    for (int queued = 0; queued < 5; usleep(5000)) CHECK_EQ(ioctl(ends[0], FIONREAD, &queued), 0);
    TRY(recv(ends[0], b, 2, 0));
    TRY(recv(ends[0], b, 5, MSG_WAITALL | MSG_DONTWAIT));
    /* The end of the stream cuts it short, and so does a timeout. */
    after(20, send_hello_and_half_close, NULL);
    TRY(recv(ends[0], b, 16, MSG_WAITALL));
    TRY(recv(ends[0], b, 16, MSG_WAITALL));
    close_pair(ends);
    stream_pair(family, ends);
    set_timeout(ends[0], SO_RCVTIMEO, 150);
    after(20, send_hello, NULL);
    TAKES(150, TRY(recv(ends[0], b, 16, MSG_WAITALL)));
    TAKES(150, TRY(recv(ends[0], b, 16, MSG_WAITALL)));
    close_pair(ends);
}

static void send_hello_and_reset(void *argument) {
    send_hello(NULL);
    usleep(60000);
    reset_peer(argument);
}

static void take_a_part_and_reset(void *argument) {
    static char sink[4096];
    CHECK(recv(ends[1], sink, sizeof sink, 0) > 0);
    usleep(60000);
    reset_peer(argument);
}

/* An error that ends a call which has moved something is the next call's. */
static void errors_wait(void) {
    static char block[8 << 20];
    char b[16];
    if (family == AF_UNIX) {
        say("no RST\n");
        return;
    }
    stream_pair(family, ends);
    after(20, send_hello_and_reset, NULL);
    TRY(recv(ends[0], b, sizeof b, MSG_WAITALL));
    TRY(recv(ends[0], b, sizeof b, MSG_WAITALL));
    TRY(recv(ends[0], b, sizeof b, MSG_WAITALL));
    TRY(close(ends[0]));
    stream_pair(family, ends);
    after(20, take_a_part_and_reset, NULL);
    ssize_t sent = send(ends[0], block, sizeof block, 0);
    say("sent some: %d\n", sent > 0 && sent < (ssize_t)sizeof block);
    TRY(send(ends[0], "x", 1, MSG_NOSIGNAL));
    TRY(send(ends[0], "x", 1, MSG_NOSIGNAL));
    TRY(close(ends[0]));
}

static void send_with_descriptor(void *argument) {
    char text[2] = "de", control[CMSG_SPACE(sizeof(int))] = "";
    struct iovec piece = {text, 2};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    (void)argument;
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &ends[1], sizeof(int));
    CHECK_EQ(sendmsg(ends[1], &message, 0), 2);
    usleep(30000);
    CHECK_EQ(send(ends[1], "fghij", 5, 0), 5);
}

/* Bytes that come with a descriptor end a wait for all, with room for the descriptor and without. */
static void waits_with_descriptors(void) {
    char b[16] = "", control[CMSG_SPACE(sizeof(int))] = "";
    struct iovec piece = {b, 5};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (family != AF_UNIX) {
        say("no descriptors\n");
        return;
    }
    stream_pair(family, ends);
    for (int room = 0; room < 2; room++) {
        message.msg_control = room ? control : NULL;
        message.msg_controllen = room ? sizeof control : 0;
        after(20, send_with_descriptor, NULL);
        TRY(recvmsg(ends[0], &message, MSG_WAITALL));
        say("flags %x, control %d\n", message.msg_flags, (int)message.msg_controllen);
        if (room) {
            int fd;
            memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
            CHECK_EQ(close(fd), 0);
        }
        usleep(60000);
        TRY(recv(ends[0], b, sizeof b, MSG_DONTWAIT));
    }
    /* They end a call that does not wait for all as well, though there is more. */
    send_with_descriptor(NULL);
    TRY(recv(ends[0], b, sizeof b, 0));
    TRY(recv(ends[0], b, sizeof b, 0));
    close_pair(ends);
}

static void end_of_stream(void) {
    char b[16];
    stream_pair(family, ends);
    /* The end has come with the last bytes; what asks for more is not told of it again. */
    after(20, send_hello, NULL);
    TRY(recv(ends[0], b, sizeof b, 0));
    send_hello(NULL);
    half_close_peer(NULL);
    usleep(20000);
    TRY(recv(ends[0], b, sizeof b, 0));
    TRY(recv(ends[0], b, sizeof b, 0));
    close_pair(ends);
    stream_pair(family, ends);
    after(50, half_close_peer, NULL);
    TRY(recv(ends[0], b, sizeof b, 0));
    TRY(read(ends[0], b, sizeof b));
    TRY(send(ends[0], "more", 4, 0));
    TRY(recv(ends[1], b, 4, 0));
    after(30, close_peer, NULL);
    TRY(read(ends[0], b, sizeof b));
    join_later();
    TRY(send(ends[0], "x", 1, MSG_NOSIGNAL));
    usleep(20000);
    TRY(send(ends[0], "x", 1, MSG_NOSIGNAL));
    TRY(sendto(ends[0], "x", 1, MSG_NOSIGNAL, NULL, 0));
    TRY(close(ends[0]));
}

static void resets(void) {
    char b[16];
    if (family == AF_UNIX) {
        say("no RST\n");
        return;
    }
    stream_pair(family, ends);
    after(50, reset_peer, NULL);
    TRY(recv(ends[0], b, sizeof b, 0));
    TRY(recv(ends[0], b, sizeof b, 0));
    TRY(send(ends[0], b, 1, MSG_NOSIGNAL));
    TRY(close(ends[0]));
    stream_pair(family, ends);
    fill(ends[0]);
    after(50, reset_peer, NULL);
    TRY(send(ends[0], "x", 1, MSG_NOSIGNAL));
    TRY(send(ends[0], "x", 1, MSG_NOSIGNAL));
    TRY(close(ends[0]));
}

/* Unread data makes the close of a UNIX socket a reset. */
static void unread(void) {
    char b[16];
    stream_pair(family, ends);
    TRY(send(ends[0], "unread", 6, 0));
    after(50, close_peer, NULL);
    TRY(recv(ends[0], b, sizeof b, 0));
    TRY(recv(ends[0], b, sizeof b, 0));
    TRY(send(ends[0], b, 1, MSG_NOSIGNAL));
    TRY(close(ends[0]));
}

static void own_shutdown(void) {
    char b[16];
    stream_pair(family, ends);
    TRY(shutdown(ends[0], SHUT_RD));
    TRY(recv(ends[0], b, sizeof b, 0));
    TRY(recv(ends[0], b, sizeof b, MSG_DONTWAIT));
    TRY(shutdown(ends[0], SHUT_WR));
    TRY(send(ends[0], b, 1, MSG_NOSIGNAL));
    TRY(shutdown(ends[0], 9));
    TRY(recv(ends[1], b, sizeof b, 0));
    close_pair(ends);
}

static void shut_down_read(void *argument) {
    (void)argument;
    CHECK_EQ(shutdown(ends[0], SHUT_RD), 0);
}

static void shutdown_wakes(void) {
    char b[16];
    stream_pair(family, ends);
    after(50, shut_down_read, NULL);
    TRY(recv(ends[0], b, sizeof b, 0));
    close_pair(ends);
}

/* Nothing to move: no wait, and nothing is taken. */
static void zero_lengths(void) {
    char b[16];
    struct iovec none[2] = {{b, 0}, {b, 0}};
    struct msghdr message = {.msg_iov = none, .msg_iovlen = 2};
    stream_pair(family, ends);
    TRY(read(ends[0], b, 0));
    TRY(read(ends[0], NULL, 0));
    TRY(readv(ends[0], none, 2));
    TRY(readv(ends[0], none, 0));
    TRY(write(ends[0], b, 0));
    TRY(writev(ends[0], none, 2));
    TRY(send(ends[0], b, 0, 0));
    TRY(sendmsg(ends[0], &message, 0));
    TRY(recv(ends[0], b, 0, MSG_DONTWAIT));
    after(20, send_hello, NULL);
    TRY(recv(ends[0], b, 0, 0));
    usleep(40000);
    TRY(read(ends[0], b, 0));
    TRY(recv(ends[0], b, 0, 0));
    TRY(recvmsg(ends[0], &message, 0));
    TRY(recv(ends[0], b, sizeof b, 0));
    close_pair(ends);
}

/* MSG_TRUNC on TCP throws data away without a buffer. */
static void truncates(void) {
    char b[16] = "";
    stream_pair(family, ends);
    TRY(send(ends[1], "hello", 5, 0));
    TRY(recv(ends[0], b, 3, MSG_TRUNC));
    say("%.3s\n", family == AF_UNIX ? b : "-");
    TRY(recv(ends[0], b, 16, MSG_PEEK | MSG_TRUNC));
    TRY(recv(ends[0], b, 16, 0));
    close_pair(ends);
}

static void send_urgent(void *argument) {
    (void)argument;
    CHECK_EQ(send(ends[1], "!", 1, MSG_OOB), 1);
}

static void urgent_data(void) {
    char b[16];
    stream_pair(family, ends);
    if (send(ends[1], "ab", 2, MSG_OOB) < 0) {
        say("no MSG_OOB\n");
        close_pair(ends);
        return;
    }
    usleep(20000);
    TRY(recv(ends[0], b, 1, MSG_OOB));
    say("%c\n", b[0]);
    TRY(recv(ends[0], b, 1, MSG_OOB));
    TRY(recv(ends[0], b, sizeof b, 0));
    TRY(recv(ends[0], b, 1, MSG_OOB));
    /* Urgent bytes alone do not end an ordinary wait for data; the data behind them does. */
    after(30, send_urgent, NULL);
    after(120, send_hello, NULL);
    COMES(120, TRY(recv(ends[0], b, sizeof b, 0)));
    TRY(recv(ends[0], b, 1, MSG_OOB));
    TRY(ioctl(ends[0], SIOCATMARK, &(int){0}));
    close_pair(ends);
}

static void faults(void) {
    char b[16];
    union address address = {.any.sa_family = (sa_family_t)family};
    struct iovec pieces[2] = {{b, 1}, {nowhere, 4}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    stream_pair(family, ends);
    TRY(send(ends[1], "hello, world", 12, 0));
    usleep(10000);
    TRY(recv(ends[0], nowhere, 4, 0));
    TRY(read(ends[0], nowhere, 4));
    TRY(recvmsg(ends[0], NULL, 0));
#ifndef __aarch64__ /* qemu-user has no preadv2: its stand-in reads the list itself */
    TRY(readv(ends[0], (struct iovec *)nowhere, 2));
#endif
    TRY(recvfrom(ends[0], b, 1, 0, &address.any, (socklen_t *)nowhere));
    TRY(recv(ends[0], b, sizeof b, 0));
    TRY(send(ends[0], nowhere, 4, 0));
    TRY(write(ends[0], nowhere, 4));
    TRY(sendmsg(ends[0], NULL, 0));
    TRY(sendmsg(ends[0], &message, 0));
#ifndef __aarch64__ /* qemu-user has no preadv2: its stand-in reads the list itself */
    TRY(writev(ends[0], (struct iovec *)nowhere, 2));
#endif
    TRY(recv(ends[1], b, sizeof b, MSG_DONTWAIT) <= 1);
    TRY(send(ends[0], "x", 1, 0x40000000));
    TRY(sendto(ends[0], "x", 1, 0, &address.any, sizeof address.v4) > 0);
    TRY(recv(ends[0], b, 1, MSG_ERRQUEUE | MSG_DONTWAIT));
    close_pair(ends);
    TRY(recv(ends[0], b, 1, 0));
    TRY(send(ends[0], b, 1, 0));
    TRY(read(-1, b, 1));
    TRY(write(-1, b, 1));
    TRY(readv(-1, pieces, 1));
    TRY(writev(-1, pieces, 1));
    TRY(recvmsg(-1, &message, 0));
    TRY(sendmsg(-1, &message, 0));
    TRY(recvfrom(-1, b, 1, 0, NULL, NULL));
    TRY(sendto(-1, b, 1, 0, NULL, 0));
    TRY(shutdown(-1, SHUT_WR));
    TRY(close(-1));
    TRY(close(ends[0]));
}

/* A socket that was never connected. */
static void unconnected(void) {
    char b[4];
    int fd = socket(family, SOCK_STREAM, 0);
    TRY(recv(fd, b, 4, 0));
    TRY(send(fd, b, 4, MSG_NOSIGNAL));
    TRY(read(fd, b, 4));
    TRY(read(fd, b, 0));
    TRY(shutdown(fd, SHUT_RDWR));
    TRY(close(fd));
}

static void many_pieces(void) {
    static char out[2048], in[2048];
    static struct iovec pieces[2048];
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 1000};
    stream_pair(family, ends);
    for (int i = 0; i < 2048; i++) {
        out[i] = (char)i;
        pieces[i] = (struct iovec){out + i, 1};
    }
    TRY(writev(ends[0], pieces, 1000));
    TRY(recv(ends[1], in, 1000, MSG_WAITALL));
    TRY(memcmp(in, out, 1000));
    TRY(sendmsg(ends[0], &message, 0));
    for (int i = 0; i < 2048; i++) pieces[i].iov_base = in + 2047 - i;
    TRY(readv(ends[1], pieces, 1000));
    say("%d %d\n", in[2047] == out[0], in[1048] == out[999]);
    TRY(writev(ends[0], pieces, IOV_MAX));
    TRY(read_bytes(ends[1], 1024));
    TRY(writev(ends[0], pieces, IOV_MAX + 1));
    TRY(readv(ends[0], pieces, IOV_MAX + 1));
    TRY(readv(ends[0], pieces, below_zero));
    TRY(writev(ends[0], pieces, below_zero));
    message.msg_iovlen = IOV_MAX + 1;
    TRY(sendmsg(ends[0], &message, 0));
    TRY(recvmsg(ends[0], &message, 0));
    pieces[0].iov_len = (size_t)SSIZE_MAX + 10;
    TRY(writev(ends[0], pieces, 2));
    TRY(readv(ends[0], pieces, 2));
    close_pair(ends);
}

static int taken;

static void take_all(void *argument) {
    taken = (int)read_bytes(ends[1], (size_t)(intptr_t)argument);
}

static int total_sent;

/* A slow reader: send and its kin return when all is sent. */
static void sends_all(void) {
    static char block[1 << 20];
    struct iovec pieces[3] = {{block, 300000}, {block, 400000}, {block, 100000}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 3};
    stream_pair(family, ends);
    set_buffer(ends[0], SO_SNDBUF, 65536);
    total_sent = 3 * (1 << 20) + 3 * 800000;
    after(50, take_all, (void *)(intptr_t)total_sent);
    TRY(send(ends[0], block, sizeof block, 0));
    TRY(write(ends[0], block, sizeof block));
    TRY(sendto(ends[0], block, sizeof block, 0, NULL, 0));
    TRY(writev(ends[0], pieces, 3));
    TRY(sendmsg(ends[0], &message, 0));
    TRY(send(ends[0], block, 500000, 0));
    TRY(send(ends[0], block, 300000, 0));
    CHECK_EQ(shutdown(ends[0], SHUT_WR), 0);
    TRY(pieces[0].iov_len + pieces[1].iov_len);
    close(ends[0]);
    while (__atomic_load_n(&taken, __ATOMIC_ACQUIRE) < total_sent) usleep(1000);
    taken = 0;
    CHECK_EQ(close(ends[1]), 0);
}

/* What had gone out before the error is the result; the error comes with the next call. */
static void take_part_and_reset(void *argument) {
    (void)argument;
    read_bytes(ends[1], 100000);
    usleep(50000);
    close_peer(NULL);
}

static void partial_send(void) {
    static char block[8 << 20];
    stream_pair(family, ends);
    after(50, take_part_and_reset, NULL);
    long long sent = send(ends[0], block, sizeof block, MSG_NOSIGNAL);
    say("%d\n", sent >= 100000 && sent < (long long)sizeof block);
    errno = 0;
    sent = send(ends[0], block, sizeof block, MSG_NOSIGNAL);
    if (sent < 0 && errno == ECONNRESET) sent = send(ends[0], block, 1, MSG_NOSIGNAL);
    say("%d %d\n", (int)sent, errno);
    TRY(close(ends[0]));
}

static void send_dontwait(void) {
    static char block[8 << 20];
    stream_pair(family, ends);
    say("%d\n", send(ends[0], block, sizeof block, MSG_DONTWAIT) < (ssize_t)sizeof block);
    fill(ends[0]);
    TRY(send(ends[0], block, sizeof block, MSG_DONTWAIT));
    TRY(sendto(ends[0], block, 1, MSG_DONTWAIT, NULL, 0));
    set_nonblock(ends[0], 1);
    TRY(write(ends[0], block, sizeof block));
    TRY(send(ends[0], block, sizeof block, 0));
    TRY(writev(ends[0], &(struct iovec){block, 5}, 1));
    close_pair(ends);
}

int main(void) {
    static const int families[] = {AF_UNIX, AF_INET, AF_INET6};
    same_start();
    for (size_t i = 0; i < COUNT(families); i++) {
        family = families[i];
        if (family == AF_INET6 && !has_ipv6()) continue;
        SAME(receives);
        SAME(wait_all);
        SAME(errors_wait);
        SAME(waits_with_descriptors);
        SAME(end_of_stream);
        SAME(resets);
        SAME(unread);
        SAME(own_shutdown);
        SAME(shutdown_wakes);
        SAME(zero_lengths);
        SAME(truncates);
        SAME(urgent_data);
        SAME(faults);
        SAME(unconnected);
        SAME(many_pieces);
        SAME(sends_all);
        SAME(partial_send);
        SAME(send_dontwait);
    }
    return test_done();
}
