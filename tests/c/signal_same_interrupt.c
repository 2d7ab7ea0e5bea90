/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A signal handler that runs while a call waits. Outside coroutines the call ends with EINTR, or goes on, as libc's does.
 * A coroutine that waits is not what the signal has interrupted: its call goes on to its own end, with the handler having
 * run meanwhile. What goes on in libc, by SA_RESTART, is the same in both.
 */
// timeout: 60
#include "same.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

/* When what a call waits for comes, or its own time is over: less than a second. Later when that was too early. */
#define END_MS (patience() < 16 ? 120 : 480)

static pthread_t waiting;
static volatile sig_atomic_t handled;
static int over, ends[2], epoll, file, listening;
static char folder[] = "/tmp/dyco-interrupt-XXXXXX";
static union address where;
static socklen_t length;

static void handler(int number) {
    handled += number == SIGUSR1;
}

/* Again and again: a thread that begins late would not be interrupted by an early one. */
static void kicks(void *argument) {
    (void)argument;
    while (!__atomic_load_n(&over, __ATOMIC_SEQ_CST)) {
        CHECK_EQ(pthread_kill(waiting, SIGUSR1), 0);
        syscall(SYS_nanosleep, &(struct timespec){0, 10000000}, NULL);
    }
}

static void begins(void (*comes)(void *)) {
    waiting = pthread_self();
    handled = over = 0;
    after(30, kicks, NULL);
    if (comes) after(END_MS, comes, NULL);
}

static void has_ended(void) {
    __atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
    later_is_over();
    if (handled == 0) TEST_END(TEST_LATE, "over before it was interrupted");
}

/* A call that is cut short outside coroutines, where nothing else ends it, and inside returns `whole`, when what it waits
 * for `comes`. */
#define CUT_SHORT(comes, whole, call) \
    do { \
        if (in_a_coroutine()) { \
            begins(comes); \
            COMES(END_MS, CHECK_EQ(call, whole)); \
        } else { \
            begins(NULL); \
            TRY(call); \
        } \
        has_ended(); \
    } while (0)

/* As above, for a call that nothing but its own time ends. */
#define TIME_CUT_SHORT(whole, call) \
    do { \
        begins(NULL); \
        if (in_a_coroutine()) TAKES(END_MS, CHECK_EQ(call, whole)); \
        else TRY(call); \
        has_ended(); \
    } while (0)

/* One that goes on everywhere. */
#define GOES_ON(comes, call) \
    do { \
        begins(comes); \
        COMES(END_MS, TRY(call)); \
        has_ended(); \
    } while (0)

static void gives(void *argument) {
    (void)argument;
    CHECK_EQ(syscall(SYS_write, ends[1], "12345678", 8), 8);
}

static void takes(void *argument) {
    static char sink[1 << 20];
    (void)argument;
    while (syscall(SYS_read, ends[1], sink, sizeof sink) == sizeof sink) continue;
}

#define MUCH (1 << 20)

static void takes_much(void *argument) {
    static char sink[65536];
    (void)argument;
    for (ssize_t total = 0, n; total < MUCH; total += n) CHECK((n = syscall(SYS_read, ends[1], sink, sizeof sink)) > 0);
}

static void connects(void *argument) {
    (void)argument;
    int fd = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(syscall(SYS_connect, fd, &where, length), 0);
    CHECK_EQ(syscall(SYS_close, fd), 0);
}

static int accepts(void) {
    int fd = accept(listening, NULL, NULL);
    return fd >= 0 ? close(fd) : fd;
}

static void opens_to_write(void *argument) {
    (void)argument;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "fifo", O_WRONLY, 0);
    CHECK(fd >= 0);
    CHECK_EQ(syscall(SYS_close, fd), 0);
}

static int opens_fifo(void) {
    int fd = open("fifo", O_RDONLY);
    return fd >= 0 ? close(fd) : fd;
}

static void unlocks(void *argument) {
    (void)argument;
    CHECK_EQ(syscall(SYS_flock, file, LOCK_UN), 0);
}

static pid_t child;

/* A child that waits to be ended. */
static void bears(void) {
    child = fork();
    CHECK(child >= 0);
    while (child == 0) syscall(SYS_nanosleep, &(struct timespec){100, 0}, NULL);
}

static void kills(void *argument) {
    (void)argument;
    CHECK_EQ(kill(child, SIGKILL), 0);
}

static void buries(void) {
    int status;
    kills(NULL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
}

/* What Linux restarts, if the handler is to have that. */
static void restartable(int restarts) {
#define ENDS(comes, whole, call) \
    do { \
        if (restarts) GOES_ON(comes, call); \
        else CUT_SHORT(comes, whole, call); \
    } while (0)
    char b[64];
    int number;
    struct iovec piece = {b, sizeof b};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    struct mmsghdr messages[2] = {{.msg_hdr = message}, {.msg_hdr = message}};
    CHECK_EQ(pipe(ends), 0);
    ENDS(gives, 8, read(ends[0], b, sizeof b));
    ENDS(gives, 8, readv(ends[0], &piece, 1));
    close_pair(ends);
    stream_pair(AF_INET, ends);
    ENDS(gives, 8, read(ends[0], b, sizeof b));
    ENDS(gives, 8, recv(ends[0], b, sizeof b, 0));
    ENDS(gives, 8, recv(ends[0], b, 8, MSG_WAITALL));
    ENDS(gives, 8, recvfrom(ends[0], b, sizeof b, 0, NULL, NULL));
    ENDS(gives, 8, recvmsg(ends[0], &message, 0));
    close_pair(ends);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    ENDS(gives, 1, recvmmsg(ends[0], messages, 1, 0, NULL));
    close_pair(ends);
    stream_pair(AF_UNIX, ends);
    fill(ends[0]);
    ENDS(takes, 5, send(ends[0], "hello", 5, 0));
    close_pair(ends);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    while (send(ends[0], "x", 1, MSG_DONTWAIT) == 1) continue;
    ENDS(takes, 5, write(ends[0], "hello", 5));
    close_pair(ends);
    listening = listener(AF_INET, SOCK_STREAM, 8, &where, &length);
    ENDS(connects, 0, accepts());
    CHECK_EQ(close(listening), 0);
    ENDS(opens_to_write, 0, opens_fifo());
    CHECK((number = eventfd(0, 0)) >= 0);
    ends[1] = number;
    ENDS(gives, 8, read(number, b, 8));
    CHECK_EQ(close(number), 0);
    /* Locks of two open files. */
    CHECK((file = open("locked", O_RDWR | O_CREAT, 0600)) >= 0);
    CHECK((number = open("locked", O_RDWR)) >= 0);
    CHECK_EQ(flock(file, LOCK_EX), 0);
    ENDS(unlocks, 0, flock(number, LOCK_EX));
    CHECK_EQ(close(number), 0);
    CHECK_EQ(close(file), 0);
    bears();
    ENDS(kills, 0, waitid(P_PID, (id_t)child, NULL, WEXITED | WNOWAIT));
    buries();
    bears();
    CHECK(child > 0);
    ENDS(kills, 1, waitpid(child, NULL, 0) > 0 ? 1 : -1);
    if (!restarts && !in_a_coroutine()) buries();
}

/* What ends with EINTR in any case. Outside, where nothing else is to end them, the time limits are far away. */
static void never_restarted(void) {
    char b[16];
    sigset_t set, none;
    int ms = in_a_coroutine() ? END_MS : 20000;
    struct timespec time = {ms / 1000, ms % 1000 * 1000000}, left = {99, 99};
    struct timeval limit = {ms / 1000, ms % 1000 * 1000};
    struct epoll_event event = {.events = EPOLLIN};
    fd_set in;
    sigemptyset(&none);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    stream_pair(AF_INET, ends);
    struct pollfd entry = {ends[0], POLLIN, 0};
    FD_ZERO(&in);
    FD_SET(ends[0], &in);
    CHECK((epoll = epoll_create1(0)) >= 0);
    CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event), 0);
    TIME_CUT_SHORT(0, poll(&entry, 1, ms));
    TIME_CUT_SHORT(0, ppoll(&entry, 1, &time, NULL));
    TIME_CUT_SHORT(0, select(ends[0] + 1, &in, NULL, NULL, &limit));
    FD_SET(ends[0], &in);
    TIME_CUT_SHORT(0, pselect(ends[0] + 1, &in, NULL, NULL, &time, NULL));
    TIME_CUT_SHORT(0, epoll_wait(epoll, &event, 1, ms));
    TIME_CUT_SHORT(0, epoll_pwait(epoll, &event, 1, ms, NULL));
    CUT_SHORT(gives, 1, poll(&entry, 1, -1));
    if (in_a_coroutine()) CHECK_EQ(read(ends[0], b, 8), 8);
    CUT_SHORT(gives, 1, epoll_wait(epoll, &event, 1, -1));
    if (in_a_coroutine()) CHECK_EQ(read(ends[0], b, 8), 8);
    CHECK_EQ(close(epoll), 0);
    /* Time limits of the socket's own. */
    set_timeout(ends[0], SO_RCVTIMEO, ms);
    TIME_CUT_SHORT(-1, recv(ends[0], b, sizeof b, 0));
    TIME_CUT_SHORT(-1, read(ends[0], b, sizeof b));
    fill(ends[0]);
    set_timeout(ends[0], SO_SNDTIMEO, ms);
    TIME_CUT_SHORT(-1, send(ends[0], b, sizeof b, 0));
    close_pair(ends);
    listening = listener(AF_INET, SOCK_STREAM, 8, &where, &length);
    set_timeout(listening, SO_RCVTIMEO, ms);
    TIME_CUT_SHORT(-1, accepts());
    CHECK_EQ(close(listening), 0);
    TIME_CUT_SHORT(0, nanosleep(&time, &left));
    if (in_a_coroutine()) CHECK_EQ(left.tv_sec, 99);
    say("%d\n", left.tv_sec < 20);
    TIME_CUT_SHORT(0, clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL));
    TIME_CUT_SHORT(0, usleep((useconds_t)ms * 1000));
    begins(NULL);
    if (in_a_coroutine()) CHECK_EQ(sleep(1), 0);
    else TRY(sleep(20) > 10);
    has_ended();
    TIME_CUT_SHORT(-1, sigtimedwait(&set, NULL, &time));
}

/* What ends with a part outside, and with all inside. */
static void parts(void) {
    static char much[MUCH];
    char b[16];
    stream_pair(AF_INET, ends);
    set_buffer(ends[0], SO_SNDBUF, 20000);
    if (in_a_coroutine()) {
        begins(takes_much);
        CHECK_EQ(send(ends[0], much, sizeof much, 0), sizeof much);
    } else {
        begins(NULL);
        ssize_t part = send(ends[0], much, sizeof much, 0);
        say("%d\n", part > 0 && part < (ssize_t)sizeof much);
    }
    has_ended();
    close_pair(ends);
    stream_pair(AF_INET, ends);
    gives(NULL);
    CUT_SHORT(gives, 16, recv(ends[0], b, 16, MSG_WAITALL));
    close_pair(ends);
}

static void cut_short(void) {
    restartable(0);
    never_restarted();
    parts();
}

static void goes_on(void) {
    restartable(1);
}

/* A handler is what these wait for: they end with it in a coroutine, too. */
static void ends_by_signal(void) {
    sigset_t one, none;
    struct pollfd entry = {-1, POLLIN, 0};
    sigemptyset(&none);
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    begins(NULL);
    TRY(pause());
    has_ended();
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &one, NULL), 0);
    begins(NULL);
    TRY(sigsuspend(&none));
    has_ended();
    begins(NULL);
    TRY(ppoll(&entry, 1, NULL, &none));
    has_ended();
    begins(NULL);
    TRY(pselect(0, NULL, NULL, NULL, NULL, &none));
    has_ended();
    CHECK_EQ(pthread_sigmask(SIG_UNBLOCK, &one, NULL), 0);
}

static void inside(void *scenario) {
    transcript = transcripts[1];
    transcript[0] = 0;
    (*(void (**)(void))scenario)();
}

/* The scheduler has what it needs for these, so that descriptors can be counted. */
static void warm_up_signals(void) {
    void (*scenario)(void) = ends_by_signal;
    in_coroutine(inside, &scenario);
    join_later();
}

static void goes_on_inside(void (*scenario)(void)) {
    int fds = fds_left();
    alarm(30 * (unsigned)patience());
    in_coroutine(inside, &scenario);
    join_later();
    CHECK_EQ(fds_left(), fds);
}

int main(void) {
    struct sigaction action = {.sa_handler = handler};
    CHECK(mkdtemp(folder) != NULL && chdir(folder) == 0);
    CHECK_EQ(mkfifo("fifo", 0600), 0);
    same_start();
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    if (!PLAIN) warm_up_signals();
    SAME_OUTSIDE(cut_short);
    SAME(ends_by_signal);
    if (!PLAIN) goes_on_inside(cut_short);
    action.sa_flags = SA_RESTART;
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    SAME(goes_on);
    SAME_OUTSIDE(never_restarted);
    SAME(ends_by_signal);
    if (!PLAIN) goes_on_inside(never_restarted);
    CHECK_EQ(unlink("fifo"), 0);
    CHECK_EQ(unlink("locked"), 0);
    CHECK(chdir("/") == 0 && rmdir(folder) == 0);
    return test_done();
}
