// timeout: 120
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fcntl, ioctl, dup and its kin, setsockopt and close, and what O_NONBLOCK and the socket timeouts mean to the calls
 * that follow, however they were set: the same in a coroutine as in a plain thread.
 */
#include "same.h"

static int ends[2], family;

static void send_hello(void *argument) {
    (void)argument;
    CHECK_EQ(send(ends[1], "hello", 5, 0), 5);
}

/* Every call that could wait does not. */
static void tries(int fd) {
    char b[8];
    struct iovec piece = {b, 8};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    TRY(recv(fd, b, 8, 0));
    TRY(recvfrom(fd, b, 8, 0, NULL, NULL));
    TRY(recvmsg(fd, &message, 0));
    TRY(read(fd, b, 8));
    TRY(readv(fd, &piece, 1));
    TRY(recv(fd, b, 8, MSG_WAITALL));
    TRY(recv(fd, b, 8, MSG_PEEK));
}

/* A wait comes first, so that whatever is known of the descriptor is known. */
static void waits(int fd) {
    char b[8];
    after(40, send_hello, NULL);
    COMES(40, TRY(recv(fd, b, 8, 0)));
}

static void nonblock_by_fcntl(void) {
    stream_pair(family, ends);
    waits(ends[0]);
    TRY(fcntl(ends[0], F_SETFL, O_NONBLOCK));
    tries(ends[0]);
    say("%x\n", flags_of(ends[0]));
    TRY(fcntl(ends[0], F_SETFL, O_RDWR));
    waits(ends[0]);
    TRY(fcntl(ends[0], F_SETFL, O_NONBLOCK | O_ASYNC));
    say("%x\n", flags_of(ends[0]));
    tries(ends[0]);
    close_pair(ends);
}

static void nonblock_by_ioctl(void) {
    int on = 1, off = 0, bytes = -1;
    stream_pair(family, ends);
    waits(ends[0]);
    TRY(ioctl(ends[0], FIONBIO, &on));
    tries(ends[0]);
    say("%x\n", flags_of(ends[0]));
    send_hello(NULL);
    usleep(20000);
    TRY(ioctl(ends[0], FIONREAD, &bytes));
    say("%d\n", bytes);
    TRY(read_bytes(ends[0], 5));
    TRY(ioctl(ends[0], FIONBIO, &off));
    waits(ends[0]);
    TRY(ioctl(-1, FIONBIO, &on));
    TRY(ioctl(ends[0], 0x12345678, &on));
    close_pair(ends);
}

static void nonblock_from_birth(void) {
    union address address;
    socklen_t length;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    tries(ends[0]);
    set_nonblock(ends[0], 0);
    waits(ends[0]);
    close_pair(ends);
    int listening = listener(family, SOCK_STREAM, 8, &address, &length);
    CHECK((ends[0] = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0)) >= 0);
    int begun = connect(ends[0], &address.any, length);
    say("%d\n", begun == 0 || errno == EINPROGRESS);
    CHECK((ends[1] = accept4(listening, NULL, NULL, SOCK_NONBLOCK)) >= 0);
    struct pollfd entry = {ends[0], POLLOUT, 0};
    CHECK_EQ(poll(&entry, 1, 2000), 1);
    tries(ends[0]);
    tries(ends[1]);
    close_pair(ends);
    CHECK_EQ(close(listening), 0);
}

/* The mode belongs to what a duplicate shares. */
static void nonblock_by_duplicate(void) {
    stream_pair(family, ends);
    waits(ends[0]);
    int twin = TRY_FD(dup(ends[0]));
    set_nonblock(twin, 1);
    tries(ends[0]);
    set_nonblock(twin, 0);
    waits(ends[0]);
    waits(twin);
    set_nonblock(ends[0], 1);
    tries(twin);
    TRY(close(twin));
    tries(ends[0]);
    close_pair(ends);
}

/* Behind the hooks. */
static void nonblock_by_system_call(void) {
    stream_pair(family, ends);
    int twin = (int)syscall(SYS_dup, ends[0]);
    CHECK_EQ(syscall(SYS_fcntl, twin, F_SETFL, O_RDWR | O_NONBLOCK), 0);
    CHECK_EQ(syscall(SYS_close, ends[0]), 0);
    ends[0] = twin;
    tries(ends[0]);
    CHECK_EQ(syscall(SYS_fcntl, twin, F_SETFL, O_RDWR), 0);
    waits(ends[0]);
    close_pair(ends);
}

static void receive_timeouts(void) {
    char b[8];
    struct iovec piece = {b, 8};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    struct timeval none = {0, 0}, asked = {9, 9};
    socklen_t size = sizeof asked;
    stream_pair(family, ends);
    waits(ends[0]);
    set_timeout(ends[0], SO_RCVTIMEO, 120);
    TAKES(120, TRY(recv(ends[0], b, 8, 0)));
    TAKES(120, TRY(read(ends[0], b, 8)));
    TAKES(120, TRY(readv(ends[0], &piece, 1)));
    TAKES(120, TRY(recvmsg(ends[0], &message, 0)));
    TAKES(120, TRY(recvfrom(ends[0], b, 8, 0, NULL, NULL)));
    /* What comes in time is received; the sender may be late on a busy machine, and the limit is not short. */
    set_timeout(ends[0], SO_RCVTIMEO, 20000);
    waits(ends[0]);
    set_timeout(ends[0], SO_RCVTIMEO, 120);
    TRY(getsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &asked, &size));
    say("%ld %d\n", (long)asked.tv_sec, asked.tv_usec >= 120000);
    TRY(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none));
    after(200, send_hello, NULL);
    COMES(200, TRY(recv(ends[0], b, 8, 0)));
    TRY(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &none, 3));
    TRY(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){0, 1000000}, sizeof none));
    TRY(setsockopt(-1, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none));
    TRY(setsockopt(ends[0], SOL_SOCKET, 9999, &none, sizeof none));
    TRY(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){-1, 0}, sizeof none));
    TRY(recv(ends[0], b, 8, MSG_DONTWAIT));
    close_pair(ends);
}

/* Set on a duplicate, set by a system call, set outside before, inherited from the listener. */
static void receive_timeouts_from_elsewhere(void) {
    char b[8];
    struct timeval limit = {0, 120000};
    union address address;
    socklen_t length;
    stream_pair(family, ends);
    int twin = dup(ends[0]);
    waits(ends[0]);
    set_timeout(twin, SO_RCVTIMEO, 120);
    TAKES(120, TRY(recv(ends[0], b, 8, 0)));
    TRY(close(twin));
    close_pair(ends);
    stream_pair(family, ends);
    twin = (int)syscall(SYS_dup, ends[0]);
    CHECK_EQ(syscall(SYS_close, ends[0]), 0);
    ends[0] = twin;
    CHECK_EQ(syscall(SYS_setsockopt, twin, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    TAKES(120, TRY(recv(twin, b, 8, 0)));
    close_pair(ends);
    int listening = listener(family, SOCK_STREAM, 8, &address, &length);
    set_timeout(listening, SO_RCVTIMEO, 120);
    CHECK((ends[0] = socket(family, SOCK_STREAM, 0)) >= 0);
    CHECK_EQ(connect(ends[0], &address.any, length), 0);
    ends[1] = TRY_FD(accept(listening, NULL, NULL));
    /* Connections of TCP take it over, those of UNIX do not. */
    if (family != AF_UNIX) TAKES(120, TRY(recv(ends[1], b, 8, 0)));
    set_timeout(ends[1], SO_RCVTIMEO, 0);
    int client = ends[0];
    ends[0] = ends[1];
    ends[1] = client;
    waits(ends[0]);
    close_pair(ends);
    CHECK_EQ(close(listening), 0);
}

static void send_timeouts(void) {
    static char block[4 << 20];
    struct iovec piece = {block, 100};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    stream_pair(family, ends);
    set_timeout(ends[0], SO_SNDTIMEO, 120);
    ssize_t sent = send(ends[0], block, sizeof block, 0);
    say("%d\n", sent > 0 && sent < (ssize_t)sizeof block);
    fill(ends[0]);
    TAKES(120, TRY(send(ends[0], block, 100, 0)));
    TAKES(120, TRY(write(ends[0], block, 100)));
    TAKES(120, TRY(writev(ends[0], &piece, 1)));
    TAKES(120, TRY(sendmsg(ends[0], &message, 0)));
    TAKES(120, TRY(sendto(ends[0], block, 100, 0, NULL, 0)));
    close_pair(ends);
}

static void duplicates(void) {
    char b[8];
    stream_pair(family, ends);
    int a = TRY_FD(dup(ends[0]));
    int c = TRY_FD(fcntl(ends[0], F_DUPFD, 50));
    say("%d\n", c >= 50);
    int d = TRY_FD(fcntl(ends[0], F_DUPFD_CLOEXEC, 60));
    say("%d %d\n", d >= 60, fcntl(d, F_GETFD));
    int e = TRY_FD(dup2(ends[0], 70));
    int f = TRY_FD(dup3(ends[0], 71, O_CLOEXEC));
    say("%d %d %d\n", e, f, fcntl(f, F_GETFD));
    TRY(dup2(ends[0], ends[0]) == ends[0]);
    TRY(dup3(ends[0], ends[0], 0));
    TRY(dup3(ends[0], 72, 0x1234));
    TRY(dup(-1));
    TRY(dup2(-1, 70));
    TRY(dup2(ends[0], -1));
    TRY(dup2(-1, -1));
    TRY(dup3(-1, 70, 0));
    TRY(fcntl(-1, F_DUPFD, 0));
    waits(70);
    TRY(close(ends[0]));
    waits(a);
    waits(c);
    waits(d);
    waits(f);
    int all[] = {a, c, d, e, f};
    for (size_t i = 0; i < COUNT(all); i++) CHECK_EQ(close(all[i]), 0);
    TRY(recv(ends[1], b, 8, 0));
    TRY(close(ends[1]));
}

static void controls(void) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10};
    struct f_owner_ex owner = {F_OWNER_PID, getpid()};
    FILE *file = tmpfile();
    CHECK(file != NULL);
    int fd = fileno(file), on = 1;
    stream_pair(family, ends);
    TRY(fcntl(ends[0], F_GETFD));
    TRY(fcntl(ends[0], F_SETFD, FD_CLOEXEC));
    TRY(fcntl(ends[0], F_GETFD));
    TRY(fcntl(ends[0], F_SETOWN, getpid()));
    TRY(fcntl(ends[0], F_GETOWN) == getpid());
    TRY(fcntl(ends[0], F_SETOWN_EX, &owner));
    TRY(fcntl(fd, F_SETLK, &lock));
    TRY(fcntl(fd, F_GETLK, &lock));
    say("%d\n", lock.l_type == F_UNLCK);
    TRY(fcntl(fd, F_OFD_GETLK, &lock) < 0);
    TRY(fcntl(fd, 9999, 0));
    TRY(fcntl(-1, F_GETFL));
    TRY(fcntl(-1, F_SETFL, O_NONBLOCK));
    TRY(ioctl(ends[0], FIOCLEX));
    TRY(setsockopt(ends[0], SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on));
    TRY(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on));
    TRY(fcntl(fd, F_SETFL, O_APPEND));
    say("%x\n", flags_of(fd) & (O_APPEND | O_NONBLOCK));
    CHECK_EQ(fclose(file), 0);
    close_pair(ends);
}

int main(void) {
    static const int families[] = {AF_UNIX, AF_INET, AF_INET6};
    same_start();
    for (size_t i = 0; i < COUNT(families); i++) {
        family = families[i];
        if (family == AF_INET6 && !has_ipv6()) continue;
        SAME(nonblock_by_fcntl);
        SAME(nonblock_by_ioctl);
        SAME(nonblock_from_birth);
        SAME(nonblock_by_duplicate);
        SAME(nonblock_by_system_call);
        SAME(receive_timeouts);
        SAME(receive_timeouts_from_elsewhere);
        SAME(send_timeouts);
        SAME(duplicates);
        SAME(controls);
    }
    return test_done();
}
