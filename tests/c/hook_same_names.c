/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The same calls by other names: those for large files, those that the compiler makes of them with _FORTIFY_SOURCE, and
 * those that only make descriptors.
 */
#include "same.h"

#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

extern ssize_t __read_chk(int, void *, size_t, size_t);
extern ssize_t __pread_chk(int, void *, size_t, off_t, size_t);
extern ssize_t __pread64_chk(int, void *, size_t, off64_t, size_t);
extern ssize_t __recv_chk(int, void *, size_t, size_t, int);
extern ssize_t __recvfrom_chk(int, void *, size_t, size_t, int, struct sockaddr *, socklen_t *);
extern int __poll_chk(struct pollfd *, nfds_t, int, size_t);
extern int __ppoll_chk(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *, size_t);
extern int __open_2(const char *, int), __open64_2(const char *, int), __openat_2(int, const char *, int);
extern int __openat64_2(int, const char *, int);

/* The compiler cannot know these. */
static int *volatile nowhere = (int *)8;
static volatile int negative = -1;

static int ends[2];
static char path[64];

static void gives(void *argument) {
    (void)argument;
    CHECK_EQ(syscall(SYS_write, ends[1], "12345678", 8), 8);
}

static void hangs_up(void *argument) {
    (void)argument;
    CHECK_EQ(syscall(SYS_close, ends[1]), 0);
}

static void large_files(void) {
    char b[32] = "";
    struct stat64 stat;
    struct iovec piece = {b, 5};
    off64_t offset = 1;
    memset(&stat, 0, sizeof stat);
    int fd = TRY_FD(open64(path, O_RDWR | O_CREAT | O_TRUNC, 0640));
    TRY(fcntl64(fd, F_GETFL) & O_ACCMODE);
    TRY(pwrite64(fd, "0123456789", 10, 3));
    TRY(pwrite64(fd, "x", 1, -1));
    TRY(pread64(fd, b, 20, 5));
    TRY(pread64(fd, b, 20, 500));
    TRY(pread64(fd, b, 20, -1));
    TRY(pwritev64(fd, &piece, 1, 1));
    TRY(pwritev64v2(fd, &piece, 1, 2, 0));
    TRY(pwritev64v2(fd, &piece, 1, 2, 0x40000000));
    TRY(preadv64(fd, &piece, 1, 4));
    TRY(preadv64v2(fd, &piece, 1, 4, 0));
    TRY(preadv64v2(fd, &piece, 1, 4, 0x40000000));
    TRY(preadv64(fd, &piece, negative, 4));
    say("%.5s\n", b);
    TRY(fstat64(fd, &stat));
    say("%o %lld\n", stat.st_mode, (long long)stat.st_size);
    TRY(stat64(path, &stat));
    TRY(lstat64(path, &stat));
    TRY(fstatat64(AT_FDCWD, path, &stat, 0));
    TRY(fstatat64(AT_FDCWD, path, &stat, 0x10000000));
    TRY(fstat64(-1, &stat));
    TRY(stat64("/nonexistent/file", &stat));
    TRY(lstat64((char *)nowhere, &stat));
    say("%o %lld\n", stat.st_mode, (long long)stat.st_size);
    stream_pair(AF_UNIX, ends);
    TRY(sendfile64(ends[0], fd, &offset, 100));
    say("%d\n", (int)offset);
    TRY(sendfile64(ends[0], fd, NULL, 100));
    TRY(sendfile64(ends[0], -1, NULL, 100));
    TRY(recv(ends[1], b, sizeof b, MSG_DONTWAIT));
    TRY(fcntl64(ends[0], F_SETFL, O_NONBLOCK));
    TRY(read(ends[0], b, 1));
    TRY(fcntl64(ends[0], F_SETFL, 0));
    after(60, gives, NULL);
    COMES(60, TRY(read(ends[0], b, sizeof b)));
    TRY(fcntl64(-1, F_GETFL));
    close_pair(ends);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(unlink(path), 0);
}

static void fortified(void) {
    char b[32] = "";
    struct timespec limit = {0, 50000000};
    int fd = TRY_FD(open(path, O_RDWR | O_CREAT | O_TRUNC, 0640));
    CHECK_EQ(write(fd, "0123456789", 10), 10);
    TRY(__pread_chk(fd, b, 5, 7, sizeof b));
    TRY(__pread64_chk(fd, b, 5, 3, sizeof b));
    TRY(__pread_chk(-1, b, 5, 7, sizeof b));
    TRY(__read_chk(fd, b, 5, sizeof b));
    CHECK_EQ(close(fd), 0);
    fd = TRY_FD(__open_2(path, O_RDONLY));
    TRY(fcntl(fd, F_GETFL) & O_ACCMODE);
    CHECK_EQ(close(fd), 0);
    fd = TRY_FD(__open64_2(path, O_RDWR | O_CLOEXEC));
    TRY(fcntl(fd, F_GETFD));
    CHECK_EQ(close(fd), 0);
    fd = TRY_FD(__openat_2(AT_FDCWD, path, O_RDONLY));
    CHECK_EQ(close(fd), 0);
    fd = TRY_FD(__openat64_2(AT_FDCWD, path, O_RDONLY));
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(unlink(path), 0);
    TRY_FD(__open_2(path, O_RDONLY));
    TRY_FD(__openat64_2(-1, "x", O_RDONLY));

    stream_pair(AF_INET, ends);
    struct pollfd entries[2] = {{ends[0], POLLIN, 0}, {-1, POLLIN, 0}};
    after(60, gives, NULL);
    COMES(60, TRY(__read_chk(ends[0], b, 4, sizeof b)));
    TRY(__recv_chk(ends[0], b, sizeof b, sizeof b, MSG_PEEK));
    TRY(__recvfrom_chk(ends[0], b, sizeof b, sizeof b, 0, NULL, NULL));
    after(60, gives, NULL);
    COMES(60, TRY(__recv_chk(ends[0], b, 8, sizeof b, MSG_WAITALL)));
    after(60, gives, NULL);
    COMES(60, TRY(__recvfrom_chk(ends[0], b, 8, sizeof b, 0, NULL, NULL)));
    TRY(__recv_chk(ends[0], b, 8, sizeof b, MSG_DONTWAIT));
    TAKES(50, TRY(__poll_chk(entries, 2, 50, sizeof entries)));
    TAKES(50, TRY(__ppoll_chk(entries, 2, &limit, NULL, sizeof entries)));
    after(60, gives, NULL);
    COMES(60, TRY(__poll_chk(entries, 2, -1, sizeof entries)));
    TRY(__ppoll_chk(entries, 2, NULL, NULL, sizeof entries));
    TRY(__read_chk(ends[0], b, 8, sizeof b));
    after(60, hangs_up, NULL);
    COMES(60, TRY(__read_chk(ends[0], b, 8, sizeof b)));
    TRY(__read_chk(-1, b, 8, sizeof b));
    CHECK_EQ(close(ends[0]), 0);
}

static void made(void) {
    int flags[] = {0, O_CLOEXEC, O_NONBLOCK, O_CLOEXEC | O_NONBLOCK, O_DIRECT, O_RDWR, 0x40000000};
    char b[8];
    for (size_t i = 0; i < COUNT(flags); i++) {
        int result = TRY(pipe2(ends, flags[i]));
        if (result != 0) continue;
        say("%x %x %x\n", flags_of(ends[0]), flags_of(ends[1]), fcntl(ends[1], F_GETFD));
        if (flags[i] & O_NONBLOCK) {
            TRY(read(ends[0], b, sizeof b));
        } else {
            after(20, gives, NULL);
            COMES(20, TRY(read(ends[0], b, sizeof b)));
        }
        close_pair(ends);
    }
    TRY(pipe2(nowhere, 0));
    TRY(pipe(nowhere));
    int fd = TRY_FD(epoll_create(1));
    struct epoll_event event;
    TAKES(20, TRY(epoll_wait(fd, &event, 1, 20)));
    TRY(fcntl(fd, F_GETFD));
    CHECK_EQ(close(fd), 0);
    TRY_FD(epoll_create(0));
    TRY_FD(epoll_create1(0x1234));
    fd = TRY_FD(inotify_init());
    TRY(fcntl(fd, F_GETFL));
    CHECK_EQ(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    TRY(read(fd, b, sizeof b));
    CHECK_EQ(close(fd), 0);
    TRY_FD(inotify_init1(0x1234));
}

int main(void) {
    snprintf(path, sizeof path, "/tmp/dyco-test-%d.names", getpid());
    same_start();
    SAME(large_files);
    SAME(fortified);
    SAME(made);
    return test_done();
}
