// timeout: 120
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Pipes, FIFOs, terminals, event descriptors and files: read, write and their vectors return in a coroutine what they
 * return in a plain thread.
 */
#include "same.h"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <termios.h>

static int ends[2];
static char path[64];

static void write_hello(void *argument) {
    (void)argument;
    CHECK_EQ(write(ends[1], "hello", 5), 5);
}

static void close_writer(void *argument) {
    (void)argument;
    CHECK_EQ(close(ends[1]), 0);
}

static void close_reader(void *argument) {
    (void)argument;
    CHECK_EQ(close(ends[0]), 0);
}

/* The ends of a pipe or a FIFO that is open: the same. */
static void pipe_calls(void) {
    char b[16] = "";
    struct iovec pieces[2] = {{b, 2}, {b + 4, 8}}, none[2] = {{b, 0}, {b, 0}};
    after(50, write_hello, NULL);
    COMES(50, TRY(read(ends[0], b, sizeof b)));
    after(50, write_hello, NULL);
    TRY(readv(ends[0], pieces, 2));
    say("%.2s %.3s\n", b, b + 4);
    TRY(read(ends[0], b, 0));
    TRY(readv(ends[0], none, 2));
    TRY(readv(ends[0], none, 0));
    TRY(write(ends[1], b, 0));
    TRY(writev(ends[1], none, 2));
    TRY(writev(ends[1], pieces, 2));
    TRY(read(ends[0], b, 3));
    TRY(read(ends[0], b, sizeof b));
    TRY(recv(ends[0], b, 1, 0));
    TRY(send(ends[1], b, 1, 0));
    TRY(recvmsg(ends[0], &(struct msghdr){.msg_iov = pieces, .msg_iovlen = 1}, 0));
    TRY(read(ends[1], b, 1));
    TRY(write(ends[0], b, 1));
    TRY(readv(ends[1], pieces, 1));
    TRY(writev(ends[0], pieces, 1));
    TRY(lseek(ends[0], 0, SEEK_CUR));
    /* The program's own O_NONBLOCK. */
    set_nonblock(ends[0], 1);
    TRY(read(ends[0], b, 1));
    TRY(readv(ends[0], pieces, 2));
    set_nonblock(ends[0], 0);
    after(50, write_hello, NULL);
    TRY(read(ends[0], b, sizeof b));
    say("flags %x %x\n", flags_of(ends[0]), flags_of(ends[1]));
    after(50, close_writer, NULL);
    TRY(read(ends[0], b, sizeof b));
    TRY(read(ends[0], b, sizeof b));
    TRY(close(ends[0]));
}

static void pipes(void) {
    CHECK_EQ(pipe(ends), 0);
    pipe_calls();
}

static void open_fifo(void) {
    CHECK_EQ(mkfifo(path, 0600), 0);
    CHECK((ends[0] = open(path, O_RDONLY | O_NONBLOCK)) >= 0);
    CHECK((ends[1] = open(path, O_WRONLY)) >= 0);
    CHECK_EQ(unlink(path), 0);
    set_nonblock(ends[0], 0);
}

static void fifos(void) {
    open_fifo();
    pipe_calls();
}

static void read_slowly(void *argument) {
    CHECK_EQ(read_bytes(ends[0], (size_t)(intptr_t)argument), (intptr_t)argument);
    if ((intptr_t)argument < 300000) close_reader(NULL);
}

/* More than a pipe holds: write and writev return when all is written, or with what was written before the reader left. */
static void large_writes(void) {
    static char block[300000];
    struct iovec pieces[3] = {{block, 100}, {block, 199900}, {block, 100000}};
    after(60, read_slowly, (void *)300000);
    COMES(60, TRY(write(ends[1], block, sizeof block)));
    after(60, read_slowly, (void *)300000);
    COMES(60, TRY(writev(ends[1], pieces, 3)));
    after(60, read_slowly, (void *)100000);
    ssize_t written = write(ends[1], block, sizeof block);
    say("%d\n", written >= 100000 && written < 300000);
    TRY(write(ends[1], block, 1));
    TRY(close(ends[1]));
}

static void large_pipe_writes(void) {
    CHECK_EQ(pipe(ends), 0);
    large_writes();
}

static void large_fifo_writes(void) {
    open_fifo();
    large_writes();
}

static void full_pipe(void) {
    static char block[65536];
    CHECK_EQ(pipe(ends), 0);
    TRY(write(ends[1], block, sizeof block));
    set_nonblock(ends[1], 1);
    TRY(write(ends[1], block, 1));
    TRY(write(ends[1], block, sizeof block));
    TRY(writev(ends[1], &(struct iovec){block, 10}, 1));
    TRY(read(ends[0], block, 8192));
    TRY(write(ends[1], block, sizeof block));
    set_nonblock(ends[1], 0);
    after(60, close_reader, NULL);
    COMES(60, TRY(write(ends[1], block, 10)));
    TRY(close(ends[1]));
}

/* A FIFO that nobody has open for writing is at its end. */
static void lonely_fifo(void) {
    char b[4];
    CHECK_EQ(mkfifo(path, 0600), 0);
    CHECK((ends[0] = open(path, O_RDONLY | O_NONBLOCK)) >= 0);
    TRY(read(ends[0], b, 4));
    set_nonblock(ends[0], 0);
    TRY(read(ends[0], b, 4));
    CHECK_EQ(unlink(path), 0);
    TRY(close(ends[0]));
}

static void pseudo_terminal(void) {
    char b[16], *name;
    struct termios raw;
    ends[1] = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(ends[1] >= 0 && grantpt(ends[1]) == 0 && unlockpt(ends[1]) == 0 && (name = ptsname(ends[1])) != NULL);
    CHECK((ends[0] = open(name, O_RDWR | O_NOCTTY)) >= 0);
    CHECK_EQ(tcgetattr(ends[0], &raw), 0);
    cfmakeraw(&raw);
    CHECK_EQ(tcsetattr(ends[0], TCSANOW, &raw), 0);
    after(50, write_hello, NULL);
    COMES(50, TRY(read(ends[0], b, sizeof b)));
    TRY(write(ends[0], "back", 4));
    TRY(read(ends[1], b, sizeof b));
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 2;
    CHECK_EQ(tcsetattr(ends[0], TCSANOW, &raw), 0);
    TAKES(200, TRY(read(ends[0], b, sizeof b)));
    after(50, write_hello, NULL);
    TRY(read(ends[0], b, sizeof b));
    raw.c_cc[VTIME] = 0;
    CHECK_EQ(tcsetattr(ends[0], TCSANOW, &raw), 0);
    TRY(read(ends[0], b, sizeof b));
    set_nonblock(ends[1], 1);
    TRY(read(ends[1], b, sizeof b));
    set_nonblock(ends[1], 0);
    TRY(close(ends[0]));
    TRY(read(ends[1], b, sizeof b));
    TRY(close(ends[1]));
}

static void count_one(void *argument) {
    (void)argument;
    CHECK_EQ(eventfd_write(ends[0], 1), 0);
}

static void read_count(void *argument) {
    eventfd_t count;
    (void)argument;
    CHECK_EQ(eventfd_read(ends[0], &count), 0);
}

static void event_counters(void) {
    uint64_t count = 5, most = UINT64_MAX - 1;
    CHECK((ends[0] = eventfd(0, 0)) >= 0);
    after(50, count_one, NULL);
    COMES(50, TRY(read(ends[0], &count, sizeof count)));
    say("%d\n", (int)count);
    TRY(read(ends[0], &count, 4));
    TRY(write(ends[0], &count, 4));
    TRY(write(ends[0], &most, 8));
    after(50, read_count, NULL);
    COMES(50, TRY(write(ends[0], &count, 8)));
    TRY(read(ends[0], &count, 8));
    say("%d\n", (int)count);
    most = UINT64_MAX;
    TRY(write(ends[0], &most, 8));
    set_nonblock(ends[0], 1);
    TRY(read(ends[0], &count, 8));
    TRY(close(ends[0]));
}

static void timers(void) {
    uint64_t count = 0;
    struct itimerspec every = {{0, 50000000}, {0, 50000000}};
    CHECK((ends[0] = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)) >= 0);
    after_called = now_ns();
    CHECK_EQ(timerfd_settime(ends[0], 0, &every, NULL), 0);
    COMES(50, TRY(read(ends[0], &count, 8)));
    say("%d\n", (int)count);
    TRY(read(ends[0], &count, 4));
    every.it_value.tv_nsec = every.it_interval.tv_nsec = 0;
    CHECK_EQ(timerfd_settime(ends[0], 0, &every, NULL), 0);
    set_nonblock(ends[0], 1);
    TRY(read(ends[0], &count, 8));
    TRY(close(ends[0]));
}

static void raise_usr1(void *argument) {
    (void)argument;
    CHECK_EQ(kill(getpid(), SIGUSR1), 0);
}

static void signals(void) {
    struct signalfd_siginfo info;
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    CHECK((ends[0] = signalfd(-1, &mask, SFD_CLOEXEC)) >= 0);
    after(50, raise_usr1, NULL);
    COMES(50, TRY(read(ends[0], &info, sizeof info)));
    say("%d\n", (int)info.ssi_signo);
    TRY(read(ends[0], &info, 8));
    TRY(close(ends[0]));
}

static void touch(void *argument) {
    (void)argument;
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0);
    CHECK_EQ(close(fd), 0);
}

static void file_events(void) {
    char b[512];
    CHECK_EQ(mkdir(path, 0700), 0);
    CHECK((ends[0] = inotify_init1(IN_CLOEXEC)) >= 0);
    CHECK(inotify_add_watch(ends[0], path, IN_CREATE) >= 0);
    size_t length = strlen(path);
    strcpy(path + length, "/new");
    after(50, touch, NULL);
    COMES(50, TRY(read(ends[0], b, sizeof b) > 0));
    set_nonblock(ends[0], 1);
    TRY(read(ends[0], b, sizeof b));
    CHECK_EQ(unlink(path), 0);
    path[length] = 0;
    CHECK_EQ(rmdir(path), 0);
    TRY(close(ends[0]));
}

static void regular_files(void) {
    char b[16] = "";
    struct iovec pieces[2] = {{b, 2}, {b + 4, 8}};
    int fd = TRY_FD(open(path, O_CREAT | O_RDWR | O_TRUNC, 0600));
    TRY(write(fd, "hello, world", 12));
    TRY(lseek(fd, 0, SEEK_SET));
    TRY(read(fd, b, 5));
    TRY(readv(fd, pieces, 2));
    TRY(read(fd, b, 5));
    TRY(writev(fd, pieces, 2));
    TRY(pread(fd, b, 5, 7));
    say("%.5s\n", b);
    TRY(read(fd, (char *)8, 0));
    TRY(recv(fd, b, 1, 0));
    TRY(send(fd, b, 1, 0));
    struct pollfd entry = {fd, POLLIN | POLLOUT, 0};
    TRY(poll(&entry, 1, 1000));
    say("%x\n", entry.revents);
    TRY(close(fd));
    fd = TRY_FD(open(path, O_RDONLY));
    TRY(write(fd, b, 1));
    TRY(writev(fd, pieces, 2));
    TRY(close(fd));
    fd = TRY_FD(open("/tmp", O_RDONLY | O_DIRECTORY));
    TRY(read(fd, b, 1));
    TRY(close(fd));
    fd = TRY_FD(open("/dev/null", O_RDWR));
    TRY(read(fd, b, 1));
    TRY(write(fd, b, 10));
    TRY(writev(fd, pieces, 2));
    TRY(close(fd));
    fd = TRY_FD(open("/dev/zero", O_RDONLY));
    TRY(read(fd, b, 10));
    TRY(close(fd));
    fd = TRY_FD(open("/dev/full", O_WRONLY));
    TRY(write(fd, b, 10));
    TRY(close(fd));
    fd = TRY_FD(open("/proc/self/status", O_RDONLY));
    TRY(read(fd, b, 10));
    TRY(close(fd));
    fd = TRY_FD(open(path, O_PATH));
    TRY(read(fd, b, 1));
    TRY(close(fd));
    CHECK_EQ(unlink(path), 0);
}

int main(void) {
    sigset_t mask;
    snprintf(path, sizeof path, "/tmp/dyco-test-%d", getpid());
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &mask, NULL), 0);
    signal(SIGPIPE, SIG_IGN);
    same_start();
    SAME(pipes);
    SAME(fifos);
    SAME(large_pipe_writes);
    SAME(large_fifo_writes);
    SAME(full_pipe);
    SAME(lonely_fifo);
    SAME(pseudo_terminal);
    SAME(event_counters);
    SAME(timers);
    SAME(signals);
    SAME(file_events);
    SAME(regular_files);
    return test_done();
}
