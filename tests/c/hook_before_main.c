/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Before the library's own constructor has run (.preinit_array comes first of all), and in other constructors, hooked
 * names and the dyco_* calls work; a scheduler can even run there.
 */
#include "net.h"

static int early, later, ran;

static int calls(void) {
    int pair[2], pipes[2], count = 0;
    char b[4];
    struct pollfd entry;
    struct iovec piece = {b, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    count += close(-1) == -1 && errno == EBADF;
    count += socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0;
    count += send(pair[1], "abcdef", 6, 0) == 6;
    count += recv(pair[0], b, 1, 0) == 1;
    count += read(pair[0], b, 1) == 1;
    count += readv(pair[0], &piece, 1) == 1;
    count += recvmsg(pair[0], &message, 0) == 1;
    count += recvfrom(pair[0], b, 1, 0, NULL, NULL) == 1;
    count += dyco_recv(pair[0], b, 1, 0) == 1 && b[0] == 'f';
    entry = (struct pollfd){pair[0], POLLIN, 0};
    count += poll(&entry, 1, 5) == 0;
    count += fcntl(pair[0], F_GETFL) == O_RDWR;
    count += fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0;
    count += read(pair[0], b, 1) == -1 && errno == EAGAIN;
    count += select(0, NULL, NULL, NULL, &(struct timeval){0, 1000}) == 0;
    count += usleep(1000) == 0;
    count += nanosleep(&(struct timespec){0, 1000}, NULL) == 0;
    count += pipe(pipes) == 0 && write(pipes[1], "x", 1) == 1 && read(pipes[0], b, 1) == 1;
    count += dup2(pipes[0], pair[0]) == pair[0];
    count += dyco_coroutine_waitRead(pipes[0], 1) == 0;
    count += setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &(int){10000}, sizeof(int)) == 0;
    count += shutdown(pair[1], SHUT_RDWR) == 0;
    count += close(pair[0]) == 0 && close(pair[1]) == 0 && close(pipes[0]) == 0 && close(pipes[1]) == 0;
    return count;
}

static void before_all(void) {
    early = calls();
}

__attribute__((section(".preinit_array"), used)) static void (*first)(void) = before_all;

static void coroutine(void *argument) {
    char b;
    int *ends = argument;
    CHECK_EQ(recv(ends[0], &b, 1, 0), 1);
    ran++;
}

static void sender(void *argument) {
    int *ends = argument;
    dyco_coroutine_sleep(5);
    CHECK_EQ(send(ends[1], "x", 1, 0), 1);
    ran++;
}

__attribute__((constructor(101))) static void constructor(void) {
    int ends[2];
    later = calls();
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    spawn(coroutine, ends);
    spawn(sender, ends);
    run_all();
    close_pair(ends);
}

int main(void) {
    CHECK_EQ(early, 22);
    CHECK_EQ(later, 22);
    CHECK_EQ(ran, 2);
    CHECK_EQ(calls(), 22);
    return test_done();
}
