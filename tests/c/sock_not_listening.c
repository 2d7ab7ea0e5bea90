/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A socket that has been found empty by one call says nothing to another: accept() from what does not listen fails at once
 * after somebody has waited for bytes in vain, and so does reading from a listener after somebody has waited for
 * connections.
 */
// modes: shared archive static ring
#include "net.h"

static void limit(int fd) {
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){0, 3000}, sizeof(struct timeval)), 0);
}

static void no_limit(int fd) {
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){0}, sizeof(struct timeval)), 0);
}

/* Twice, because the first wait in vain is what leaves its mark. */
static void accepts_in_vain(int fd, int error) {
    char byte;
    for (int i = 0; i < 2; i++) {
        limit(fd);
        CHECK_ERRNO(recv(fd, &byte, 1, 0), EAGAIN);
        CHECK_EQ(dyco_coroutine_waitRead(fd, 2), 0);
        no_limit(fd);
        CHECK_ERRNO(accept(fd, NULL, NULL), error);
        CHECK_ERRNO(accept4(fd, NULL, NULL, SOCK_CLOEXEC), error);
        CHECK_ERRNO(dyco_accept(fd, NULL, NULL), error);
    }
}

static void reads_in_vain(int fd, int error) {
    char byte;
    struct iovec piece = {&byte, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    for (int i = 0; i < 2; i++) {
        limit(fd);
        CHECK_ERRNO(accept(fd, NULL, NULL), EAGAIN);
        CHECK_EQ(dyco_coroutine_waitRead(fd, 2), 0);
        no_limit(fd);
        CHECK_ERRNO(recv(fd, &byte, 1, 0), error);
        CHECK_ERRNO(read(fd, &byte, 1), error);
        CHECK_ERRNO(readv(fd, &piece, 1), error);
        CHECK_ERRNO(recvmsg(fd, &message, 0), error);
        CHECK_ERRNO(dyco_recv(fd, &byte, 1, 0), error);
    }
}

static void all(void *argument) {
    int ends[2], listener, connected, accepted;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    (void)argument;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    accepts_in_vain(ends[0], EINVAL);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    accepts_in_vain(ends[0], EOPNOTSUPP);

    listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(bind(listener, (struct sockaddr *)&address, size), 0);
    CHECK_EQ(listen(listener, 5), 0);
    CHECK_EQ(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    reads_in_vain(listener, ENOTCONN);
    connected = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(connected, (struct sockaddr *)&address, size), 0);
    accepts_in_vain(connected, EINVAL);

    /* The listener still works. */
    accepted = accept(listener, NULL, NULL);
    CHECK(accepted >= 0);
    accepts_in_vain(accepted, EINVAL);
    reads_in_vain(listener, ENOTCONN);
}

int main(void) {
    spawn(all, NULL);
    spawn_own(all, NULL, 64 << 10);
    run_all();
    return test_done();
}
