// timeout: 120
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * One file under several numbers and in several processes: what one of them does the others see. The
 * same in a coroutine as in a plain thread.
 */
#include "same.h"

static int ends[2], other;

static void send_hello(void *argument) {
    CHECK_EQ(write((int)(intptr_t)argument, "hello", 5), 5);
}

static void close_fd(void *argument) {
    CHECK_EQ(close((int)(intptr_t)argument), 0);
}

/* The end of a pipe comes when the last number of its writing end is closed. */
static void pipe_duplicates(void) {
    char b[16];
    CHECK_EQ(pipe(ends), 0);
    other = dup(ends[1]);
    TRY(close(ends[1]));
    after(30, send_hello, (void *)(intptr_t)other);
    COMES(30, TRY(read(ends[0], b, sizeof b)));
    after(30, close_fd, (void *)(intptr_t)other);
    COMES(30, TRY(read(ends[0], b, sizeof b)));
    TRY(close(ends[0]));
    CHECK_EQ(pipe(ends), 0);
    other = dup(ends[0]);
    TRY(close(ends[0]));
    TRY(write(ends[1], "hello", 5));
    TRY(read(other, b, 2));
    TRY(close(other));
    TRY(write(ends[1], "hello", 5));
    TRY(close(ends[1]));
}

/* Two numbers of one socket: data, modes, shutdown are the socket's; closing one leaves the other. */
static void socket_duplicates(void) {
    char b[16];
    stream_pair(AF_INET, ends);
    other = fcntl(ends[0], F_DUPFD_CLOEXEC, 100);
    say("%d\n", other >= 100);
    TRY(fcntl(other, F_GETFD));
    TRY(send(ends[1], "hello", 5, 0));
    TRY(recv(other, b, 2, MSG_WAITALL));
    TRY(recv(ends[0], b, 3, MSG_WAITALL));
    TRY(recv(ends[0], b, 3, MSG_DONTWAIT));
    after(30, send_hello, (void *)(intptr_t)ends[1]);
    COMES(30, TRY(recv(other, b, sizeof b, 0)));
    set_nonblock(other, 1);
    TRY(recv(ends[0], b, 1, 0));
    set_nonblock(ends[0], 0);
    set_timeout(other, SO_RCVTIMEO, 80);
    TAKES(80, TRY(recv(ends[0], b, 1, 0)));
    TAKES(80, TRY(recv(other, b, 1, 0)));
    TRY(close(ends[0]));
    TRY(send(other, "still", 5, 0));
    TRY(recv(ends[1], b, sizeof b, 0));
    after(30, send_hello, (void *)(intptr_t)ends[1]);
    set_timeout(other, SO_RCVTIMEO, 0);
    COMES(30, TRY(recv(other, b, sizeof b, 0)));
    TRY(shutdown(other, SHUT_RDWR));
    TRY(recv(ends[1], b, sizeof b, 0));
    TRY(close(other));
    TRY(close(ends[1]));
}

/* A number that comes to mean something else. */
static void replaced(void) {
    char b[16];
    int pair[2];
    stream_pair(AF_INET, ends);
    CHECK_EQ(pipe(pair), 0);
    TRY(send(ends[1], "x", 1, 0));
    TRY(recv(ends[0], b, 1, 0));
    int number = ends[0];
    say("%d\n", dup2(pair[0], number) == number);
    TRY(recv(number, b, 1, 0));
    after(30, send_hello, (void *)(intptr_t)pair[1]);
    COMES(30, TRY(read(number, b, sizeof b)));
    TRY(send(ends[1], "x", 1, MSG_NOSIGNAL) == 1);
    TRY(close(ends[1]));
    stream_pair(AF_UNIX, ends);
    say("%d\n", dup3(ends[0], number, O_CLOEXEC) == number);
    after(30, send_hello, (void *)(intptr_t)ends[1]);
    COMES(30, TRY(read(number, b, sizeof b)));
    TRY(dup2(ends[0], ends[0]) == ends[0]);
    TRY(dup3(ends[0], ends[0], 0));
    TRY(dup2(-1, number));
    TRY(read(number, b, 0));
    TRY(close(number));
    close_pair(ends);
    close_pair(pair);
}

/* A process that has all of it, too. */
static void in_process(void (*action)(void)) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        action();
        _exit(0);
    }
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    say("status %x\n", status);
}

static void child_sends(void) {
    syscall(SYS_write, ends[1], "child", 5);
}

static void child_sets_nonblock(void) {
    int on = 1;
    syscall(SYS_ioctl, ends[0], FIONBIO, &on);
}

static void child_sets_timeout(void) {
    struct timeval limit = {0, 60000};
    syscall(SYS_setsockopt, ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

static void child_reads(void) {
    char b[3];
    syscall(SYS_read, ends[0], b, sizeof b);
}

static void child_shuts(void) {
    syscall(SYS_shutdown, ends[0], SHUT_RD);
}

static void processes(void) {
    char b[16];
    stream_pair(AF_UNIX, ends);
    in_process(child_sends);
    TRY(recv(ends[0], b, sizeof b, 0));
    TRY(send(ends[1], "hello", 5, 0));
    in_process(child_reads);
    TRY(recv(ends[0], b, sizeof b, 0));
    in_process(child_sets_nonblock);
    TRY(recv(ends[0], b, 1, 0));
    TRY(read(ends[0], b, 1));
    set_nonblock(ends[0], 0);
    in_process(child_sets_timeout);
    TAKES(60, TRY(recv(ends[0], b, 1, 0)));
    set_timeout(ends[0], SO_RCVTIMEO, 0);
    after(30, send_hello, (void *)(intptr_t)ends[1]);
    COMES(30, TRY(recv(ends[0], b, sizeof b, 0)));
    in_process(child_shuts);
    TRY(recv(ends[0], b, 1, 0));
    close_pair(ends);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    same_start();
    SAME(pipe_duplicates);
    SAME(socket_duplicates);
    SAME(replaced);
    SAME(processes);
    return test_done();
}
