/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the tests of sockets and hooks share.
 */
#ifndef DYCO_TEST_NET_H
#define DYCO_TEST_NET_H

#include "core.h"

#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>

/* Milliseconds that a thread may do nothing for its other coroutines while one waits. */
#define GAP_LIMIT 150

static __thread int ticker_gap, ticker_delays;

/* How long the kernel has kept this thread waiting for a processor: not the library's fault. */
static inline int64_t delay_ms(void) {
    char text[64] = "";
    unsigned long long delay = 0;
    /* Not by a name that is hooked. */
    if (syscall(SYS_pread64, ticker_delays, text, sizeof text - 1, 0) > 0) sscanf(text, "%*u %llu", &delay);
    return (int64_t)(delay / 1000000);
}

static inline void ticker(void *argument) {
    int64_t before = now_ms() - delay_ms();
    (void)argument;
    while (dyco_schedule_getCoroCount() > 1) {
        dyco_coroutine_sleep(5);
        int64_t now = now_ms() - delay_ms();
        if (now - before > ticker_gap) ticker_gap = (int)(now - before);
        before = now;
    }
}

/* Runs what has been created, with a ticker beside it that no wait may hold up. */
static inline void run_with_ticker(void) {
    ticker_gap = 0;
    ticker_delays = open("/proc/thread-self/schedstat", O_RDONLY);
    spawn(ticker, NULL);
    run_all();
    CHECK_TOOK(ticker_gap, 0, GAP_LIMIT);
    if (ticker_delays >= 0) close(ticker_delays);
}

static inline void wait_once(void *argument) {
    int ends[2];
    (void)argument;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CHECK_EQ(dyco_coroutine_waitRead(ends[0], 1), 0);
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(ends[1]), 0);
}

/* The thread's scheduler and its descriptors are made, so that descriptors can be counted. */
static inline void warm_up(void) {
    spawn(wait_once, NULL);
    run_all();
}

/* Runs one function as a coroutine, with all that it spawns. */
static inline void in_coroutine(proc_coroutine function, void *argument) {
    spawn(function, argument);
    run_with_ticker();
}

static inline void stop_after_a_while(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(20);
    dyco_schedcall_stop();
}

/* Lets all who can go as far as they can, and leaves them where they wait. */
static inline void run_a_while(void) {
    spawn_own(stop_after_a_while, NULL, 0x4000);
    CHECK_EQ(dyco_schedule_run(), 1);
}

/* The same where receiving and sending go by io_uring, whatever the harness asks for; no descriptor is left. */
static inline void run_by_ring(proc_coroutine function) {
    CHECK_EQ(setenv("DYCO_POLLER", "io_uring", 1), 0);
    dyco_schedule_free(NULL);
    warm_up();
    int fds = count_fds();
    spawn_own(function, NULL, 0x10000);
    run_all();
    CHECK_EQ(count_fds(), fds);
}

/* A thread that knows no scheduler does something later: a peer that is the same in and outside coroutines. */
struct later {
    int ms;
    void (*action)(void *);
    void *argument;
};

static pthread_t later_threads[64];
static int later_count, later_busy;
static int64_t after_called;

static inline void *later_thread(void *p) {
    struct later *later = p;
    struct timespec pause = {later->ms / 1000, later->ms % 1000 * 1000000L};
    syscall(SYS_nanosleep, &pause, NULL);
    later->action(later->argument);
    free(later);
    __atomic_sub_fetch(&later_busy, 1, __ATOMIC_RELEASE);
    return NULL;
}

static inline void after(int ms, void (*action)(void *), void *argument) {
    struct later *later = malloc(sizeof *later);
    CHECK(later != NULL && later_count < (int)COUNT(later_threads));
    after_called = now_ns();
    *later = (struct later){ms, action, argument};
    __atomic_add_fetch(&later_busy, 1, __ATOMIC_RELAXED);
    CHECK_EQ(pthread_create(&later_threads[later_count++], NULL, later_thread, later), 0);
}

/* Everybody has done what he was to do later. */
static inline void later_is_over(void) {
    while (__atomic_load_n(&later_busy, __ATOMIC_ACQUIRE) > 0) usleep(2000);
}

/* Outside coroutines only: pthread_join blocks the thread. */
static inline void join_later(void) {
    while (later_count > 0) CHECK_EQ(pthread_join(later_threads[--later_count], NULL), 0);
}

/* Whether the library has io_uring here: it asks for what Linux has since 6.10, and not under valgrind. */
static inline int has_ring(void) {
    char parameters[120] = {0};
    const char *preloaded = getenv("LD_PRELOAD");
    struct utsname name;
    if (preloaded && strstr(preloaded, "/vgpreload_")) return 0;
    int major = 0, minor = 0, ring = (int)syscall(SYS_io_uring_setup, 1, parameters);
    if (ring >= 0) syscall(SYS_close, ring);
    CHECK_EQ(uname(&name), 0);
    return sscanf(name.release, "%d.%d", &major, &minor) == 2 && ring >= 0 && major * 100 + minor >= 610;
}

static inline void set_nonblock(int fd, int on) {
    int flags = fcntl(fd, F_GETFL);
    CHECK(flags >= 0);
    CHECK_EQ(fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK), 0);
}

static inline int flags_of(int fd) {
    int flags = fcntl(fd, F_GETFL);
    CHECK(flags >= 0);
    return flags;
}

static inline void set_timeout(int fd, int option, int ms) {
    struct timeval tv = {ms / 1000, ms % 1000 * 1000};
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, option, &tv, sizeof tv), 0);
}

static inline void set_buffer(int fd, int option, int size) {
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, option, &size, sizeof size), 0);
}

/* The next close sends RST. */
static inline void set_reset(int fd) {
    struct linger linger = {1, 0};
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
}

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
    struct sockaddr_storage storage;
};

/* The loopback address with any free port; 127.0.0.1 or ::1. */
static inline socklen_t loopback(int family, union address *address) {
    memset(address, 0, sizeof *address);
    address->any.sa_family = (sa_family_t)family;
    if (family == AF_INET6) {
        address->v6.sin6_addr = in6addr_loopback;
        return sizeof address->v6;
    }
    address->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return sizeof address->v4;
}

/* An abstract UNIX name that no other process and no earlier call has. */
static inline socklen_t unix_name(union address *address) {
    static int number;
    memset(address, 0, sizeof *address);
    address->un.sun_family = AF_UNIX;
    int n = snprintf(address->un.sun_path + 1, sizeof address->un.sun_path - 1, "dyco-test-%d-%d", getpid(),
                     __atomic_add_fetch(&number, 1, __ATOMIC_RELAXED));
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

static inline int has_ipv6(void) {
    union address address;
    socklen_t length = loopback(AF_INET6, &address);
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    int ok = fd >= 0 && bind(fd, &address.any, length) == 0;
    if (fd >= 0) close(fd);
    return ok;
}

/* A bound socket of the family and type; `address` is where. */
static inline int bound(int family, int type, union address *address, socklen_t *length) {
    int fd = socket(family, type, 0);
    CHECK(fd >= 0);
    *length = family == AF_UNIX ? unix_name(address) : loopback(family, address);
    CHECK_EQ(bind(fd, &address->any, *length), 0);
    *length = sizeof *address;
    CHECK_EQ(getsockname(fd, &address->any, length), 0);
    return fd;
}

static inline int listener(int family, int type, int backlog, union address *address, socklen_t *length) {
    int fd = bound(family, type, address, length);
    CHECK_EQ(listen(fd, backlog), 0);
    return fd;
}

/* A connected pair, made without waiting: AF_INET, AF_INET6 (TCP) or AF_UNIX. */
static inline void stream_pair(int family, int ends[2]) {
    union address address;
    socklen_t length;
    if (family == AF_UNIX) {
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        return;
    }
    int listening = listener(family, SOCK_STREAM, 8, &address, &length);
    CHECK((ends[0] = socket(family, SOCK_STREAM, 0)) >= 0);
    CHECK_EQ(connect(ends[0], &address.any, length), 0);
    CHECK((ends[1] = accept(listening, NULL, NULL)) >= 0);
    CHECK_EQ(close(listening), 0);
}

static inline void close_pair(int ends[2]) {
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(ends[1]), 0);
}

/* Fills what the peer would have to take, without waiting for it; the number of bytes. What TCP has accepted is on its way
 * for a moment, and makes room when it arrives. */
static inline size_t fill(int fd) {
    static char zeros[4096];
    size_t total = 0, before;
    do {
        before = total;
        for (size_t piece = sizeof zeros; piece > 0; piece /= 2) {
            ssize_t n;
            while ((n = syscall(SYS_sendto, fd, zeros, piece, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0)) > 0) total += (size_t)n;
        }
        if (total > before) syscall(SYS_nanosleep, &(struct timespec){0, 5000000}, NULL);
    } while (total > before);
    return total;
}

/* Reads to the end or to `want` bytes; the number read. */
static inline size_t read_bytes(int fd, size_t want) {
    static __thread char sink[65536];
    size_t total = 0;
    while (total < want) {
        ssize_t n = read(fd, sink, want - total < sizeof sink ? want - total : sizeof sink);
        if (n <= 0) break;
        total += (size_t)n;
    }
    return total;
}

/* Takes what is there. */
static inline void drain(int fd) {
    static char sink[65536];
    while (syscall(SYS_recvfrom, fd, sink, sizeof sink, MSG_DONTWAIT, NULL, NULL) > 0) continue;
}

#endif
