// timeout: 120
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What travels beside the data: descriptors, credentials, packet information, queued errors, and what becomes of them
 * where there is too little room. recvmsg and sendmsg return in a coroutine what they return in a plain thread.
 */
#include "same.h"

#include <linux/errqueue.h>

static int type, ends[2];

union control {
    struct cmsghdr header;
    char space[512];
};

/* Sends `text` with these descriptors. */
static ssize_t send_with(int over, const char *text, const int *fds, int count) {
    struct iovec piece = {(void *)(uintptr_t)text, strlen(text)};
    union control control;
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    memset(&control, 0, sizeof control);
    if (count > 0) {
        size_t size = (size_t)count * sizeof *fds;
        control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(size), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), fds, size);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(size);
    }
    return sendmsg(over, &message, MSG_NOSIGNAL);
}

/* Receives with so much room, says all that came, and closes the descriptors. */
static void receive_with(size_t bytes, size_t room, int flags) {
    char text[64] = "";
    struct iovec piece = {text, bytes};
    union control control;
    union address from;
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = room,
                             .msg_name = &from, .msg_namelen = sizeof from};
    memset(&control, 0, sizeof control);
    ssize_t n = TRY(recvmsg(ends[0], &message, flags));
    if (n < 0) return;
    say("  \"%.*s\" flags %x control %d name %d\n", (int)(n < (ssize_t)bytes ? n : (ssize_t)bytes), text, message.msg_flags,
        (int)message.msg_controllen, (int)message.msg_namelen);
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
        size_t size = part->cmsg_len - CMSG_LEN(0);
        say("  level %d type %d, %d bytes", part->cmsg_level, part->cmsg_type, (int)size);
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS) {
            int fds[64];
            memcpy(fds, CMSG_DATA(part), size);
            for (size_t i = 0; i < size / sizeof *fds; i++) {
                say(" cloexec %d", fcntl(fds[i], F_GETFD));
                CHECK_EQ(close(fds[i]), 0);
            }
        } else if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_CREDENTIALS) {
            struct ucred who;
            memcpy(&who, CMSG_DATA(part), sizeof who);
            say(" pid %d uid %d gid %d", who.pid == getpid(), who.uid == getuid(), who.gid == getgid());
        } else if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(part), sizeof info);
            say(" to %x", ntohl(info.ipi_addr.s_addr));
        } else if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_RECVERR) {
            struct sock_extended_err error;
            memcpy(&error, CMSG_DATA(part), sizeof error);
            say(" errno %u origin %d type %d", error.ee_errno, error.ee_origin, error.ee_type);
        }
        say("\n");
    }
}

static void unix_pair(void) {
    CHECK_EQ(socketpair(AF_UNIX, type, 0, ends), 0);
}

static void send_three(void *argument) {
    int fds[3] = {ends[1], ends[1], 0};
    fds[2] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)argument;
    CHECK(fds[2] >= 0);
    CHECK_EQ(send_with(ends[1], "three", fds, 3), 5);
    CHECK_EQ(close(fds[2]), 0);
}

static void descriptors(void) {
    int none[1] = {-1}, listening, epoll;
    union address address;
    socklen_t length;
    unix_pair();
    after(40, send_three, NULL);
    COMES(40, receive_with(16, sizeof(union control), 0));
    after(40, send_three, NULL);
    COMES(40, receive_with(16, sizeof(union control), MSG_CMSG_CLOEXEC));
    /* Peeking makes duplicates of its own. */
    after(40, send_three, NULL);
    receive_with(16, sizeof(union control), MSG_PEEK);
    receive_with(16, sizeof(union control), MSG_DONTWAIT);
    TRY(send_with(ends[1], "bad", none, 1));
    TRY(send_with(ends[1], "bad", &(int){1000000}, 1));
    receive_with(16, 0, MSG_DONTWAIT);
    /* Of every kind. */
    listening = listener(AF_INET, SOCK_STREAM, 1, &address, &length);
    CHECK((epoll = epoll_create1(0)) >= 0);
    TRY(send_with(ends[1], "two", (int[2]){listening, epoll}, 2));
    receive_with(16, sizeof(union control), 0);
    TRY(close(listening));
    TRY(close(epoll));
    /* On their way when both ends close. */
    send_three(NULL);
    close_pair(ends);
}

/* Too little room: for one of them, for none, for no header; and data that is cut as well. */
static void truncated(void) {
    unix_pair();
    send_three(NULL);
    receive_with(16, CMSG_LEN(sizeof(int)), 0);
    send_three(NULL);
    receive_with(16, CMSG_SPACE(2 * sizeof(int)), 0);
    send_three(NULL);
    receive_with(16, CMSG_LEN(0), 0);
    send_three(NULL);
    receive_with(16, 4, 0);
    send_three(NULL);
    receive_with(16, 0, 0);
    send_three(NULL);
    receive_with(2, sizeof(union control), 0);
    if (type == SOCK_STREAM) receive_with(16, sizeof(union control), 0);
    send_three(NULL);
    receive_with(2, CMSG_LEN(sizeof(int)), MSG_TRUNC);
    receive_with(16, sizeof(union control), MSG_DONTWAIT);
    /* recv and read leave them behind. */
    send_three(NULL);
    char b[16];
    TRY(recv(ends[0], b, sizeof b, 0));
    send_three(NULL);
    TRY(read(ends[0], b, 5));
    receive_with(16, sizeof(union control), MSG_DONTWAIT);
    close_pair(ends);
}

/* Descriptors part a stream in messages. */
static void boundaries(void) {
    char b[32];
    unix_pair();
    TRY(send(ends[1], "one", 3, 0));
    send_three(NULL);
    TRY(send(ends[1], "two", 3, 0));
    send_three(NULL);
    TRY(recv(ends[0], b, sizeof b, 0));
    receive_with(32, sizeof(union control), 0);
    receive_with(32, sizeof(union control), MSG_DONTWAIT);
    TRY(send(ends[1], "one", 3, 0));
    send_three(NULL);
    receive_with(32, sizeof(union control), type == SOCK_STREAM ? MSG_WAITALL | MSG_DONTWAIT : MSG_DONTWAIT);
    receive_with(32, sizeof(union control), MSG_DONTWAIT);
    close_pair(ends);
}

static void send_plain(void *argument) {
    (void)argument;
    CHECK_EQ(send(ends[1], "plain", 5, 0), 5);
}

static void credentials(void) {
    int on = 1;
    unix_pair();
    TRY(setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    after(40, send_plain, NULL);
    COMES(40, receive_with(16, sizeof(union control), 0));
    after(40, send_three, NULL);
    receive_with(16, sizeof(union control), 0);
    send_plain(NULL);
    receive_with(16, CMSG_LEN(4), 0);
    send_plain(NULL);
    receive_with(16, 0, 0);
    close_pair(ends);
}

static union address where[2];
static socklen_t lengths[2];

static void datagram_pair(void) {
    ends[0] = bound(AF_INET, SOCK_DGRAM, &where[0], &lengths[0]);
    ends[1] = bound(AF_INET, SOCK_DGRAM, &where[1], &lengths[1]);
    CHECK_EQ(connect(ends[0], &where[1].any, lengths[1]), 0);
    CHECK_EQ(connect(ends[1], &where[0].any, lengths[0]), 0);
}

static void packet_information(void) {
    int on = 1;
    datagram_pair();
    TRY(setsockopt(ends[0], IPPROTO_IP, IP_PKTINFO, &on, sizeof on));
    after(40, send_plain, NULL);
    COMES(40, receive_with(16, sizeof(union control), 0));
    TRY(setsockopt(ends[0], SOL_SOCKET, SO_TIMESTAMP, &on, sizeof on));
    after(40, send_plain, NULL);
    receive_with(16, sizeof(union control), 0);
    send_plain(NULL);
    receive_with(3, CMSG_LEN(0), 0);
    send_plain(NULL);
    receive_with(3, 0, MSG_TRUNC);
    close_pair(ends);
}

static void send_into_the_void(void *argument) {
    (void)argument;
    CHECK_EQ(send(ends[0], "lost", 4, 0), 4);
}

/* A refusal waits in the error queue, and fails one call besides. */
static void queued_errors(void) {
    int on = 1, error = -1;
    socklen_t size = sizeof error;
    datagram_pair();
    TRY(setsockopt(ends[0], IPPROTO_IP, IP_RECVERR, &on, sizeof on));
    receive_with(16, sizeof(union control), MSG_ERRQUEUE);
    TRY(close(ends[1]));
    after(40, send_into_the_void, NULL);
    COMES(40, receive_with(16, sizeof(union control), 0));
    receive_with(16, sizeof(union control), MSG_ERRQUEUE);
    receive_with(16, sizeof(union control), MSG_ERRQUEUE);
    after(40, send_into_the_void, NULL);
    struct pollfd entry = {ends[0], POLLIN, 99};
    TRY(poll(&entry, 1, 5000));
    say("%x\n", entry.revents);
    TRY(getsockopt(ends[0], SOL_SOCKET, SO_ERROR, &error, &size));
    say("error %d\n", error);
    receive_with(3, sizeof(union control), MSG_ERRQUEUE);
    receive_with(3, sizeof(union control), MSG_DONTWAIT);
    TRY(close(ends[0]));
}

int main(void) {
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    same_start();
    for (size_t i = 0; i < COUNT(types); i++) {
        type = types[i];
        SAME(descriptors);
        SAME(truncated);
        SAME(boundaries);
        SAME(credentials);
    }
    SAME(packet_information);
    SAME(queued_errors);
    return test_done();
}
