// timeout: 120
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * poll, ppoll, select and pselect return in a coroutine what they return in a plain thread.
 */
#include "same.h"

/* The compiler need not know that this is wrong. */
static void *volatile nowhere = (void *)8;

static int ends[2], others[2];

static void send_hello(void *argument) {
    (void)argument;
    CHECK_EQ(send(ends[1], "hello", 5, 0), 5);
}

static void close_peer(void *argument) {
    (void)argument;
    CHECK_EQ(close(ends[1]), 0);
}

static void send_urgent(void *argument) {
    (void)argument;
    CHECK_EQ(send(ends[1], "!", 1, MSG_OOB), 1);
}

static void show(const struct pollfd *entries, int count) {
    for (int i = 0; i < count; i++) say(" %x", entries[i].revents);
    say("\n");
}

static void sleeps(void) {
    struct pollfd ignored[2] = {{-1, POLLIN, 99}, {-5, POLLOUT, 99}};
    struct timespec limit = {0, 60000000};
    TAKES(60, TRY(poll(NULL, 0, 60)));
    TRY(poll(NULL, 0, 0));
    TAKES(60, TRY(poll(ignored, 2, 60)));
    show(ignored, 2);
    TAKES(60, TRY(ppoll(NULL, 0, &limit, NULL)));
    limit.tv_nsec = 0;
    TRY(ppoll(ignored, 2, &limit, NULL));
    limit.tv_nsec = 1000000000;
    TRY(ppoll(NULL, 0, &limit, NULL));
    limit.tv_sec = -1;
    limit.tv_nsec = 0;
    TRY(ppoll(NULL, 0, &limit, NULL));
    TRY(poll(nowhere, 1, 0));
    TRY(poll(nowhere, 1, 100));
    struct pollfd *volatile list = ignored;
    TRY(poll(list, 1ul << 30, 0));
    TRY(poll(list, 1ul << 30, -1));
}

static void becomes_ready(void) {
    stream_pair(AF_INET, ends);
    stream_pair(AF_UNIX, others);
    struct pollfd entries[5] = {
        {others[0], POLLIN, 99}, {ends[0], POLLIN, 99}, {-3, POLLIN, 99}, {ends[0], POLLIN | POLLRDHUP, 99}, {ends[0], 0, 99}};
    TAKES(60, TRY(poll(entries, 5, 60)));
    show(entries, 5);
    after(60, send_hello, NULL);
    COMES(60, TRY(poll(entries, 5, -1)));
    show(entries, 5);
    TRY(poll(entries, 5, 0));
    TRY(poll(entries, 5, 10000));
    entries[1].events = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLPRI;
    TRY(poll(entries, 5, 10000));
    show(entries, 5);
    char b[8];
    TRY(recv(ends[0], b, 8, 0));
    after(60, close_peer, NULL);
    entries[1].events = POLLIN;
    TRY(poll(entries, 5, 5000));
    show(entries, 5);
    close(ends[0]);
    close_pair(others);
}

static void hang_up(void) {
    struct pollfd entries[2];
    stream_pair(AF_UNIX, ends);
    entries[0] = (struct pollfd){ends[0], 0, 99};
    after(60, close_peer, NULL);
    COMES(60, TRY(poll(entries, 1, 5000)));
    show(entries, 1);
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(pipe(ends), 0);
    entries[0] = (struct pollfd){ends[0], POLLIN, 99};
    entries[1] = (struct pollfd){ends[1], POLLOUT, 99};
    TRY(poll(entries, 2, -1));
    show(entries, 2);
    after(60, close_peer, NULL);
    COMES(60, TRY(poll(entries, 1, -1)));
    show(entries, 1);
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(close(ends[0]), 0);
    entries[1].fd = ends[1];
    TRY(poll(entries + 1, 1, -1));
    show(entries + 1, 1);
    close_peer(NULL);
    stream_pair(AF_INET, ends);
    entries[0] = (struct pollfd){ends[0], POLLPRI, 99};
    after(60, send_urgent, NULL);
    COMES(60, TRY(poll(entries, 1, 5000)));
    show(entries, 1);
    close_pair(ends);
}

static void no_descriptor(void) {
    stream_pair(AF_UNIX, ends);
    int gone = dup(ends[0]);
    CHECK_EQ(close(gone), 0);
    struct pollfd entries[3] = {{ends[0], POLLIN, 99}, {gone, POLLIN, 99}, {1000000, POLLOUT, 99}};
    TRY(poll(entries, 3, -1));
    show(entries, 3);
    TRY(poll(entries, 3, 0));
    show(entries, 3);
    close_pair(ends);
}

static void always_ready(void) {
    int file = open("/proc/self/status", O_RDONLY), null = open("/dev/null", O_RDWR);
    int disk = open("/tmp", O_RDONLY | O_DIRECTORY);
    struct pollfd entries[3] = {{file, POLLIN, 0}, {null, POLLIN | POLLOUT, 0}, {disk, POLLIN | POLLOUT | POLLPRI, 0}};
    TRY(poll(entries, 3, -1));
    show(entries, 3);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(disk, &set);
    TRY(select(disk + 1, &set, NULL, NULL, NULL));
    close(file);
    close(null);
    close(disk);
}

static void full(void) {
    stream_pair(AF_UNIX, ends);
    fill(ends[0]);
    struct pollfd entry = {ends[0], POLLOUT, 99};
    TAKES(60, TRY(poll(&entry, 1, 60)));
    after(60, close_peer, NULL);
    TRY(poll(&entry, 1, 5000));
    /* Whether the queue is empty already is a matter of luck. */
    entry.revents &= ~POLLOUT;
    show(&entry, 1);
    CHECK_EQ(close(ends[0]), 0);
}

static void show_sets(int count, fd_set *a, fd_set *b, fd_set *c) {
    int found[3] = {0, 0, 0};
    for (int fd = 0; fd < count; fd++) {
        found[0] += FD_ISSET(fd, a) != 0;
        found[1] += FD_ISSET(fd, b) != 0;
        found[2] += FD_ISSET(fd, c) != 0;
    }
    say("%d %d %d\n", found[0], found[1], found[2]);
}

static fd_set reading, writing, urgent;

static void fill_sets(int count) {
    FD_ZERO(&reading);
    FD_ZERO(&writing);
    FD_ZERO(&urgent);
    (void)count;
    FD_SET(ends[0], &reading);
    FD_SET(others[0], &reading);
    FD_SET(ends[0], &urgent);
}

static void selects(void) {
    struct timeval limit = {0, 60000};
    stream_pair(AF_INET, ends);
    stream_pair(AF_UNIX, others);
    int count = (ends[0] > others[0] ? ends[0] : others[0]) + 1;
    fill_sets(count);
    TAKES(60, TRY(select(count, &reading, &writing, &urgent, &limit)));
    show_sets(count, &reading, &writing, &urgent);
    say("left %ld %ld\n", (long)limit.tv_sec, (long)limit.tv_usec);
    fill_sets(count);
    limit = (struct timeval){5, 0};
    after(60, send_hello, NULL);
    COMES(60, TRY(select(count, &reading, &writing, &urgent, &limit)));
    show_sets(count, &reading, &writing, &urgent);
    say("left %d\n", limit.tv_sec == 4);
    fill_sets(count);
    FD_SET(ends[0], &writing);
    FD_SET(others[0], &writing);
    TRY(select(count, &reading, &writing, &urgent, NULL));
    show_sets(count, &reading, &writing, &urgent);
    char b[8];
    TRY(recv(ends[0], b, 8, 0));
    fill_sets(count);
    after(60, send_urgent, NULL);
    TRY(select(count, &reading, NULL, &urgent, NULL));
    show_sets(count, &reading, &writing, &urgent);
    TRY(recv(ends[0], b, 1, MSG_OOB));
    fill_sets(count);
    after(60, close_peer, NULL);
    TRY(select(count, &reading, NULL, NULL, NULL));
    show_sets(count, &reading, &writing, &urgent);
    /* Only descriptors below the first argument count. */
    fill_sets(count);
    FD_SET(others[0], &writing);
    limit = (struct timeval){0, 30000};
    TRY(select(0, &reading, &writing, NULL, &limit));
    TRY(FD_ISSET(others[0], &writing) != 0);
    limit = (struct timeval){0, 30000};
    TAKES(30, TRY(select(0, NULL, NULL, NULL, &limit)));
    limit = (struct timeval){0, 0};
    TRY(select(0, NULL, NULL, NULL, &limit));
    limit = (struct timeval){0, 2000000};
    TAKES(2000, TRY(select(0, NULL, NULL, NULL, &limit)));
    close(ends[0]);
    close_pair(others);
}

static void select_errors(void) {
    struct timeval limit = {0, 50000}, negative = {-1, 0}, uneven = {0, -1};
    stream_pair(AF_UNIX, ends);
    others[0] = dup(ends[0]);
    int count = others[0] + 1;
    CHECK_EQ(close(others[0]), 0);
    fill_sets(count);
    TRY(select(count, &reading, &writing, &urgent, NULL));
    show_sets(count, &reading, &writing, &urgent);
    TRY(select(count, &reading, &writing, &urgent, &limit));
    show_sets(count, &reading, &writing, &urgent);
    say("left %d\n", limit.tv_usec > 0);
    TRY(select(-1, &reading, NULL, NULL, &limit));
    TRY(select(0, NULL, NULL, NULL, &negative));
    TRY(select(0, NULL, NULL, NULL, &uneven));
    close_pair(ends);
}

static void pselects(void) {
    struct timespec limit = {0, 60000000}, bad = {0, 1000000000};
    stream_pair(AF_UNIX, ends);
    stream_pair(AF_UNIX, others);
    int count = (ends[0] > others[0] ? ends[0] : others[0]) + 1;
    fill_sets(count);
    TAKES(60, TRY(pselect(count, &reading, &writing, &urgent, &limit, NULL)));
    show_sets(count, &reading, &writing, &urgent);
    say("left %ld\n", limit.tv_nsec);
    fill_sets(count);
    after(60, send_hello, NULL);
    COMES(60, TRY(pselect(count, &reading, NULL, NULL, NULL, NULL)));
    TRY(pselect(0, NULL, NULL, NULL, &bad, NULL));
    close_pair(ends);
    close_pair(others);
}

static volatile int handled;

static void handler(int signal) {
    (void)signal;
    handled++;
}

/* A signal that is pending and that the given mask lets through is handled, and ends the call. */
static void masks(void) {
    sigset_t blocked, none, before;
    struct timespec limit = {1, 0}, at_once = {0, 0};
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &blocked, &before), 0);
    handled = 0;
    raise(SIGUSR2);
    TRY(ppoll(NULL, 0, &at_once, &blocked));
    say("%d\n", handled);
    TRY(ppoll(NULL, 0, &limit, &none));
    say("%d\n", handled);
    raise(SIGUSR2);
    TRY(pselect(0, NULL, NULL, NULL, &limit, &none));
    say("%d\n", handled);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &none), 0);
    say("%d\n", sigismember(&none, SIGUSR2));
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
}

int main(void) {
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGUSR2, &action, NULL);
    same_start();
    SAME(sleeps);
    SAME(becomes_ready);
    SAME(hang_up);
    SAME(no_descriptor);
    SAME(always_ready);
    SAME(full);
    SAME(selects);
    SAME(select_errors);
    SAME(pselects);
    SAME(masks);
    return test_done();
}
