// modes: shared fortify ring
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The names with underscores that glibc exports beside the plain ones return in a coroutine what they return in a plain
 * thread; and so do the names by which older programs ask what a file is.
 */
#include "same.h"

#include <sys/stat.h>
#include <sys/wait.h>

extern ssize_t __read(int, void *, size_t), __write(int, const void *, size_t), __send(int, const void *, size_t, int);
extern int __close(int), __open(const char *, int, ...), __open64(const char *, int, ...), __pipe(int *), __dup2(int, int);
extern int __fcntl(int, int, ...), __connect(int, const struct sockaddr *, socklen_t);
extern int __poll(struct pollfd *, nfds_t, int), __select(int, fd_set *, fd_set *, fd_set *, struct timeval *);
extern int __nanosleep(const struct timespec *, struct timespec *);
extern pid_t __wait(int *), __waitpid(pid_t, int *, int), __vfork(void);
extern int __xstat(int, const char *, struct stat *), __xstat64(int, const char *, struct stat64 *);
extern int __lxstat(int, const char *, struct stat *), __lxstat64(int, const char *, struct stat64 *);
extern int __fxstat(int, int, struct stat *), __fxstat64(int, int, struct stat64 *);
extern int __fxstatat(int, int, const char *, struct stat *, int), __fxstatat64(int, int, const char *, struct stat64 *, int);

/* What glibc calls its struct stat. */
#ifdef __aarch64__
#define STAT_VERSION 0
#else
#define STAT_VERSION 1
#endif

static int ends[2], pipes[2];

static void gives(void *argument) {
    (void)argument;
    CHECK_EQ(syscall(SYS_write, ends[1], "12345678", 8), 8);
}

static void takes(void *argument) {
    static char sink[65536];
    (void)argument;
    for (ssize_t total = 0, n; total < 65536; total += n) CHECK((n = syscall(SYS_read, pipes[0], sink, sizeof sink)) > 0);
}

static void descriptors(void) {
    char b[8];
    static char block[65536 + 4096];
    fd_set reads;
    union address address;
    socklen_t length;
    stream_pair(AF_UNIX, ends);
    struct pollfd entry = {ends[0], POLLIN, 0};
    after(60, gives, NULL);
    COMES(60, TRY(__read(ends[0], b, sizeof b)));
    after(60, gives, NULL);
    COMES(60, TRY(__poll(&entry, 1, 5000)));
    TRY(__read(ends[0], b, sizeof b));
    TAKES(50, TRY(__poll(&entry, 1, 50)));
    FD_ZERO(&reads);
    FD_SET(ends[0], &reads);
    after(60, gives, NULL);
    COMES(60, TRY(__select(ends[0] + 1, &reads, NULL, NULL, NULL)));
    TRY(__read(ends[0], b, sizeof b));
#ifdef __aarch64__ /* where glibc does not export the name */
    CHECK_EQ(send(ends[0], "data", 4, MSG_NOSIGNAL), 4);
#else
    TRY(__send(ends[0], "data", 4, MSG_NOSIGNAL));
    TRY(__send(-1, "data", 4, 0));
#endif
    TRY(__read(ends[1], b, 2));
    TRY(__fcntl(ends[0], F_SETFL, O_NONBLOCK));
    TRY(__read(ends[0], b, 2));
    TRY(__fcntl(ends[0], F_GETFL));
    TRY(__close(ends[0]));
    TRY(__close(ends[0]));
    TRY(__close(ends[1]));
    TRY(__pipe(pipes));
    after(60, takes, NULL);
    COMES(60, TRY(__write(pipes[1], block, sizeof block)));
    TRY(__write(-1, block, 1));
    close_pair(pipes);
    TAKES(50, TRY(__nanosleep(&(struct timespec){0, 50000000}, NULL)));
    TRY(__nanosleep(&(struct timespec){0, -1}, NULL));
    int fd = TRY_FD(__open("/dev/null", O_RDWR)), other = TRY_FD(__open64("/dev/null", O_RDONLY));
    TRY_FD(__open("/nonexistent/file", O_RDWR));
    TRY_FD(__dup2(fd, other));
    TRY(__fcntl(other, F_GETFL) & O_ACCMODE);
    TRY(__dup2(-1, other));
    TRY(__close(fd));
    TRY(__close(other));
    int listening = listener(AF_INET, SOCK_STREAM, 1, &address, &length), client = socket(AF_INET, SOCK_STREAM, 0);
    TRY(__connect(client, &address.any, length));
    TRY(__connect(client, &address.any, length));
    TRY(__close(client));
    TRY(__close(listening));
    CHECK((client = socket(AF_INET, SOCK_STREAM, 0)) >= 0);
    TRY(__connect(client, &address.any, length));
    TRY(__close(client));
}

static pid_t child;

static void ends_child(void *argument) {
    (void)argument;
    CHECK_EQ(kill(child, SIGTERM), 0);
}

static void children(void) {
    int status;
    child = fork();
    CHECK(child >= 0);
    while (child == 0) syscall(SYS_nanosleep, &(struct timespec){100, 0}, NULL);
    TRY(__waitpid(child, &status, WNOHANG));
    after(60, ends_child, NULL);
    COMES(60, TRY(__waitpid(child, &status, 0) == child));
    say("%#x\n", (unsigned)status);
    child = __vfork();
    if (child == 0) _exit(4);
    TRY(__wait(&status) == child);
    say("%#x\n", (unsigned)status);
    TRY(__wait(&status));
}

static void what_files_are(void) {
    struct stat stat;
    struct stat64 stat64;
    int fd = open("/dev/null", O_RDWR);
    CHECK(fd >= 0);
    TRY(__xstat(STAT_VERSION, "/dev/null", &stat));
    say("%o\n", stat.st_mode);
    TRY(__xstat(STAT_VERSION, "/nonexistent/file", &stat));
    TRY(__xstat(77, "/dev/null", &stat));
    TRY(__xstat64(STAT_VERSION, "/dev/null", &stat64));
    say("%o\n", stat64.st_mode);
    TRY(__lxstat(STAT_VERSION, "/proc/self/exe", &stat));
    say("%o\n", stat.st_mode);
    TRY(__lxstat64(STAT_VERSION, "/proc/self/exe", &stat64));
    TRY(__lxstat(77, "/proc/self/exe", &stat));
    TRY(__fxstat(STAT_VERSION, fd, &stat));
    say("%o\n", stat.st_mode);
    TRY(__fxstat64(STAT_VERSION, fd, &stat64));
    TRY(__fxstat(STAT_VERSION, -1, &stat));
    TRY(__fxstat(77, fd, &stat));
    TRY(__fxstatat(STAT_VERSION, AT_FDCWD, "/dev/null", &stat, 0));
    TRY(__fxstatat64(STAT_VERSION, AT_FDCWD, "/dev/null", &stat64, AT_SYMLINK_NOFOLLOW));
    TRY(__fxstatat(STAT_VERSION, -1, "null", &stat, 0));
    CHECK_EQ(close(fd), 0);
}

int main(void) {
    same_start();
    SAME(descriptors);
    SAME(children);
    SAME(what_files_are);
    return test_done();
}
