// arch: x86_64
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A short read of a UNIX stream does not mean that it is empty: a passed descriptor ends a read early, and no further
 * event tells of what is behind it. Not under emulation, which has its own way with control messages.
 */
#include "net.h"

static int ends[2], received;

static void receives(void *argument) {
    char buffer[100];
    (void)argument;
    CHECK_EQ(recv(ends[0], buffer, sizeof buffer, 0), 1);
    /* Both messages come, and are told of, while nobody reads. */
    dyco_coroutine_sleep(50);
    CHECK_EQ(recv(ends[0], buffer, sizeof buffer, 0), 7);
    CHECK_EQ(recv(ends[0], buffer, sizeof buffer, 0), 10);
    received = 1;
}

static void sends(void *argument) {
    char bytes[10] = "", control[CMSG_SPACE(sizeof(int))] = "";
    struct iovec piece = {bytes, 7};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    (void)argument;
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &ends[1], sizeof(int));
    dyco_coroutine_sleep(10);
    CHECK_EQ(send(ends[1], "x", 1, 0), 1);
    dyco_coroutine_sleep(10);
    CHECK_EQ(sendmsg(ends[1], &message, 0), 7);
    CHECK_EQ(send(ends[1], bytes, sizeof bytes, 0), 10);
}

int main(void) {
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CHECK(dyco_coroutine_create(sends, NULL) > 0);
    spawn(receives, NULL);
    run_all();
    CHECK_EQ(received, 1);
    close_pair(ends);
    return test_done();
}
