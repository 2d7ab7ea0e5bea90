// timeout: 120
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * eventfds as semaphores and counters, timers in all their ways, inotify, pidfds: read, write, poll, select and epoll are
 * in a coroutine what they are in a plain thread.
 */
#include "same.h"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

static int fd;
static char folder[64];

/* poll, select and epoll of `fd`, which `action` makes ready after 40 ms. */
static void all_waits(void (*action)(void *), short events) {
    struct pollfd entry = {fd, events, 99};
    struct epoll_event event = {.events = (uint32_t)events};
    struct timeval limit = {5, 0};
    fd_set set;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    TRY(poll(&entry, 1, 20));
    say("%x\n", entry.revents);
    after(40, action, NULL);
    COMES(40, TRY(poll(&entry, 1, 5000)));
    say("%x\n", entry.revents);
    CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
    TRY(epoll_wait(epoll, &event, 1, 5000));
    say("%x\n", event.events);
    FD_ZERO(&set);
    FD_SET(fd, &set);
    TRY(select(fd + 1, events & POLLIN ? &set : NULL, events & POLLOUT ? &set : NULL, NULL, &limit));
    TRY(close(epoll));
}

static void add_one(void *argument) {
    (void)argument;
    CHECK_EQ(eventfd_write(fd, 1), 0);
}

static void take_one(void *argument) {
    eventfd_t count;
    (void)argument;
    CHECK_EQ(eventfd_read(fd, &count), 0);
}

static void counters(void) {
    uint64_t count = 0, most = UINT64_MAX - 1;
    char large[64];
    struct iovec pieces[2] = {{large, 4}, {large + 4, 4}};
    CHECK((fd = eventfd(3, EFD_SEMAPHORE | EFD_CLOEXEC)) >= 0);
    for (int i = 0; i < 3; i++) {
        TRY(read(fd, &count, sizeof count));
        say("%d\n", (int)count);
    }
    after(40, add_one, NULL);
    COMES(40, TRY(read(fd, large, sizeof large)));
    all_waits(add_one, POLLIN);
    TRY(read(fd, &count, 8));
    TRY(read(fd, large, 7));
    TRY(read(fd, large, 0));
    TRY(write(fd, large, 0));
    TRY(write(fd, &(uint64_t){0}, 8));
    add_one(NULL);
    TRY(readv(fd, pieces, 2));
    TRY(writev(fd, pieces, 2));
    TRY(close(fd));
    CHECK((fd = eventfd(0, 0)) >= 0);
    TRY(write(fd, &most, 8));
    all_waits(take_one, POLLOUT);
    TRY(write(fd, &most, 8));
    set_nonblock(fd, 1);
    TRY(write(fd, &(uint64_t){5}, 8));
    TRY(close(fd));
}

static void set_timer(int first_ms, int next_ms, int flags) {
    struct itimerspec times = {{next_ms / 1000, next_ms % 1000 * 1000000L}, {first_ms / 1000, first_ms % 1000 * 1000000L}};
    if (flags & TFD_TIMER_ABSTIME) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        int64_t ns = now.tv_sec * 1000000000LL + now.tv_nsec + first_ms * 1000000LL;
        times.it_value = (struct timespec){ns / 1000000000, ns % 1000000000};
    }
    CHECK_EQ(timerfd_settime(fd, flags, &times, NULL), 0);
}

static void set_soon(void *argument) {
    (void)argument;
    set_timer(1, 0, 0);
}

static void timers(void) {
    uint64_t count = 0;
    CHECK((fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)) >= 0);
    after_called = now_ns();
    set_timer(60, 0, TFD_TIMER_ABSTIME);
    COMES(60, TRY(read(fd, &count, 8)));
    say("%d\n", (int)count);
    /* Long ago: at once. */
    set_timer(-1000, 0, TFD_TIMER_ABSTIME);
    TRY(read(fd, &count, 8));
    /* Several that nobody has read. */
    set_timer(10, 10, 0);
    usleep(65000);
    set_timer(0, 0, 0);
    TRY(poll(&(struct pollfd){fd, POLLIN, 0}, 1, 0));
    set_timer(10, 10, 0);
    usleep(65000);
    ssize_t n = read(fd, &count, 8);
    say("%d %d\n", (int)n, count >= 5);
    /* Set while somebody waits; set anew to an earlier time. */
    set_timer(0, 0, 0);
    after(40, set_soon, NULL);
    COMES(40, TRY(read(fd, &count, 8)));
    set_timer(20000, 0, 0);
    after(40, set_soon, NULL);
    COMES(40, TRY(read(fd, &count, 8)));
    set_timer(0, 0, 0);
    all_waits(set_soon, POLLIN);
    TRY(read(fd, &count, 7));
    TRY(write(fd, &count, 8));
    TRY(read(fd, &count, 8));
    TRY(close(fd));
}

static void act(const char *what, const char *name) {
    char path[128], to[140];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(to, sizeof to, "%s-moved", path);
    if (strcmp(what, "create") == 0) CHECK_EQ(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
    else if (strcmp(what, "move") == 0) CHECK_EQ(rename(path, to), 0);
    else CHECK_EQ(unlink(path), 0);
}

static void create_a(void *argument) {
    (void)argument;
    act("create", "a");
}

static void read_events(size_t size) {
    union {
        struct inotify_event event;
        char space[1024];
    } buffer;
    ssize_t n = TRY(read(fd, &buffer, size));
    for (ssize_t at = 0; at < n;) {
        struct inotify_event event;
        memcpy(&event, buffer.space + at, sizeof event);
        say("  %x %s\n", event.mask, event.len ? buffer.space + at + sizeof event : "-");
        at += (ssize_t)(sizeof event + event.len);
    }
}

static void file_events(void) {
    int watch, queued = -1;
    CHECK((fd = inotify_init1(IN_CLOEXEC)) >= 0);
    CHECK((watch = inotify_add_watch(fd, folder, IN_CREATE | IN_DELETE | IN_MOVE)) >= 0);
    after(40, create_a, NULL);
    COMES(40, read_events(1024));
    act("move", "a");
    act("create", "b");
    TRY(ioctl(fd, FIONREAD, &queued));
    say("%d\n", queued);
    read_events(16);
    read_events(sizeof(struct inotify_event) + 16);
    read_events(1024);
    act("delete", "b");
    act("delete", "a-moved");
    TRY(poll(&(struct pollfd){fd, POLLIN, 0}, 1, 1000));
    read_events(1024);
    all_waits(create_a, POLLIN);
    read_events(1024);
    act("delete", "a");
    read_events(1024);
    TRY(inotify_rm_watch(fd, watch));
    read_events(1024);
    set_nonblock(fd, 1);
    read_events(1024);
    TRY(write(fd, "x", 1));
    TRY(close(fd));
}

static pid_t child;

static void end_child(void *argument) {
    (void)argument;
    CHECK_EQ(kill(child, SIGKILL), 0);
}

static void processes(void) {
    int status = 0;
    char b[8];
    CHECK((child = fork()) >= 0);
    if (child == 0)
        for (;;) sleep(100);
    if ((fd = (int)syscall(SYS_pidfd_open, child, 0)) < 0) {
        say("no pidfds\n");
        end_child(NULL);
    } else {
        all_waits(end_child, POLLIN);
        TRY(read(fd, b, 1));
        TRY(close(fd));
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    say("%x\n", status);
}

int main(void) {
    same_start();
    snprintf(folder, sizeof folder, "/tmp/dyco-test-%d", getpid());
    CHECK_EQ(mkdir(folder, 0700), 0);
    SAME(counters);
    SAME(timers);
    SAME(file_events);
    SAME(processes);
    CHECK_EQ(rmdir(folder), 0);
    return test_done();
}
