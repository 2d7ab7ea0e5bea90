// timeout: 120
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Out-of-band data of TCP and UNIX streams: by MSG_OOB, inline, and as poll, select and epoll tell of it. The same in a
 * coroutine as in a plain thread.
 */
#include "same.h"

static int family, ends[2];

static void send_urgent(void *argument) {
    (void)argument;
    CHECK_EQ(send(ends[1], "ab!", 3, MSG_OOB), 3);
}

static void send_more(void *argument) {
    (void)argument;
    CHECK_EQ(send(ends[1], "more", 4, 0), 4);
}

static void show_mark(void) {
    int mark = -1;
    TRY(ioctl(ends[0], SIOCATMARK, &mark));
    say("mark %d\n", mark);
}

static void by_flag(void) {
    char b[16] = "";
    stream_pair(family, ends);
    TRY(recv(ends[0], b, 1, MSG_OOB));
    TRY(recv(ends[0], b, 1, MSG_OOB | MSG_DONTWAIT));
    send_urgent(NULL);
    send_more(NULL);
    usleep(20000);
    TRY(recv(ends[0], b, 1, MSG_OOB | MSG_PEEK));
    TRY(recv(ends[0], b, 4, MSG_OOB));
    say("%c\n", b[0]);
    TRY(recv(ends[0], b, 1, MSG_OOB));
    /* The mark parts the stream. */
    TRY(recv(ends[0], b, sizeof b, 0));
    show_mark();
    TRY(recv(ends[0], b, sizeof b, 0));
    show_mark();
    /* Never taken: it is left out. */
    send_urgent(NULL);
    send_more(NULL);
    usleep(20000);
    TRY(recv(ends[0], b, 2, MSG_WAITALL));
    show_mark();
    TRY(recv(ends[0], b, 4, MSG_WAITALL));
    say("%.4s\n", b);
    /* Who wants more than there is before it, and waits for all, gets what is there. */
    send_urgent(NULL);
    send_more(NULL);
    usleep(20000);
    TRY(recv(ends[0], b, 5, MSG_WAITALL));
    show_mark();
    TRY(recv(ends[0], b, 3, MSG_WAITALL));
    close_pair(ends);
}

static void in_line(void) {
    char b[16] = "";
    int on = 1;
    stream_pair(family, ends);
    TRY(setsockopt(ends[0], SOL_SOCKET, SO_OOBINLINE, &on, sizeof on));
    send_urgent(NULL);
    send_more(NULL);
    usleep(20000);
    TRY(recv(ends[0], b, 1, MSG_OOB));
    TRY(recv(ends[0], b, sizeof b, 0));
    show_mark();
    ssize_t n = TRY(recv(ends[0], b, sizeof b, 0));
    say("%.*s\n", (int)n, b);
    show_mark();
    close_pair(ends);
    /* A waiter gets it at once. */
    stream_pair(family, ends);
    TRY(setsockopt(ends[0], SOL_SOCKET, SO_OOBINLINE, &on, sizeof on));
    after(40, send_urgent, NULL);
    COMES(40, n = TRY(recv(ends[0], b, 16, 0)));
    if (n == 2) TRY(recv(ends[0], b, 16, 0));
    close_pair(ends);
}

static void by_poll(void) {
    char b[16];
    struct pollfd entry;
    fd_set reading, urgent;
    struct timeval limit = {5, 0};
    stream_pair(family, ends);
    entry = (struct pollfd){ends[0], POLLPRI, 99};
    TAKES(60, TRY(poll(&entry, 1, 60)));
    after(40, send_urgent, NULL);
    COMES(40, TRY(poll(&entry, 1, 5000)));
    say("%x\n", entry.revents);
    TRY(recv(ends[0], b, 1, MSG_OOB));
    entry.events = POLLPRI | POLLIN | POLLRDHUP;
    TRY(poll(&entry, 1, 5000));
    say("%x\n", entry.revents);
    TRY(recv(ends[0], b, 2, 0));
    FD_ZERO(&reading);
    FD_ZERO(&urgent);
    FD_SET(ends[0], &urgent);
    after(40, send_urgent, NULL);
    COMES(40, TRY(select(ends[0] + 1, &reading, NULL, &urgent, &limit)));
    say("%d %d\n", FD_ISSET(ends[0], &reading) != 0, FD_ISSET(ends[0], &urgent) != 0);
    TRY(recv(ends[0], b, 1, MSG_OOB));
    TRY(recv(ends[0], b, 2, 0));
    FD_SET(ends[0], &reading);
    FD_SET(ends[0], &urgent);
    send_more(NULL);
    usleep(20000);
    limit.tv_sec = 5;
    TRY(select(ends[0] + 1, &reading, NULL, &urgent, &limit));
    say("%d %d\n", FD_ISSET(ends[0], &reading) != 0, FD_ISSET(ends[0], &urgent) != 0);
    close_pair(ends);
}

static void by_epoll(void) {
    char b[16];
    struct epoll_event event = {.events = EPOLLPRI};
    int set = epoll_create1(EPOLL_CLOEXEC);
    stream_pair(family, ends);
    CHECK_EQ(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event), 0);
    TAKES(60, TRY(epoll_wait(set, &event, 1, 60)));
    after(40, send_urgent, NULL);
    COMES(40, TRY(epoll_wait(set, &event, 1, 5000)));
    say("%x\n", event.events);
    TRY(recv(ends[0], b, 1, MSG_OOB));
    TRY(epoll_wait(set, &event, 1, 60));
    event.events = EPOLLPRI | EPOLLIN | EPOLLET;
    TRY(epoll_ctl(set, EPOLL_CTL_MOD, ends[0], &event));
    TRY(epoll_wait(set, &event, 1, 5000));
    say("%x\n", event.events);
    TRY(recv(ends[0], b, 2, 0));
    send_more(NULL);
    usleep(20000);
    TRY(epoll_wait(set, &event, 1, 5000));
    say("%x\n", event.events);
    TRY(close(set));
    close_pair(ends);
}

/* One after the other, however late the first one is. */
static void send_urgent_and_more(void *argument) {
    send_urgent(argument);
    syscall(SYS_nanosleep, &(struct timespec){0, 60000000}, NULL);
    send_more(argument);
}

/* Between data that a parked reader waits for, and across its waits. */
static void between(void) {
    char b[16];
    stream_pair(family, ends);
    after(30, send_more, NULL);
    TRY(recv(ends[0], b, 16, 0));
    after(30, send_urgent, NULL);
    TRY(recv(ends[0], b, 16, 0));
    TRY(recv(ends[0], b, 1, MSG_OOB));
    after(30, send_more, NULL);
    COMES(30, TRY(recv(ends[0], b, 16, 0)));
    after(30, send_urgent_and_more, NULL);
    TRY(recv(ends[0], b, 2, MSG_WAITALL));
    COMES(90, TRY(recv(ends[0], b, 4, MSG_WAITALL)));
    say("%.4s\n", b);
    TRY(recv(ends[0], b, 1, MSG_OOB));
    TRY(read(ends[0], b, 0));
    close_pair(ends);
}

/* Older kernels have no out-of-band data on UNIX sockets; what newer ones make of it has changed several times. */
static int has_urgent(void) {
    stream_pair(family, ends);
    int has = send(ends[1], "!", 1, MSG_OOB) == 1;
    close_pair(ends);
    return has;
}

int main(void) {
    static const int families[] = {AF_INET, AF_INET6, AF_UNIX};
    same_start();
    for (size_t i = 0; i < COUNT(families); i++) {
        family = families[i];
        if ((family == AF_INET6 && !has_ipv6()) || !has_urgent()) continue;
        SAME(by_flag);
        SAME(in_line);
        SAME(by_poll);
        SAME(by_epoll);
        SAME(between);
    }
    return test_done();
}
