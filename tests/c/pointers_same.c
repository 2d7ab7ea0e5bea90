/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Wild pointers are EFAULT in a coroutine where they are outside, and no crash: also where the library reads or writes by
 * itself what libc leaves to the kernel. (Where libc crashes, so it may be here.)
 */
// arch: x86_64
#include "same.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* Low, high, not of an address space, neither readable nor writable, reaching into such a page; and good for reading. */
enum { WILD = 5, READ_ONLY = WILD, ALL };
static void *volatile wild[ALL];
static fd_set *volatile no_set;
static int pair[2], set;

static void make_wild(void) {
    char *page = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    CHECK_EQ(mprotect(page + 4096, 4096, PROT_NONE), 0);
    CHECK_EQ(mprotect(page + 8192, 4096, PROT_READ), 0);
    wild[0] = (void *)16;
    wild[1] = (void *)-4096L;
    wild[2] = (void *)0x800000000000;
    wild[3] = page + 4096 + 64;
    wild[4] = page + 4096 - 2; /* of whatever is larger */
    wild[READ_ONLY] = page + 8192 + 64;
}

static void sleeps(void) {
    for (int i = 0; i < WILD; i++) {
        TRY(nanosleep(wild[i], NULL));
        TRY(clock_nanosleep(CLOCK_MONOTONIC, 0, wild[i], NULL));
        TRY(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, wild[i], NULL));
    }
    struct timespec *none = wild[READ_ONLY], *heap = calloc(2, sizeof *heap);
    TRY(nanosleep(none, NULL));
    TRY(nanosleep(heap, NULL));
    TRY(clock_nanosleep(CLOCK_MONOTONIC, 0, heap, NULL));
    free(heap);
    static const struct timespec short_time = {0, 1000000};
    TAKES(1, TRY(nanosleep(&short_time, NULL)));
    TRY(nanosleep((struct timespec *)no_set, NULL));
}

static void selects(void) {
    struct timespec zero = {0, 0};
    fd_set good;
    for (int i = 0; i < ALL; i++) {
        struct timeval time = {0, 20000};
        FD_ZERO(&good);
        FD_SET(pair[0], &good);
        TRY(select(pair[0] + 1, wild[i], NULL, NULL, &time));
        TRY(select(pair[0] + 1, NULL, wild[i], NULL, &time));
        TRY(select(pair[0] + 1, &good, NULL, wild[i], &time));
        TRY(select(0, wild[i], wild[i], wild[i], &time));
        TRY(select(-1, wild[i], NULL, NULL, &time));
        TRY(pselect(1000, wild[i], NULL, NULL, &zero, NULL));
        TRY(pselect(pair[0] + 1, &good, NULL, NULL, &zero, i < WILD ? wild[i] : NULL));
        TRY(pselect(100000, wild[i], NULL, NULL, &zero, NULL));
    }
}

static void polls(void) {
    struct pollfd entry = {.fd = pair[0], .events = POLLIN};
    struct epoll_event got;
    struct timespec zero = {0, 0};
    for (int i = 0; i < WILD; i++) {
        TRY(poll(wild[i], 1, 20));
        TRY(poll(wild[i], 0, 0));
        TRY(ppoll(wild[i], 3, &zero, NULL));
        TRY(ppoll(&entry, 1, &zero, wild[i]));
        TRY(epoll_wait(set, wild[i], 4, 0));
        TRY(epoll_pwait(set, &got, 1, 0, wild[i]));
        TRY(epoll_pwait2(set, &got, 1, wild[i], NULL));
        TRY(epoll_pwait2(set, &got, 1, &zero, wild[i]));
        TRY(epoll_pwait2(-1, &got, 1, wild[i], NULL));
    }
    TRY(epoll_pwait2(set, &got, 1, wild[READ_ONLY], NULL));
    TRY(ppoll(&entry, 1, &zero, wild[READ_ONLY]));
}

static void signals(void) {
    sigset_t usr;
    struct timespec zero = {0, 0};
    sigemptyset(&usr);
    sigaddset(&usr, SIGUSR1);
    for (int i = 0; i < WILD; i++) {
        TRY(sigtimedwait(wild[i], NULL, &zero));
        TRY(sigtimedwait(&usr, NULL, wild[i]));
        TRY(sigwaitinfo(wild[i], NULL));
        TRY(sigsuspend(wild[i]));
    }
    for (int i = 0; i < ALL; i++) {
        /* Taken, and lost. */
        CHECK_EQ(kill(getpid(), SIGUSR1), 0);
        TRY(sigtimedwait(&usr, wild[i], &zero));
        TRY(sigtimedwait(&usr, NULL, &zero));
    }
}

static pid_t child(int code) {
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) _exit(code);
    return pid;
}

static void children(void) {
    struct rusage usage;
    int status = 5;
    for (int i = 0; i < ALL; i++) {
        /* Reaped, and nobody told. */
        pid_t pid = child(i);
        TRY(waitpid(pid, wild[i], 0));
        TRY(waitpid(pid, wild[i], 0));
        pid = child(i);
        TRY(wait4(pid, &status, 0, wild[i]));
        say("%d\n", status);
        pid = child(i);
        TRY(waitid(P_PID, (id_t)pid, wild[i], WEXITED));
        child(i);
        TRY(wait(wild[i]));
        TRY(wait3(&status, WNOHANG, wild[i]));
    }
    int *heap = malloc(sizeof *heap);
    siginfo_t *info = malloc(sizeof *info);
    child(9);
    say("%d\n", wait4(-1, heap, 0, &usage) > 0);
    say("%d\n", WEXITSTATUS(*heap));
    pid_t pid = child(8);
    TRY(waitid(P_PID, (id_t)pid, info, WEXITED));
    say("%d\n", info->si_status);
    free(heap);
    free(info);
}

/* What the kernel has always read and written itself. */
static void messages(void) {
    char byte = 'm';
    struct iovec one = {&byte, 1};
    struct mmsghdr many = {.msg_hdr = {.msg_iov = &one, .msg_iovlen = 1}};
    for (int i = 0; i < WILD; i++) {
        struct iovec bad = {wild[i], 100};
        struct msghdr holds_bad = {.msg_iov = &bad, .msg_iovlen = 1}, bad_list = {.msg_iov = wild[i], .msg_iovlen = 2};
        TRY(sendmsg(pair[1], wild[i], 0));
        TRY(sendmsg(pair[1], &bad_list, 0));
        TRY(sendmsg(pair[1], &holds_bad, 0));
        TRY(sendmmsg(pair[1], wild[i], 2, 0));
        TRY(recvmsg(pair[0], wild[i], 0));
        TRY(recvmsg(pair[0], &bad_list, 0));
        TRY(recvmmsg(pair[0], wild[i], 2, 0, NULL));
        CHECK_EQ(send(pair[1], "x", 1, 0), 1);
        TRY(recvmmsg(pair[0], &many, 1, 0, wild[i]));
        CHECK(recv(pair[0], &byte, 1, MSG_DONTWAIT) != 0);
        TRY(readv(pair[0], wild[i], 2));
        TRY(writev(pair[1], wild[i], 2));
        if (i < 4) TRY(send(pair[1], wild[i], 100, 0));
        if (i < 4) TRY(write(pair[1], wild[i], 100));
        TRY(sendfile(pair[1], set, wild[i], 10));
    }
    /* Its time can be read, and what is left of it not written. */
    CHECK_EQ(send(pair[1], "x", 1, 0), 1);
    TRY(recvmmsg(pair[0], &many, 1, 0, wild[READ_ONLY]));
    TRY(recv(pair[0], &byte, 1, MSG_DONTWAIT));
}

/* Calls of the library that are like system calls. */
static void masks(void *argument) {
    sigset_t before;
    (void)argument;
    for (int i = 0; i < WILD; i++) {
        CHECK_ERRNO(dyco_schedcall_sigprocmask(SIG_BLOCK, wild[i], NULL), EFAULT);
        CHECK_ERRNO(dyco_schedcall_sigprocmask(SIG_BLOCK, NULL, wild[i]), EFAULT);
        if (in_a_coroutine()) CHECK_ERRNO(dyco_signal_init(wild[i]), EFAULT);
    }
    CHECK_ERRNO(dyco_schedcall_sigprocmask(SIG_BLOCK, NULL, wild[READ_ONLY]), EFAULT);
    CHECK_EQ(dyco_schedcall_sigprocmask(SIG_SETMASK, wild[READ_ONLY], &before), 0);
    CHECK(sigismember(&before, SIGUSR1) && !sigismember(&before, SIGUSR2) && !sigismember(&before, 64));
    CHECK_EQ(dyco_schedcall_sigprocmask(SIG_SETMASK, &before, NULL), 0);
}

int main(void) {
    sigset_t usr;
    make_wild();
    sigemptyset(&usr);
    sigaddset(&usr, SIGUSR1);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &usr, NULL), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    CHECK((set = epoll_create1(0)) >= 0);
    same_start();
    SAME(sleeps);
    SAME(selects);
    SAME(polls);
    SAME(signals);
    SAME(children);
    SAME(messages);
    if (!PLAIN) {
        masks(NULL);
        in_coroutine(masks, NULL);
    }
    return test_done();
}
