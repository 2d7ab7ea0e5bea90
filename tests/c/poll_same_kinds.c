// timeout: 120
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * poll, select and epoll_wait on every kind of descriptor, as long as nothing happens and when something does: the same in
 * a coroutine as in a plain thread.
 */
#include "same.h"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

static int fd, peer;
static char path[64];

/* What poll, select and epoll say now. */
static void look(void) {
    struct pollfd entry = {fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP, 99};
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP};
    struct timeval limit = {0, 0};
    fd_set in, out, urgent;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    TRY(poll(&entry, 1, 0));
    say("  %x\n", entry.revents);
    FD_ZERO(&in);
    FD_SET(fd, &in);
    out = urgent = in;
    TRY(select(fd + 1, &in, &out, &urgent, &limit));
    say("  %d %d %d\n", FD_ISSET(fd, &in) != 0, FD_ISSET(fd, &out) != 0, FD_ISSET(fd, &urgent) != 0);
    if (TRY(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) == 0 && TRY(epoll_wait(epoll, &event, 1, 0)) > 0)
        say("  %x\n", event.events);
    CHECK_EQ(close(epoll), 0);
}

/* Each of the three waits for `events`, which `action` brings; `undo` takes it back. NULL: they come once and stay. */
static void waits(short events, void (*action)(void *), void (*undo)(void)) {
    struct pollfd entry = {fd, events, 99};
    struct epoll_event event = {.events = (uint32_t)(unsigned short)events};
    struct timeval limit = {5, 0};
    fd_set in, out;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    look();
    TAKES(20, TRY(poll(&entry, 1, 20)));
    after(30, action, NULL);
    COMES(30, TRY(poll(&entry, 1, 5000)));
    say("  %x\n", entry.revents);
    look();
    if (undo) {
        undo();
        look();
        after(30, action, NULL);
    }
    FD_ZERO(&in);
    FD_ZERO(&out);
    if (events & POLLIN) FD_SET(fd, &in);
    if (events & POLLOUT) FD_SET(fd, &out);
    if (events & (POLLIN | POLLOUT)) {
        TRY(select(fd + 1, &in, &out, NULL, &limit));
        say("  %d %d\n", FD_ISSET(fd, &in) != 0, FD_ISSET(fd, &out) != 0);
    }
    if (undo && events & (POLLIN | POLLOUT)) {
        undo();
        after(30, action, NULL);
    }
    CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
    TRY(epoll_wait(epoll, &event, 1, 5000));
    say("  %x\n", event.events);
    CHECK_EQ(close(epoll), 0);
}

static void write_byte(void *argument) {
    (void)argument;
    CHECK_EQ(write(peer, "x", 1), 1);
}

static void read_byte(void) {
    char b;
    CHECK_EQ(read(fd, &b, 1), 1);
}

static void close_peer(void *argument) {
    (void)argument;
    CHECK_EQ(close(peer), 0);
}

static void reset_peer(void *argument) {
    set_reset(peer);
    close_peer(argument);
}

static void half_close_peer(void *argument) {
    (void)argument;
    CHECK_EQ(shutdown(peer, SHUT_WR), 0);
}

static void take_room(void) {
    fill(fd);
}

static void make_room(void *argument) {
    (void)argument;
    drain(peer);
}

static int family;

static void open_stream(void) {
    int ends[2];
    stream_pair(family, ends);
    fd = ends[0];
    peer = ends[1];
}

static void streams(void) {
    open_stream();
    waits(POLLIN, write_byte, read_byte);
    take_room();
    if (family == AF_UNIX) waits(POLLOUT, make_room, take_room);
    close_peer(NULL);
    look();
    TRY(close(fd));
    open_stream();
    waits(POLLRDHUP, half_close_peer, NULL);
    TRY(shutdown(fd, SHUT_WR));
    usleep(10000);
    look();
    close_peer(NULL);
    TRY(close(fd));
    if (family == AF_UNIX) return;
    open_stream();
    waits(POLLIN, reset_peer, NULL);
    look();
    TRY(close(fd));
}

static union address where;
static socklen_t length;

static void connect_peer(void *argument) {
    (void)argument;
    CHECK((peer = socket(family, SOCK_STREAM, 0)) >= 0);
    CHECK_EQ(connect(peer, &where.any, length), 0);
}

static void accept_peer(void) {
    int accepted = accept(fd, NULL, NULL);
    CHECK(accepted >= 0);
    CHECK_EQ(close(accepted), 0);
    CHECK_EQ(close(peer), 0);
}

static void shut_down(void *argument) {
    (void)argument;
    CHECK_EQ(shutdown(fd, SHUT_RDWR), 0);
}

static void listeners(void) {
    fd = listener(family, SOCK_STREAM, 4, &where, &length);
    waits(POLLIN, connect_peer, accept_peer);
    accept_peer();
    shut_down(NULL);
    look();
    TRY(close(fd));
    fd = socket(family, SOCK_STREAM, 0);
    look();
    TRY(close(fd));
}

/* A connection that is refused while one waits for it. */
static void refused(void) {
    if (family == AF_UNIX) {
        say("at once\n");
        return;
    }
    int error = -1, bare = bound(family, SOCK_STREAM, &where, &length);
    socklen_t size = sizeof error;
    fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    TRY(connect(fd, &where.any, length));
    struct pollfd entry = {fd, POLLOUT, 99};
    TRY(poll(&entry, 1, 5000));
    say("%x\n", entry.revents);
    look();
    TRY(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size));
    say("error %d\n", error);
    look();
    TRY(close(fd));
    TRY(close(bare));
}

static void datagrams(void) {
    union address peers;
    socklen_t peer_length;
    fd = bound(family, SOCK_DGRAM, &where, &length);
    peer = bound(family, SOCK_DGRAM, &peers, &peer_length);
    CHECK_EQ(connect(fd, &peers.any, peer_length), 0);
    CHECK_EQ(connect(peer, &where.any, length), 0);
    waits(POLLIN, write_byte, read_byte);
    read_byte();
    close_peer(NULL);
    say("%d\n", (int)send(fd, "x", 1, MSG_NOSIGNAL));
    usleep(20000);
    look();
    TRY(close(fd));
}

static void packets(void) {
    int ends[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    fd = ends[0];
    peer = ends[1];
    waits(POLLIN, write_byte, read_byte);
    read_byte();
    waits(POLLIN | POLLRDHUP, close_peer, NULL);
    TRY(close(fd));
}

static void pipes(void) {
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    fd = ends[0];
    peer = ends[1];
    waits(POLLIN, write_byte, read_byte);
    read_byte();
    waits(POLLIN, close_peer, NULL);
    TRY(close(fd));
    CHECK_EQ(pipe(ends), 0);
    fd = ends[1];
    peer = ends[0];
    look();
    close_peer(NULL);
    look();
    TRY(close(fd));
}

/* The wrong end of a pipe has been waited for, in vain: its calls still fail at once. */
static void wrong_end(void) {
    char b[4];
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    TRY(poll(&(struct pollfd){ends[0], POLLOUT, 0}, 1, 10));
    TRY(poll(&(struct pollfd){ends[1], POLLIN, 0}, 1, 10));
    TRY(write(ends[0], "x", 1));
    TRY(read(ends[1], b, 1));
    TRY(writev(ends[0], &(struct iovec){b, 1}, 1));
    TRY(readv(ends[1], &(struct iovec){b, 1}, 1));
    close_pair(ends);
}

static void fifos(void) {
    CHECK_EQ(mkfifo(path, 0600), 0);
    CHECK((fd = open(path, O_RDONLY | O_NONBLOCK)) >= 0);
    look();
    CHECK((peer = open(path, O_WRONLY)) >= 0);
    waits(POLLIN, write_byte, read_byte);
    read_byte();
    waits(POLLIN, close_peer, NULL);
    CHECK((peer = open(path, O_WRONLY)) >= 0);
    look();
    close_peer(NULL);
    TRY(close(fd));
    CHECK_EQ(unlink(path), 0);
}

static void terminals(void) {
    char *name;
    peer = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(peer >= 0 && grantpt(peer) == 0 && unlockpt(peer) == 0 && (name = ptsname(peer)) != NULL);
    CHECK((fd = open(name, O_RDWR | O_NOCTTY)) >= 0);
    look();
    waits(POLLHUP, close_peer, NULL);
    TRY(close(fd));
}

static void add_one(void *argument) {
    (void)argument;
    CHECK_EQ(eventfd_write(fd, 1), 0);
}

static void take_count(void) {
    uint64_t count;
    CHECK_EQ(read(fd, &count, 8), 8);
}

static void set_timer(void *argument) {
    struct itimerspec soon = {{0, 0}, {0, 1}};
    (void)argument;
    CHECK_EQ(timerfd_settime(fd, 0, &soon, NULL), 0);
}

static void raise_usr1(void *argument) {
    (void)argument;
    CHECK_EQ(kill(getpid(), SIGUSR1), 0);
}

static void take_signal(void) {
    struct signalfd_siginfo info;
    CHECK_EQ(read(fd, &info, sizeof info), sizeof info);
}

static void touch(void *argument) {
    (void)argument;
    int file = open(path, O_CREAT | O_WRONLY, 0600);
    CHECK(file >= 0);
    CHECK_EQ(write(file, "x", 1), 1);
    CHECK_EQ(close(file), 0);
}

static void take_event(void) {
    char b[512];
    CHECK(read(fd, b, sizeof b) > 0);
}

static void counters(void) {
    sigset_t mask;
    CHECK((fd = eventfd(0, EFD_CLOEXEC)) >= 0);
    waits(POLLIN, add_one, take_count);
    TRY(close(fd));
    CHECK((fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)) >= 0);
    waits(POLLIN, set_timer, take_count);
    TRY(close(fd));
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    CHECK((fd = signalfd(-1, &mask, SFD_CLOEXEC)) >= 0);
    waits(POLLIN, raise_usr1, take_signal);
    take_signal();
    TRY(close(fd));
    touch(NULL);
    CHECK((fd = inotify_init1(IN_CLOEXEC)) >= 0);
    CHECK(inotify_add_watch(fd, path, IN_CLOSE_WRITE) >= 0);
    waits(POLLIN, touch, take_event);
    TRY(close(fd));
    CHECK_EQ(unlink(path), 0);
}

/* An epoll set is one, too; files are none. */
static void sets(void) {
    struct epoll_event event = {.events = EPOLLIN};
    family = AF_UNIX;
    open_stream();
    int inner = fd, set = epoll_create1(EPOLL_CLOEXEC);
    CHECK_EQ(epoll_ctl(set, EPOLL_CTL_ADD, inner, &event), 0);
    fd = set;
    look();
    struct pollfd entry = {set, POLLIN, 99};
    after(30, write_byte, NULL);
    COMES(30, TRY(poll(&entry, 1, 5000)));
    look();
    TRY(epoll_wait(set, &event, 1, 0));
    TRY(close(set));
    TRY(close(inner));
    close_peer(NULL);
    CHECK((fd = open("/proc/self/status", O_RDONLY)) >= 0);
    look();
    TRY(close(fd));
    CHECK((fd = open(path, O_CREAT | O_RDWR, 0600)) >= 0);
    look();
    TRY(close(fd));
    CHECK((fd = open(path, O_PATH)) >= 0);
    look();
    TRY(close(fd));
    CHECK_EQ(unlink(path), 0);
}

int main(void) {
    static const int families[] = {AF_UNIX, AF_INET, AF_INET6};
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &mask, NULL), 0);
    snprintf(path, sizeof path, "/tmp/dyco-test-%d", getpid());
    same_start();
    for (size_t i = 0; i < COUNT(families); i++) {
        family = families[i];
        if (family == AF_INET6 && !has_ipv6()) continue;
        SAME(streams);
        SAME(listeners);
        SAME(refused);
        SAME(datagrams);
    }
    SAME(packets);
    SAME(pipes);
    SAME(wrong_end);
    SAME(fifos);
    SAME(terminals);
    SAME(counters);
    SAME(sets);
    return test_done();
}
