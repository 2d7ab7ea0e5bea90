// SPDX-License-Identifier: MIT OR Apache-2.0
// sendfile and splice with sockets that the program has made non-blocking: what the kernel says at once, of listeners,
// sockets without a peer, full and empty ones.
#include "same.h"

#include <sys/sendfile.h>

static int family, ends[2], pipes[2], file;

/* From the file, from the pipe, and back to it. */
static void to_and_from(int fd) {
    off_t offset = 0;
    for (int wanted = 0; wanted <= 100; wanted += 100) {
        TRY(sendfile(fd, file, &offset, (size_t)wanted));
        say("%d\n", (int)offset);
        offset = 0;
        TRY(splice(pipes[0], NULL, fd, NULL, (size_t)wanted, SPLICE_F_NONBLOCK));
        CHECK_EQ(syscall(SYS_write, pipes[1], "hello", 5), 5);
        TRY(splice(pipes[0], NULL, fd, NULL, (size_t)wanted, 0));
        TRY(splice(fd, NULL, pipes[1], NULL, (size_t)wanted, 0));
        TRY(splice(fd, NULL, pipes[1], NULL, (size_t)wanted, SPLICE_F_NONBLOCK));
    }
    char b[4096];
    int left = 0;
    CHECK_EQ(ioctl(pipes[0], FIONREAD, &left), 0);
    say("%d left\n", left);
    if (left > 0) CHECK_EQ(syscall(SYS_read, pipes[0], b, sizeof b), left);
}

static void without_a_peer(void) {
    union address address;
    socklen_t length;
    for (int listens = 0; listens < 2; listens++) {
        for (int blocks = 0; blocks < 2; blocks++) {
            int fd = listens ? listener(family, SOCK_STREAM, 8, &address, &length) : socket(family, SOCK_STREAM, 0);
            CHECK(fd >= 0);
            set_nonblock(fd, !blocks);
            to_and_from(fd);
            CHECK_EQ(close(fd), 0);
        }
    }
}

static void with_a_peer(void) {
    char b[64];
    stream_pair(family, ends);
    set_nonblock(ends[0], 1);
    to_and_from(ends[0]);
    CHECK_EQ(send(ends[1], "abc", 3, 0), 3);
    TRY(recv(ends[1], b, sizeof b, MSG_DONTWAIT));
    TRY(splice(ends[0], NULL, pipes[1], NULL, 100, 0));
    TRY(splice(ends[0], NULL, pipes[1], NULL, 100, 0));
    TRY(read(pipes[0], b, sizeof b));
    /* Full, and with room again; TCP finds room for a little more after a while. */
    if (family == AF_UNIX) {
        fill(ends[0]);
        to_and_from(ends[0]);
        drain(ends[1]);
    }
    to_and_from(ends[0]);
    CHECK_EQ(close(ends[1]), 0);
    usleep(20000);
    to_and_from(ends[0]);
    CHECK_EQ(close(ends[0]), 0);
}

static void write_later(void *argument) {
    (void)argument;
    CHECK_EQ(syscall(SYS_write, pipes[1], "hello", 5), 5);
}

/* The pipe is waited for, the socket is not. */
static void the_pipe_blocks(void) {
    char b[64];
    stream_pair(family, ends);
    set_nonblock(ends[0], 1);
    after(40, write_later, NULL);
    COMES(40, TRY(splice(pipes[0], NULL, ends[0], NULL, 100, 0)));
    TRY(recv(ends[1], b, sizeof b, 0));
    if (family == AF_UNIX) {
        fill(ends[0]);
        after(40, write_later, NULL);
        COMES(40, TRY(splice(pipes[0], NULL, ends[0], NULL, 100, 0)));
        TRY(read(pipes[0], b, sizeof b));
    }
    close_pair(ends);
}

static void all(void) {
    char name[] = "/tmp/dyco-test-XXXXXX", block[1000] = "";
    CHECK((file = mkstemp(name)) >= 0);
    CHECK_EQ(unlink(name), 0);
    CHECK_EQ(write(file, block, sizeof block), sizeof block);
    CHECK_EQ(pipe(pipes), 0);
    without_a_peer();
    with_a_peer();
    the_pipe_blocks();
    close_pair(pipes);
    CHECK_EQ(close(file), 0);
}

int main(void) {
    static const int families[] = {AF_INET, AF_UNIX};
    same_start();
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < COUNT(families); i++) {
        family = families[i];
        SAME(all);
    }
    return test_done();
}
