/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Opening a FIFO waits for the other side, in its coroutine only, and returns what it returns in a plain thread; other
 * files are opened as ever.
 */
#include "same.h"

#include <sys/stat.h>

static char fifo[64], plain[64];

static void open_read(void *argument) {
    int fd = (int)syscall(SYS_openat, AT_FDCWD, fifo, O_RDONLY, 0);
    (void)argument;
    CHECK(fd >= 0);
    usleep(300000);
    CHECK_EQ(syscall(SYS_close, fd), 0);
}

static void open_write(void *argument) {
    int fd = (int)syscall(SYS_openat, AT_FDCWD, fifo, O_WRONLY, 0);
    (void)argument;
    CHECK(fd >= 0);
    usleep(200000);
    CHECK_EQ(syscall(SYS_write, fd, "hello", 5), 5);
    usleep(200000);
    CHECK_EQ(syscall(SYS_close, fd), 0);
}

static void open_and_go(void *argument) {
    int fd = (int)syscall(SYS_openat, AT_FDCWD, fifo, O_WRONLY, 0);
    (void)argument;
    CHECK(fd >= 0);
    CHECK_EQ(syscall(SYS_close, fd), 0);
}

static void flags(int fd) {
    say("%x %x\n", flags_of(fd), fcntl(fd, F_GETFD));
}

static void reads(void) {
    char b[16];
    int fd;
    after(150, open_write, NULL);
    COMES(150, fd = TRY_FD(open(fifo, O_RDONLY | O_CLOEXEC)));
    flags(fd);
    COMES(350, TRY(read(fd, b, sizeof b)));
    COMES(550, TRY(read(fd, b, sizeof b)));
    CHECK_EQ(close(fd), 0);
    /* One who has come and gone is enough. */
    after(150, open_and_go, NULL);
    COMES(150, fd = TRY_FD(openat(AT_FDCWD, fifo, O_RDONLY)));
    TRY(read(fd, b, sizeof b));
    CHECK_EQ(close(fd), 0);
    fd = TRY_FD(open(fifo, O_RDONLY | O_NONBLOCK));
    flags(fd);
    TRY(read(fd, b, sizeof b));
    int writer = TRY_FD(open(fifo, O_WRONLY));
    flags(writer);
    int reader = TRY_FD(open(fifo, O_RDONLY));
    flags(reader);
    TRY(read(fd, b, sizeof b));
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(close(reader), 0);
    CHECK_EQ(close(writer), 0);
}

static void writes(void) {
    int fd;
    after(150, open_read, NULL);
    COMES(150, fd = TRY_FD(open64(fifo, O_WRONLY | O_APPEND)));
    flags(fd);
    TRY(write(fd, "hello", 5));
    CHECK_EQ(close(fd), 0);
    usleep(400000);
    after(150, open_read, NULL);
    COMES(150, fd = TRY_FD(creat(fifo, 0600)));
    flags(fd);
    CHECK_EQ(close(fd), 0);
    usleep(400000);
    TRY_FD(open(fifo, O_WRONLY | O_NONBLOCK));
    fd = TRY_FD(open(fifo, O_RDWR));
    flags(fd);
    CHECK_EQ(close(fd), 0);
}

static void others(void) {
    struct stat stat;
    int fd = TRY_FD(open(plain, O_CREAT | O_EXCL | O_WRONLY, 0640));
    flags(fd);
    CHECK_EQ(fstat(fd, &stat), 0);
    say("%o\n", stat.st_mode);
    CHECK_EQ(close(fd), 0);
    TRY_FD(open(plain, O_CREAT | O_EXCL | O_WRONLY, 0640));
    TRY_FD(open(fifo, O_CREAT | O_EXCL | O_WRONLY, 0640));
    fd = TRY_FD(open64(plain, O_RDONLY));
    flags(fd);
    CHECK_EQ(close(fd), 0);
    fd = TRY_FD(creat64(plain, 0600));
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(unlink(plain), 0);
    TRY_FD(open(plain, O_RDONLY));
    TRY_FD(open((char *)8, O_RDONLY));
    TRY_FD(open("/", O_WRONLY));
    TRY_FD(openat(-1, "x", O_RDONLY));
    TRY_FD(openat64(AT_FDCWD, plain, O_RDWR));
    fd = TRY_FD(open(fifo, O_PATH));
    CHECK_EQ(close(fd), 0);
    TRY_FD(open(fifo, O_RDONLY | O_DIRECTORY));
    CHECK_EQ(symlink(fifo, plain), 0);
    TRY_FD(open(plain, O_RDONLY | O_NOFOLLOW));
    CHECK_EQ(unlink(plain), 0);
    fd = TRY_FD(open("/tmp", O_TMPFILE | O_RDWR, 0600));
    if (fd >= 0) CHECK_EQ(close(fd), 0);
    CHECK_EQ(chmod(fifo, 0600), 0);
}

/* Both sides are coroutines of one thread. */
static int met;

static void one_side(void *argument) {
    char b[4] = "";
    int fd = open(fifo, argument ? O_WRONLY : O_RDONLY);
    CHECK(fd >= 0);
    CHECK_EQ(flags_of(fd) & O_NONBLOCK, 0);
    if (argument) CHECK_EQ(write(fd, "hi", 2), 2);
    else CHECK_EQ(read(fd, b, 2), 2);
    CHECK_EQ(close(fd), 0);
    met++;
}

static void waits_in_vain(void *argument) {
    open(fifo, argument ? O_WRONLY : O_RDONLY);
    met = -100;
}

static void ends_them(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(100);
    dyco_schedcall_abort();
}

static void among_coroutines(void) {
    for (int round = 0; round < 2; round++) {
        spawn(one_side, round ? fifo : NULL);
        spawn(one_side, round ? NULL : fifo);
        run_with_ticker();
        CHECK_EQ(met, 2 * round + 2);
    }
    /* A coroutine that is ended while it waits leaves no descriptor behind. */
    int fds = fds_left();
    spawn(waits_in_vain, NULL);
    spawn(ends_them, NULL);
    CHECK_EQ(dyco_schedule_run(), -1);
    spawn(waits_in_vain, fifo);
    spawn(ends_them, NULL);
    CHECK_EQ(dyco_schedule_run(), -1);
    CHECK_EQ(fds_left(), fds);
    CHECK_EQ(met, 4);
}

int main(void) {
    snprintf(fifo, sizeof fifo, "/tmp/dyco-test-%d.fifo", getpid());
    snprintf(plain, sizeof plain, "/tmp/dyco-test-%d.file", getpid());
    CHECK_EQ(mkfifo(fifo, 0600), 0);
    same_start();
    SAME(reads);
    SAME(writes);
    SAME(others);
    if (!PLAIN) among_coroutines();
    CHECK_EQ(unlink(fifo), 0);
    return test_done();
}
