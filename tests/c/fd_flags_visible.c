/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * No call changes a descriptor's flags that the program can see, not even for the time of a wait.
 */
#include "net.h"

static int ends[2], pipes[2], listening, connecting;
static union address where;
static socklen_t length;
static volatile int stop, looks;

static void look(int fd, int wanted) {
    CHECK_EQ(flags_of(fd), wanted);
    CHECK_EQ(syscall(SYS_fcntl, fd, F_GETFL), fcntl(fd, F_GETFL));
    looks++;
}

/* Another coroutine, while others wait. */
static void observer(void *argument) {
    (void)argument;
    for (int i = 0; i < 30; i++) {
        dyco_coroutine_sleep(5);
        look(ends[0], O_RDWR);
        look(pipes[0], O_RDONLY);
        look(pipes[1], O_WRONLY);
        look(listening, O_RDWR);
        if (connecting > 0) look(connecting, O_RDWR);
    }
}

/* Another thread, all the time, through the hooked fcntl. */
static void *watch(void *argument) {
    while (!stop) {
        CHECK_EQ(fcntl(ends[0], F_GETFL), O_RDWR);
        CHECK_EQ(fcntl(listening, F_GETFL), O_RDWR);
        if (connecting > 0) CHECK_EQ(fcntl(connecting, F_GETFL), O_RDWR);
        usleep(300);
    }
    return argument;
}

static void in_recv(void *argument) {
    char b;
    (void)argument;
    CHECK_EQ(recv(ends[0], &b, 1, 0), 1);
    CHECK_EQ(flags_of(ends[0]), O_RDWR);
}

static void in_send(void *argument) {
    static char block[1 << 20];
    (void)argument;
    CHECK_EQ(send(ends[0], block, sizeof block, 0), sizeof block);
}

static void in_read(void *argument) {
    char b;
    (void)argument;
    CHECK_EQ(read(pipes[0], &b, 1), 1);
}

static void in_accept(void *argument) {
    (void)argument;
    int fd = accept(listening, NULL, NULL);
    CHECK(fd >= 0);
    CHECK_EQ(flags_of(fd), O_RDWR);
    CHECK_EQ(close(fd), 0);
}

static void finish(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(300);
    CHECK_EQ(send(ends[1], "x", 1, 0), 1);
    CHECK_EQ(write(pipes[1], "x", 1), 1);
    CHECK_EQ(read_bytes(ends[1], 1 << 20), 1 << 20);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(fd, &where.any, length), 0);
    look(fd, O_RDWR);
    CHECK_EQ(close(fd), 0);
}

/* A connect that takes long: the queue is full. */
static void in_connect(void *argument) {
    int fd = socket(where.any.sa_family, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    set_timeout(fd, SO_SNDTIMEO, 250);
    connecting = fd;
    CHECK_ERRNO(connect(fd, &where.any, length), argument ? EAGAIN : EINPROGRESS);
    connecting = -1;
    CHECK_EQ(flags_of(fd), O_RDWR);
    CHECK_EQ(close(fd), 0);
}

static void long_connect(int family) {
    int fillers[8], count = 0;
    listening = listener(family, SOCK_STREAM, 0, &where, &length);
    do {
        CHECK((fillers[count] = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0)) >= 0);
    } while (connect(fillers[count++], &where.any, length) == 0 || (errno == EINPROGRESS && count < 3));
    usleep(100000);
    spawn(observer, NULL);
    spawn(in_connect, (void *)(intptr_t)(family == AF_UNIX));
    run_with_ticker();
    while (count > 0) CHECK_EQ(close(fillers[--count]), 0);
    CHECK_EQ(close(listening), 0);
}

int main(void) {
    pthread_t watcher;
    CHECK_EQ(pipe(pipes), 0);
    stream_pair(AF_INET, ends);
    listening = listener(AF_INET, SOCK_STREAM, 8, &where, &length);
    CHECK_EQ(pthread_create(&watcher, NULL, watch, NULL), 0);
    spawn(in_recv, NULL);
    spawn(in_send, NULL);
    spawn(in_read, NULL);
    spawn(in_accept, NULL);
    spawn(observer, NULL);
    spawn(finish, NULL);
    run_with_ticker();
    CHECK(looks > 100);
    stop = 1;
    CHECK_EQ(pthread_join(watcher, NULL), 0);
    CHECK_EQ(close(listening), 0);
    long_connect(AF_INET);
    long_connect(AF_UNIX);
    return test_done();
}
