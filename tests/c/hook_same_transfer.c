// timeout: 120
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * sendfile, splice, tee and vmsplice: each call returns in a coroutine what it returns in a plain thread, and only the
 * coroutine waits.
 */
#include "same.h"

#include <sys/sendfile.h>

#define LARGE (3 << 20)

static int family, ends[2], pipes[2], others[2], file;

/* A file of that many bytes. */
static int a_file(size_t size) {
    char name[] = "/tmp/dyco-test-XXXXXX";
    static char block[65536];
    int fd = mkstemp(name);
    CHECK(fd >= 0);
    CHECK_EQ(unlink(name), 0);
    for (size_t i = 0; i < sizeof block; i++) block[i] = (char)(i * 7);
    for (size_t done = 0; done < size; done += sizeof block)
        CHECK_EQ(write(fd, block, size - done < sizeof block ? size - done : sizeof block),
                 (ssize_t)(size - done < sizeof block ? size - done : sizeof block));
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static size_t taken;

static void take(void *argument) {
    static __thread unsigned char sink[65536];
    size_t want = (size_t)(intptr_t)argument;
    for (taken = 0; taken < want;) {
        ssize_t n = syscall(SYS_read, ends[1], sink, sizeof sink);
        if (n <= 0) break;
        for (ssize_t i = 0; i < n; i++) CHECK_EQ(sink[i], (unsigned char)((taken + (size_t)i) % 65536 * 7));
        taken += (size_t)n;
    }
}

static void sends_a_file(void) {
    off_t offset = 0;
    stream_pair(family, ends);
    set_buffer(ends[0], SO_SNDBUF, 100000);
    set_buffer(ends[1], SO_RCVBUF, 100000);
    file = a_file(LARGE);
    after(100, take, (void *)(intptr_t)LARGE);
    COMES(100, TRY(sendfile(ends[0], file, NULL, LARGE)));
    later_is_over();
    say("%zu %ld\n", taken, (long)lseek(file, 0, SEEK_CUR));
    /* Past the end there is nothing. */
    TRY(sendfile(ends[0], file, NULL, 100));
    after(100, take, (void *)(intptr_t)LARGE);
    COMES(100, TRY(sendfile(ends[0], file, &offset, LARGE + 1000)));
    later_is_over();
    say("%zu %ld\n", taken, (long)offset);
    offset = LARGE - 10;
    TRY(sendfile(ends[0], file, &offset, 1000));
    offset = -1;
    TRY(sendfile(ends[0], file, &offset, 10));
    offset = LARGE;
    TRY(sendfile(ends[0], file, &offset, 10));
    TRY(sendfile(ends[0], file, NULL, 0));
    TRY(sendfile(-1, file, NULL, 1));
    TRY(sendfile(ends[0], -1, NULL, 1));
    TRY(sendfile(ends[0], ends[1], NULL, 1));
    TRY(sendfile(file, file, NULL, 0));
    drain(ends[1]);
    /* A timeout, and a full socket that does not block. */
    offset = 0;
    set_timeout(ends[0], SO_SNDTIMEO, 100);
    ssize_t sent = sendfile(ends[0], file, &offset, LARGE);
    if (sent < 0) sent = 0;
    say("%d %d\n", sent < LARGE, sent == offset);
    set_timeout(ends[0], SO_SNDTIMEO, 0);
    fill(ends[0]);
    TRY(sendfile(ends[0], -1, NULL, 1));
    set_nonblock(ends[0], 1);
    TRY(sendfile(ends[0], file, &offset, 100));
    set_nonblock(ends[0], 0);
    say("%x\n", flags_of(ends[0]) & O_NONBLOCK);
    CHECK_EQ(close(ends[1]), 0);
    signal(SIGPIPE, SIG_IGN);
    usleep(20000);
    offset = 0;
    TRY(sendfile(ends[0], file, &offset, LARGE) < 0);
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(file), 0);
}

static void read_later(void *argument) {
    static __thread char sink[65536];
    (void)argument;
    CHECK(syscall(SYS_read, pipes[0], sink, sizeof sink) > 0);
}

static void write_later(void *argument) {
    (void)argument;
    CHECK_EQ(syscall(SYS_write, pipes[1], "hello", 5), 5);
}

static void send_later(void *argument) {
    (void)argument;
    CHECK_EQ(send(ends[1], "abc", 3, 0), 3);
}

static void hang_up_later(void *argument) {
    (void)argument;
    CHECK_EQ(syscall(SYS_close, pipes[1]), 0);
}

static void to_a_pipe(void) {
    off_t offset = 0;
    CHECK_EQ(pipe(pipes), 0);
    file = a_file(LARGE);
    TRY(sendfile(pipes[1], file, &offset, 100));
    TRY(sendfile(pipes[1], file, &offset, LARGE) > 0);
    /* Full. */
    after(100, read_later, NULL);
    COMES(100, TRY(sendfile(pipes[1], file, &offset, 4096)));
    later_is_over();
    read_bytes(pipes[0], 1000);
    set_nonblock(pipes[1], 1);
    while (sendfile(pipes[1], file, &offset, 65536) > 0) continue;
    TRY(sendfile(pipes[1], file, &offset, 4096));
    TRY(sendfile(pipes[0], file, &offset, 4096));
    CHECK_EQ(close(pipes[0]), 0);
    signal(SIGPIPE, SIG_IGN);
    TRY(sendfile(pipes[1], file, &offset, 4096));
    CHECK_EQ(close(pipes[1]), 0);
    CHECK_EQ(close(file), 0);
}

static void splices(void) {
    loff_t offset = 5;
    char b[64];
    stream_pair(family, ends);
    set_buffer(ends[0], SO_SNDBUF, 100000);
    set_buffer(ends[1], SO_RCVBUF, 100000);
    CHECK_EQ(pipe(pipes), 0);
    file = a_file(65536);
    /* From an empty pipe. */
    after(80, write_later, NULL);
    COMES(80, TRY(splice(pipes[0], NULL, ends[0], NULL, 100, 0)));
    TRY(recv(ends[1], b, sizeof b, 0));
    after(80, write_later, NULL);
    COMES(80, TRY(splice(pipes[0], NULL, file, &offset, 100, SPLICE_F_MOVE)));
    say("%ld\n", (long)offset);
    TRY(splice(pipes[0], NULL, ends[0], NULL, 100, SPLICE_F_NONBLOCK));
    TRY(splice(pipes[0], NULL, ends[0], NULL, 0, 0));
    TRY(splice(ends[0], NULL, ends[1], NULL, 10, 0));
    TRY(splice(pipes[0], &offset, ends[0], NULL, 10, 0));
    TRY(splice(-1, NULL, pipes[1], NULL, 10, 0));
    TRY(splice(pipes[0], NULL, -1, NULL, 10, 0));
    TRY(splice(pipes[0], NULL, ends[0], NULL, 10, 0x1000));
    set_nonblock(pipes[0], 1);
    TRY(splice(pipes[0], NULL, ends[0], NULL, 100, 0));
    set_nonblock(pipes[0], 0);
    /* From a socket; a full pipe. */
    CHECK_EQ(send(ends[1], "abc", 3, 0), 3);
    TRY(splice(ends[0], NULL, pipes[1], NULL, 100, 0));
    TRY(read(pipes[0], b, sizeof b));
    /* TCP waits all the same. */
    if (family == AF_INET) after(80, send_later, NULL);
    TRY(splice(ends[0], NULL, pipes[1], NULL, 100, SPLICE_F_NONBLOCK));
    if (family == AF_INET) TRY(read(pipes[0], b, sizeof b));
    set_timeout(ends[0], SO_RCVTIMEO, 100);
    TAKES(100, TRY(splice(ends[0], NULL, pipes[1], NULL, 100, 0)));
    set_timeout(ends[0], SO_RCVTIMEO, 0);
    offset = 0;
    TRY(splice(file, &offset, pipes[1], NULL, 1 << 20, 0) > 0);
    offset = 0;
    TRY(splice(file, &offset, pipes[1], NULL, 4096, SPLICE_F_NONBLOCK));
    after(80, read_later, NULL);
    COMES(80, TRY(splice(file, &offset, pipes[1], NULL, 4096, 0)));
    later_is_over();
    /* To a full socket; TCP finds room after a while. */
    fill(ends[0]);
    if (family == AF_UNIX) {
        set_timeout(ends[0], SO_SNDTIMEO, 100);
        TAKES(100, TRY(splice(pipes[0], NULL, ends[0], NULL, 1000, 0)));
        set_timeout(ends[0], SO_SNDTIMEO, 0);
    }
    drain(ends[1]);
    usleep(20000);
    TRY(splice(pipes[0], NULL, ends[0], NULL, 1000, 0));
    while (splice(pipes[0], NULL, file, &offset, 65536, SPLICE_F_NONBLOCK) > 0) continue;
    after(60, hang_up_later, NULL);
    COMES(60, TRY(splice(pipes[0], NULL, ends[0], NULL, 1000, 0)));
    CHECK_EQ(close(pipes[0]), 0);
    CHECK_EQ(close(file), 0);
    close_pair(ends);
}

static void from_pipe_to_pipe(void) {
    CHECK_EQ(pipe(pipes), 0);
    CHECK_EQ(pipe(others), 0);
    after(80, write_later, NULL);
    COMES(80, TRY(tee(pipes[0], others[1], 100, 0)));
    TRY(tee(pipes[0], others[1], 2, 0));
    after(80, write_later, NULL);
    TRY(splice(pipes[0], NULL, others[1], NULL, 5, 0));
    COMES(80, TRY(splice(pipes[0], NULL, others[1], NULL, 5, 0)));
    TRY(tee(pipes[0], others[1], 5, SPLICE_F_NONBLOCK));
    TRY(tee(pipes[0], others[1], 0, 0));
    TRY(tee(pipes[0], pipes[1], 5, 0));
    TRY(tee(-1, pipes[1], 5, 0));
    set_nonblock(others[1], 1);
    TRY(tee(pipes[0], others[1], 5, 0));
    TRY(splice(pipes[0], NULL, others[1], NULL, 5, 0));
    set_nonblock(others[1], 0);
    CHECK_EQ(close(pipes[1]), 0);
    TRY(tee(pipes[0], others[1], 5, 0));
    TRY(splice(pipes[0], NULL, others[1], NULL, 5, 0));
    CHECK_EQ(close(pipes[0]), 0);
    CHECK_EQ(close(others[0]), 0);
    CHECK_EQ(close(others[1]), 0);
}

static void from_memory(void) {
    char b[64];
    static char zeros[4096];
    struct iovec piece = {b, sizeof b}, word = {"word", 4}, page = {zeros, sizeof zeros};
    CHECK_EQ(pipe(pipes), 0);
    TRY(vmsplice(pipes[1], &word, 1, 0));
    TRY(vmsplice(pipes[0], &piece, 1, 0));
    after(80, write_later, NULL);
    COMES(80, TRY(vmsplice(pipes[0], &piece, 1, 0)));
    TRY(vmsplice(pipes[0], &piece, 1, SPLICE_F_NONBLOCK));
    while (vmsplice(pipes[1], &page, 1, SPLICE_F_NONBLOCK) > 0) continue;
    after(80, read_later, NULL);
    COMES(80, TRY(vmsplice(pipes[1], &word, 1, 0)));
    later_is_over();
    TRY(vmsplice(-1, &word, 1, 0));
    TRY(vmsplice(0, NULL, 0, 0x100));
    CHECK_EQ(close(pipes[0]), 0);
    CHECK_EQ(close(pipes[1]), 0);
}

int main(void) {
    same_start();
    family = AF_UNIX;
    SAME(sends_a_file);
    SAME(splices);
    family = AF_INET;
    SAME(sends_a_file);
    SAME(splices);
    SAME(to_a_pipe);
    SAME(from_pipe_to_pipe);
    SAME(from_memory);
    return test_done();
}
