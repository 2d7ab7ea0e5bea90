/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A filter of system calls that is older than some of them, as containers and services have it: it answers EPERM to what
 * it does not know, or ENOSYS as an old kernel does. Nothing may come of that but other ways of doing the same.
 */
// arch: x86_64
// timeout: 60
#include "core.h"
#include "net.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* With the version of Linux that has brought them; and what filters often forbid. Those of ALONE have kin, by which what
 * they do may be done when they alone are forbidden. For those behind REPLACED there is no other way. */
enum { ALONE = 4, REPLACED = 12 };

static const int newer[] = {
    441 /* epoll_pwait2, 5.11 */, SYS_preadv2 /* 4.6 */, SYS_pwritev2, SYS_vmsplice,
    SYS_statx /* 4.11 */, SYS_io_uring_setup /* 5.1 */, SYS_io_uring_enter, SYS_io_uring_register,
    SYS_pidfd_open /* 5.3 */, 436 /* close_range, 5.9 */, SYS_process_vm_readv, SYS_tee,
    SYS_epoll_pwait /* nothing instead */,
};

static void forbid(int from, int how_many, int answer) {
    struct sock_filter code[2 + 2 * COUNT(newer) + 1];
    int length = 0;
    code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = from; i < from + how_many; i++) {
        code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)newer[i], 0, 1);
        code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)answer);
    }
    code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = (unsigned short)length, .filter = code};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
    CHECK_ERRNO(syscall(newer[from], -1, NULL, -1, -1, -1, -1), answer);
}

/* Pipes, eventfds and timerfds: what is read has to be waited for. */

enum { BYTES = 300000 };

static void writes(void *argument) {
    int fd = *(int *)argument;
    static char bytes[BYTES];
    struct iovec list[2] = {{bytes, BYTES / 3}, {bytes + BYTES / 3, BYTES - BYTES / 3}};
    for (int i = 0; i < BYTES; i++) bytes[i] = (char)(i % 251);
    dyco_coroutine_sleep(20);
    CHECK_EQ(write(fd, bytes, BYTES), BYTES);
    dyco_coroutine_sleep(20);
    CHECK_EQ(writev(fd, list, 2), BYTES);
    CHECK_EQ(close(fd), 0);
}

static void reads(void *argument) {
    int fd = *(int *)argument;
    char bytes[7001]; /* of its own: by io_uring the kernel writes there while others run */
    struct iovec list[2] = {{bytes, 3000}, {bytes + 3000, 4001}};
    ssize_t n;
    long total = 0;
    for (int turn = 0; (n = turn % 2 ? readv(fd, list, 2) : read(fd, bytes, sizeof bytes)) > 0; turn++)
        for (ssize_t i = 0; i < n; i++, total++) CHECK_EQ(bytes[i], (char)(total % BYTES % 251));
    CHECK_EQ(n, 0);
    CHECK_EQ(total, 2 * BYTES);
    CHECK_EQ(close(fd), 0);
}

/* Made where the library sees it, or not; so many that those who write have company. */
static void pipes(void *argument) {
    static int ends[5][2];
    (void)argument;
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(i < 4 ? pipe(ends[i]) : (int)syscall(SYS_pipe2, ends[i], 0), 0);
        spawn_own(reads, &ends[i][0], 65536);
        spawn_own(writes, &ends[i][1], 65536);
    }
    dyco_coroutine_sleep(300);
}

static void adds_later(void *argument) {
    dyco_coroutine_sleep(30);
    CHECK_EQ(eventfd_write(*(int *)argument, 3), 0);
}

static void nameless(void *argument) {
    static int event;
    eventfd_t count;
    uint64_t expirations;
    struct itimerspec time = {.it_value.tv_nsec = 30000000};
    (void)argument;
    CHECK((event = eventfd(0, 0)) >= 0);
    spawn(adds_later, &event);
    CHECK_EQ(eventfd_read(event, &count), 0);
    CHECK_EQ(count, 3);
    int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    CHECK(timer >= 0);
    CHECK_EQ(timerfd_settime(timer, 0, &time, NULL), 0);
    CHECK_EQ(read(timer, &expirations, sizeof expirations), sizeof expirations);
    close(event);
    close(timer);
}

/* Deadlines: those that come, to the millisecond or two; and those that do not. */

static void echoes(void *argument) {
    int fd = *(int *)argument;
    char bytes[64];
    ssize_t n;
    while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0) {
        dyco_coroutine_sleep(3);
        CHECK_EQ(send(fd, bytes, (size_t)n, 0), n);
    }
    close(fd);
}

static void deadlines(void *argument) {
    static int ends[2];
    char byte = 'a';
    (void)argument;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    spawn(echoes, &ends[1]);
    struct timeval limit = {5, 0};
    CHECK_EQ(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    int64_t began = now_ms();
    for (int i = 0; i < 20; i++) {
        struct iovec list = {&byte, 1};
        CHECK_EQ(writev(ends[0], &list, 1), 1);
        CHECK_EQ(i % 2 ? recv(ends[0], &byte, 1, 0) : readv(ends[0], &list, 1), 1);
    }
    for (int i = 0; i < 5; i++) {
        struct pollfd entry = {.fd = ends[0], .events = POLLIN};
        CHECK_EQ(send(ends[0], &byte, 1, 0), 1);
        CHECK_EQ(poll(&entry, 1, 5000), 1);
        CHECK_EQ(recv(ends[0], &byte, 1, 0), 1);
    }
    CHECK_TOOK(now_ms() - began, 75, 2000);
    limit = (struct timeval){0, 40000};
    CHECK_EQ(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    began = now_ms();
    CHECK_ERRNO(recv(ends[0], &byte, 1, 0), EAGAIN);
    CHECK_TOOK(now_ms() - began, 40, 200);
    began = now_ns();
    for (int i = 0; i < 10; i++) CHECK_EQ(usleep(300), 0);
    CHECK(now_ns() - began >= 3000000);
    CHECK_EQ(close(ends[0]), 0);
}

/* Files, with helpers and without. */

static void files(void *argument) {
    static char bytes[100000], again[100000];
    struct stat status;
    struct statx more;
    struct iovec list[2] = {{again, 1000}, {again + 1000, sizeof again - 1000}};
    dyco_hook_files(argument != NULL);
    memset(bytes, 'f', sizeof bytes);
    int fd = open("limit_filter.file", O_CREAT | O_TRUNC | O_RDWR, 0600);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, bytes, sizeof bytes), sizeof bytes);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(readv(fd, list, 2), sizeof again);
    CHECK_EQ(memcmp(bytes, again, sizeof again), 0);
    CHECK_EQ(pwrite(fd, "x", 1, 5000), 1);
    CHECK_EQ(pread(fd, again, sizeof again, 5000), (ssize_t)sizeof again - 5000);
    CHECK_EQ(again[0], 'x');
    CHECK_EQ(fsync(fd), 0);
    CHECK_EQ(fstat(fd, &status), 0);
    CHECK_EQ(status.st_size, sizeof bytes);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(stat("limit_filter.file", &status), 0);
    /* Without the system call libc makes do with the older one; what a filter says it passes on. */
    int raw = (int)syscall(SYS_statx, AT_FDCWD, "limit_filter.file", 0, STATX_BASIC_STATS, &more);
    bool is_forbidden = raw < 0 && errno == EPERM;
    int result = statx(AT_FDCWD, "limit_filter.file", 0, STATX_BASIC_STATS, &more);
    CHECK(is_forbidden ? result == -1 && errno == EPERM : result == 0);
    if (!is_forbidden) {
        CHECK_ERRNO(statx(AT_FDCWD, "limit_filter.file", 0x40000000, STATX_BASIC_STATS, &more), EINVAL);
        CHECK_ERRNO(statx(AT_FDCWD, "limit_filter.none", 0, STATX_BASIC_STATS, &more), ENOENT);
        /* libc passes this on to fstatat, which does not know it. */
        if (argument) CHECK_EQ(statx(AT_FDCWD, "limit_filter.file", AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &more), 0);
    }
    if (result == 0) {
        CHECK_EQ(more.stx_size, sizeof bytes);
        CHECK_EQ(more.stx_ino, status.st_ino);
        CHECK_EQ(more.stx_mode, status.st_mode);
        CHECK_EQ(more.stx_nlink, status.st_nlink);
        CHECK_EQ(more.stx_uid, status.st_uid);
        CHECK_EQ(more.stx_blocks, status.st_blocks);
        CHECK_EQ(more.stx_blksize, status.st_blksize);
        CHECK_EQ(more.stx_mtime.tv_sec, status.st_mtim.tv_sec);
        CHECK_EQ(more.stx_mtime.tv_nsec, status.st_mtim.tv_nsec);
        CHECK_EQ(makedev(more.stx_dev_major, more.stx_dev_minor), status.st_dev);
    }
    CHECK_EQ(unlink("limit_filter.file"), 0);
    dyco_hook_files(0);
}

/* Children, and what closes many descriptors at once. */

static void offloaded(void *argument) {
    usleep(10000);
    ++*(int *)argument;
}

static void children(void *argument) {
    int status;
    siginfo_t info;
    char word[16] = "";
    (void)argument;
    pid_t child = fork();
    if (child == 0) {
        dyco_coroutine_sleep(30);
        _exit(3);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(WEXITSTATUS(status), 3);
    child = fork();
    if (child == 0) {
        dyco_coroutine_sleep(30);
        _exit(4);
    }
    CHECK_EQ(waitid(P_PID, (id_t)child, &info, WEXITED), 0);
    CHECK_EQ(info.si_status, 4);
    child = fork();
    if (child == 0) {
        closefrom(3);
        CHECK_ERRNO(fcntl(3, F_GETFD), EBADF);
        int fd = dup(2);
        CHECK(fd >= 3);
        CHECK(close_range((unsigned)fd, (unsigned)fd, 0) == 0 || errno == EPERM || errno == ENOSYS);
        _exit(5);
    }
    CHECK_EQ(wait(&status), child);
    CHECK_EQ(WEXITSTATUS(status), 5);
    CHECK_EQ(WEXITSTATUS(system("sleep 0.03; exit 6")), 6);
    FILE *stream = popen("sleep 0.03; echo word", "r");
    CHECK(stream != NULL);
    CHECK(fgets(word, sizeof word, stream) != NULL);
    CHECK_STR(word, "word\n");
    CHECK_EQ(pclose(stream), 0);
    static int ran;
    CHECK_EQ(dyco_offload(offloaded, &ran, -1), 0);
    CHECK_EQ(ran, 1);
}

static void all(void) {
    void (*const parts[])(void *) = {pipes, nameless, deadlines, files, children};
    for (size_t i = 0; i < COUNT(parts); i++) in_coroutine(parts[i], NULL);
    in_coroutine(files, (void *)1);
}

static int first, count, error;

/* Who cannot wait is told so; the others go on. */
static void cannot_wait(void *argument) {
    int ends[2];
    char byte;
    (void)argument;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CHECK_ERRNO(recv(ends[0], &byte, 1, 0), error);
    CHECK_ERRNO(dyco_coroutine_waitRead(ends[0], 20), error);
    CHECK_EQ(send(ends[1], "x", 1, 0), 1);
    CHECK_EQ(recv(ends[0], &byte, 1, 0), 1);
    CHECK_EQ(usleep(20000), 0);
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(ends[1]), 0);
}

static void without_poller(void) {
    forbid(first, count, error);
    in_coroutine(cannot_wait, NULL);
}

static void filtered(void) {
    forbid(first, count, error);
    all();
}

int main(void) {
    static const int errors[] = {EPERM, ENOSYS};
    if (prctl(PR_GET_SECCOMP) < 0) TEST_SKIP("needs filters of system calls");
    CHECK_CHILD(all);
    for (size_t i = 0; i < COUNT(errors); i++) {
        error = errors[i];
        first = 0;
        count = REPLACED;
        CHECK_CHILD(filtered);
        first = REPLACED;
        count = 1;
        CHECK_CHILD(without_poller);
    }
    error = EPERM;
    count = 1;
    for (first = 0; first < ALONE; first++) CHECK_CHILD(filtered);
    return test_done();
}
