// modes: shared ring
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The names with underscores that glibc exports beside the plain ones wait in their coroutine only, too.
 */
#include "net.h"

extern ssize_t __read(int, void *, size_t), __write(int, const void *, size_t), __send(int, const void *, size_t, int);
extern int __close(int), __open(const char *, int, ...), __open64(const char *, int, ...), __pipe(int *), __dup2(int, int);
extern int __fcntl(int, int, ...), __connect(int, const struct sockaddr *, socklen_t);
extern int __poll(struct pollfd *, nfds_t, int), __select(int, fd_set *, fd_set *, fd_set *, struct timeval *);
extern int __nanosleep(const struct timespec *, struct timespec *);
extern pid_t __wait(int *), __waitpid(pid_t, int *, int), __vfork(void);

static int ends[2], pipes[2];

static void feeds(void *argument) {
    (void)argument;
    for (int i = 0; i < 3; i++) {
        dyco_coroutine_sleep(250);
        CHECK_EQ(__send(ends[1], "data", 4, 0), 4);
    }
    dyco_coroutine_sleep(250);
    drain(ends[1]);
    CHECK_EQ(read_bytes(pipes[0], 65536), 65536);
}

static void calls(void *argument) {
    char b[8];
    static char block[65536 + 4096];
    struct pollfd entry = {ends[0], POLLIN, 0};
    fd_set reads;
    union address address;
    socklen_t length;
    int status;
    (void)argument;
    CHECK_EQ(__pipe(pipes), 0);
    spawn(feeds, NULL);
    CHECK_EQ(__read(ends[0], b, sizeof b), 4);
    CHECK_EQ(__poll(&entry, 1, 5000), 1);
    CHECK_EQ(__read(ends[0], b, sizeof b), 4);
    FD_ZERO(&reads);
    FD_SET(ends[0], &reads);
    CHECK_EQ(__select(ends[0] + 1, &reads, NULL, NULL, NULL), 1);
    CHECK_EQ(__read(ends[0], b, sizeof b), 4);
    CHECK_EQ(__write(pipes[1], block, sizeof block), (ssize_t)sizeof block);
    CHECK_EQ(__nanosleep(&(struct timespec){0, 250000000}, NULL), 0);
    int fd = __open("/dev/null", O_RDWR);
    CHECK(fd >= 0);
    CHECK_EQ(__fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
    int other = __open64("/dev/null", O_RDONLY);
    CHECK_EQ(__dup2(fd, other), other);
    CHECK_EQ(__close(fd), 0);
    CHECK_EQ(__close(other), 0);
    int listening = listener(AF_INET, SOCK_STREAM, 1, &address, &length), client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(__connect(client, &address.any, length), 0);
    CHECK_EQ(__close(client), 0);
    CHECK_EQ(__close(listening), 0);
    pid_t child = fork();
    if (child == 0) {
        usleep(250000);
        _exit(3);
    }
    CHECK_EQ(__waitpid(child, &status, 0), child);
    CHECK_EQ(WEXITSTATUS(status), 3);
    child = __vfork();
    if (child == 0) _exit(4);
    CHECK_EQ(__wait(&status), child);
    CHECK_EQ(WEXITSTATUS(status), 4);
}

int main(void) {
    stream_pair(AF_UNIX, ends);
    in_coroutine(calls, NULL);
    close_pair(ends);
    close_pair(pipes);
    return test_done();
}
