// arch: x86_64
// timeout: 120
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Not under emulation: qemu-user has no epoll_pwait2.
 *
 * epoll_wait, epoll_pwait and epoll_pwait2 return in a coroutine what they return in a plain thread.
 */
#include "same.h"

/* The compiler need not know that these are wrong. */
static void *volatile nowhere = (void *)8;
static volatile int most = INT_MAX;
static int set, ends[2];

static void send_x(void *argument) {
    (void)argument;
    CHECK_EQ(send(ends[1], "x", 1, 0), 1);
}

static void close_peer(void *argument) {
    (void)argument;
    CHECK_EQ(close(ends[1]), 0);
}

static void watch(int fd, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data = {.u64 = data}};
    CHECK_EQ(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), 0);
}

static void show(const struct epoll_event *events, int count) {
    for (int i = 0; i < count; i++) say(" %x:%d", events[i].events, (int)events[i].data.u64);
    say("\n");
}

static struct epoll_event got[8];

static void start(uint32_t events) {
    CHECK((set = epoll_create1(EPOLL_CLOEXEC)) >= 0);
    stream_pair(AF_UNIX, ends);
    watch(ends[0], events, 5);
}

static void finish(void) {
    close_pair(ends);
    CHECK_EQ(close(set), 0);
}

static void level(void) {
    char b;
    start(EPOLLIN);
    TRY(epoll_wait(set, got, 8, 0));
    TAKES(60, TRY(epoll_wait(set, got, 8, 60)));
    after(60, send_x, NULL);
    COMES(60, show(got, (int)TRY(epoll_wait(set, got, 8, -1))));
    show(got, (int)TRY(epoll_wait(set, got, 8, -1)));
    show(got, (int)TRY(epoll_wait(set, got, 1, 0)));
    TRY(recv(ends[0], &b, 1, 0));
    TAKES(60, TRY(epoll_wait(set, got, 8, 60)));
    after(60, send_x, NULL);
    TRY(epoll_pwait(set, got, 8, 5000, NULL));
    finish();
}

static void edge(void) {
    start(EPOLLIN | EPOLLET);
    after(60, send_x, NULL);
    show(got, (int)TRY(epoll_wait(set, got, 8, -1)));
    TAKES(60, TRY(epoll_wait(set, got, 8, 60)));
    after(60, send_x, NULL);
    COMES(60, show(got, (int)TRY(epoll_wait(set, got, 8, -1))));
    TRY(epoll_wait(set, got, 8, 0));
    finish();
}

static void one_shot(void) {
    start(EPOLLIN | EPOLLONESHOT);
    send_x(NULL);
    show(got, (int)TRY(epoll_wait(set, got, 8, -1)));
    send_x(NULL);
    TAKES(60, TRY(epoll_wait(set, got, 8, 60)));
    struct epoll_event again = {.events = EPOLLIN | EPOLLONESHOT, .data = {.u64 = 6}};
    TRY(epoll_ctl(set, EPOLL_CTL_MOD, ends[0], &again));
    show(got, (int)TRY(epoll_wait(set, got, 8, -1)));
    finish();
}

static void hang_up(void) {
    start(EPOLLIN | EPOLLRDHUP);
    after(60, close_peer, NULL);
    COMES(60, show(got, (int)TRY(epoll_wait(set, got, 8, 5000))));
    CHECK_EQ(close(ends[0]), 0);
    TRY(epoll_wait(set, got, 8, 0));
    CHECK_EQ(close(set), 0);
}

static void many(void) {
    int pairs[4][2];
    CHECK((set = epoll_create1(0)) >= 0);
    for (int i = 0; i < 4; i++) {
        stream_pair(AF_UNIX, pairs[i]);
        watch(pairs[i][0], EPOLLIN | EPOLLOUT, (uint64_t)i);
    }
    TRY(epoll_wait(set, got, 3, -1));
    TRY(epoll_wait(set, got, 8, -1));
    CHECK_EQ(close(set), 0);
    for (int i = 0; i < 4; i++) close_pair(pairs[i]);
}

static void nested(void) {
    int outer = epoll_create1(0), inner;
    start(EPOLLIN);
    inner = set;
    set = outer;
    watch(inner, EPOLLIN, 9);
    after(60, send_x, NULL);
    COMES(60, show(got, (int)TRY(epoll_wait(outer, got, 8, -1))));
    show(got, (int)TRY(epoll_wait(inner, got, 8, -1)));
    struct pollfd entry = {inner, POLLIN, 0};
    TRY(poll(&entry, 1, 1000));
    CHECK_EQ(close(inner), 0);
    finish();
}

static void removed(void) {
    start(EPOLLIN);
    send_x(NULL);
    TRY(epoll_ctl(set, EPOLL_CTL_DEL, ends[0], NULL));
    TAKES(60, TRY(epoll_wait(set, got, 8, 60)));
    finish();
}

static void errors(void) {
    struct timespec bad = {0, 1000000000}, soon = {0, 60000000};
    start(EPOLLIN);
    TRY(epoll_wait(set, got, 0, 0));
    TRY(epoll_wait(set, got, -most, -1));
    TRY(epoll_wait(set, got, most, 0));
    TRY(epoll_wait(-1, got, 8, 0));
    TRY(epoll_wait(ends[0], got, 8, 10));
    TRY(epoll_wait(1000000, got, 8, 10));
    TRY(epoll_wait(set, nowhere, 8, 0));
    TRY(epoll_pwait(set, got, 0, -1, NULL));
    TRY(epoll_pwait2(set, got, 8, &bad, NULL));
    TAKES(60, TRY(epoll_pwait2(set, got, 8, &soon, NULL)));
    soon.tv_nsec = 0;
    TRY(epoll_pwait2(set, got, 8, &soon, NULL));
    after(60, send_x, NULL);
    TRY(epoll_pwait2(set, got, 8, NULL, NULL));
    TRY(epoll_wait(set, nowhere, 8, 0));
    finish();
}

static volatile int handled;

static void handler(int signal) {
    (void)signal;
    handled++;
}

static void masks(void) {
    sigset_t blocked, none, before;
    struct timespec limit = {1, 0};
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &blocked, &before), 0);
    handled = 0;
    start(EPOLLIN);
    raise(SIGUSR2);
    TAKES(30, TRY(epoll_pwait(set, got, 8, 30, &blocked)));
    say("%d\n", handled);
    TRY(epoll_pwait(set, got, 8, 1000, &none));
    say("%d\n", handled);
    raise(SIGUSR2);
    TRY(epoll_pwait2(set, got, 8, &limit, &none));
    say("%d\n", handled);
    finish();
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
}

int main(void) {
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGUSR2, &action, NULL);
    same_start();
    SAME(level);
    SAME(edge);
    SAME(one_shot);
    SAME(hang_up);
    SAME(many);
    SAME(nested);
    SAME(removed);
    SAME(errors);
    SAME(masks);
    return test_done();
}
