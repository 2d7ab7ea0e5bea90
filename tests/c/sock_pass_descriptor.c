// arch: x86_64
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Not under emulation: qemu-user loses MSG_NOSIGNAL of sendmsg.
 *
 * Descriptors and credentials in control messages; sockets that no hook has seen being made: passed, inherited, made by
 * a system call. All wait in their coroutine only.
 */
#include "net.h"

static int ends[2], passed[2], woken;

static void send_descriptor(int over, int fd) {
    char byte = 'd';
    struct iovec piece = {&byte, 1};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    memset(&control, 0, sizeof control);
    control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    CHECK_EQ(sendmsg(over, &message, 0), 1);
}

static int receive_descriptor(int over, int flags) {
    char byte = 0;
    int fd = -1;
    struct iovec piece = {&byte, 1};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    memset(&control, 0, sizeof control);
    CHECK_EQ(recvmsg(over, &message, flags), 1);
    CHECK_EQ(byte, 'd');
    CHECK_EQ(message.msg_controllen, CMSG_SPACE(sizeof(int)));
    CHECK_EQ(control.header.cmsg_type, SCM_RIGHTS);
    memcpy(&fd, CMSG_DATA(&control.header), sizeof fd);
    CHECK(fd >= 0);
    return fd;
}

/* The sender changes the mode of what it shares with the receiver: the receiver's calls follow. */
static void receives(void *argument) {
    char b;
    (void)argument;
    int64_t begin = now_ms();
    int fd = receive_descriptor(ends[0], MSG_CMSG_CLOEXEC);
    CHECK(now_ms() - begin >= 40);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(recv(fd, &b, 1, 0), 1);
    CHECK_EQ(b, 'p');
    dyco_coroutine_sleep(60);
    CHECK_ERRNO(recv(fd, &b, 1, 0), EAGAIN);
    CHECK_EQ(close(fd), 0);
    woken++;
}

static void passes(void *argument) {
    (void)argument;
    stream_pair(AF_INET, passed);
    dyco_coroutine_sleep(50);
    send_descriptor(ends[1], passed[0]);
    dyco_coroutine_sleep(50);
    CHECK_EQ(send(passed[1], "p", 1, 0), 1);
    dyco_coroutine_sleep(30);
    set_nonblock(passed[0], 1);
    dyco_coroutine_sleep(100);
    close_pair(passed);
}

/* A message that carries a descriptor is read short, with more behind it: nobody may take the socket for empty. */
static void boundary(void *argument) {
    char b[64];
    (void)argument;
    struct iovec piece = {b, sizeof b};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    CHECK_EQ(dyco_coroutine_waitRead(ends[0], 1), 0);
    CHECK_EQ(send(ends[1], "one", 3, 0), 3);
    send_descriptor(ends[1], ends[1]);
    CHECK_EQ(send(ends[1], "two", 3, 0), 3);
    CHECK_EQ(recv(ends[0], b, sizeof b, 0), 4);
    CHECK_EQ(recvmsg(ends[0], &message, 0), 3);
    woken++;
}

static void credentials(void *argument) {
    char byte = 'c';
    int on = 1;
    struct iovec piece = {&byte, 1};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct ucred sender;
    (void)argument;
    CHECK_EQ(setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
    CHECK_EQ(send(ends[1], "c", 1, 0), 1);
    CHECK_EQ(recvmsg(ends[0], &message, 0), 1);
    CHECK_EQ(control.header.cmsg_type, SCM_CREDENTIALS);
    memcpy(&sender, CMSG_DATA(&control.header), sizeof sender);
    CHECK_EQ(sender.pid, getpid());
    CHECK_EQ(sender.uid, getuid());
    on = 0;
    CHECK_EQ(setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
    woken++;
}

/* Made by system calls: TCP, UDP, and what they accept. */
static void waits_unseen(void *argument) {
    char b;
    int fd = (int)(intptr_t)argument;
    CHECK_EQ(recv(fd, &b, 1, 0), 1);
    CHECK_EQ(read(fd, &b, 1), 1);
    CHECK_ERRNO(recv(fd, &b, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(dyco_coroutine_waitRead(fd, 20), 0);
    CHECK_EQ(flags_of(fd), O_RDWR);
    woken++;
}

static void feeds_unseen(void *argument) {
    for (int i = 0; i < 2; i++) {
        dyco_coroutine_sleep(50);
        CHECK_EQ(write((int)(intptr_t)argument, "x", 1), 1);
    }
}

static void unseen(void) {
    int raw[2];
    CHECK_EQ(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, raw), 0);
    spawn(waits_unseen, (void *)(intptr_t)raw[0]);
    spawn(feeds_unseen, (void *)(intptr_t)raw[1]);
    run_with_ticker();
    CHECK_EQ(syscall(SYS_close, raw[0]), 0);
    CHECK_EQ(syscall(SYS_close, raw[1]), 0);
}

/* Inherited by exec: standard input is a socket. */
static void inherited(const char *self) {
    int pair[2], status = -1;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        dup2(pair[0], 0);
        close(pair[0]);
        close(pair[1]);
        execl(self, self, "child", NULL);
        _exit(127);
    }
    CHECK_EQ(close(pair[0]), 0);
    usleep(100000);
    CHECK_EQ(send(pair[1], "x", 1, 0), 1);
    usleep(50000);
    CHECK_EQ(send(pair[1], "x", 1, 0), 1);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(close(pair[1]), 0);
}

int main(int argc, char **argv) {
    if (argc > 1) {
        in_coroutine(waits_unseen, (void *)0);
        return woken != 1;
    }
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    warm_up();
    int fds = count_fds();
    spawn(receives, NULL);
    spawn(passes, NULL);
    run_with_ticker();
    in_coroutine(boundary, NULL);
    in_coroutine(credentials, NULL);
    CHECK_EQ(woken, 3);
    unseen();
    CHECK_EQ(woken, 4);
    CHECK_EQ(count_fds(), fds);
    inherited(argv[0]);
    return test_done();
}
