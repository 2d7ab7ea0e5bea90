// timeout: 120
// arch: x86_64
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Not under emulation, whose calls differ in their own right.
 *
 * Random calls with random arguments on pairs of every kind, 120 a round, from one seed: in a coroutine each
 * returns what it returns in a plain thread. `hook_same_random SEED ROUNDS` repeats some, with
 * TRANSCRIPT=1 in the environment to see them.
 */
#include "same.h"

enum kind { TCP, UNIX_STREAM, UNIX_DATAGRAM, UNIX_PACKETS, UDP, PIPE, KINDS };

#define CALLS 120
#define LARGEST 3000

static uint64_t seed, state;
static enum kind kind;
static int ends[2], is_open[2], step;
static char data[LARGEST * 4], sink[LARGEST * 4];

static unsigned any(unsigned below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % below;
}

static int is_socket(void) {
    return kind != PIPE;
}

static void open_pair(void) {
    union address where[2];
    socklen_t lengths[2];
    switch (kind) {
    case TCP: stream_pair(AF_INET, ends); break;
    case UNIX_STREAM: CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0); break;
    case UNIX_DATAGRAM: CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0); break;
    case UNIX_PACKETS: CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0); break;
    case UDP:
        for (int i = 0; i < 2; i++) ends[i] = bound(AF_INET, SOCK_DGRAM, &where[i], &lengths[i]);
        for (int i = 0; i < 2; i++) CHECK_EQ(connect(ends[i], &where[1 - i].any, lengths[1 - i]), 0);
        break;
    default: CHECK_EQ(pipe(ends), 0);
    }
    is_open[0] = is_open[1] = 1;
    if (kind == TCP)
        for (int i = 0; i < 2; i++) CHECK_EQ(setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
    if (!is_socket()) return;
    for (int i = 0; i < 2; i++) {
        set_timeout(ends[i], SO_RCVTIMEO, 5);
        set_timeout(ends[i], SO_SNDTIMEO, 5);
    }
}

/* What was sent is there at once, on a machine that is not busy. */
static void settle(void) {
    if (kind != TCP && kind != UDP) return;
    for (int i = 0; i < 3; i++) syscall(SYS_sched_yield);
}

/* How much is there to read; a pipe and a stream that nobody reads fills up, at places that vary. */
static int queued(int fd) {
    int bytes = 0;
    return syscall(SYS_ioctl, fd, FIONREAD, &bytes) < 0 ? 0 : bytes;
}

static int nonblocking(int fd) {
    return (int)syscall(SYS_fcntl, fd, F_GETFL) & O_NONBLOCK;
}

/* The array's pieces add up to `size`. */
static int cut(struct iovec *pieces, char *from, size_t size) {
    int count = 1 + (int)any(4);
    for (int i = 0; i < count; i++) {
        size_t part = i == count - 1 ? size : any((unsigned)size + 1);
        pieces[i] = (struct iovec){from, part};
        from += part;
        size -= part;
    }
    return count;
}

static void show_result(const char *call, int end, long long result, int error) {
    say("%d %s(%d) = %lld (errno %d)\n", step, call, end, result, result < 0 ? error : 0);
}

#define RECORD(name, call) \
    do { \
        errno = 0; \
        long long recorded = (long long)(call); \
        show_result(name, end, recorded, errno); \
        got = recorded; \
    } while (0)

static void send_something(int end) {
    static const int flags[] = {0, 0, MSG_DONTWAIT, MSG_MORE, MSG_EOR};
    struct iovec pieces[4];
    size_t size = any(8) == 0 ? 0 : any(LARGEST) + 1;
    int fd = ends[end], flag = flags[any(COUNT(flags))] | MSG_NOSIGNAL;
    long long got;
    if (kind == TCP || kind == UDP) flag &= ~MSG_MORE; /* it would wait in the kernel until later */
    if (is_open[1 - end] && queued(ends[1 - end]) > 20000) return;
    for (size_t i = 0; i < size; i++) data[i] = (char)any(256);
    say("send %d, flags %x\n", (int)size, (unsigned)flag);
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (size_t)cut(pieces, data, size)};
    switch (is_socket() ? any(5) : 3 + any(2)) {
    case 0: RECORD("send", send(fd, data, size, flag)); break;
    case 1: RECORD("sendto", sendto(fd, data, size, flag, NULL, 0)); break;
    case 2: RECORD("sendmsg", sendmsg(fd, &message, flag)); break;
    case 3: RECORD("write", write(fd, data, size)); break;
    default: RECORD("writev", writev(fd, pieces, (int)message.msg_iovlen));
    }
    (void)got;
}

static void receive_something(int end) {
    static const int flags[] = {0, 0, 0, MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, MSG_WAITALL, MSG_PEEK | MSG_DONTWAIT};
    struct iovec pieces[4];
    size_t size = any(12) == 0 ? 0 : any(LARGEST * 3) + 1;
    int fd = ends[end], flag = flags[any(COUNT(flags))];
    union address from;
    socklen_t length = sizeof from;
    long long got;
    /* When the time is over, Linux has 0 for who waits for no byte of TCP, and EAGAIN for all others. */
    if (kind == TCP && size == 0) flag |= MSG_DONTWAIT;
    /* Without an end a pipe would be waited for as long as it takes. */
    if (kind == PIPE && !nonblocking(fd) && is_open[1 - end] && queued(fd) == 0) return;
    memset(sink, 0, sizeof sink);
    say("receive %d, flags %x\n", (int)size, (unsigned)flag);
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (size_t)cut(pieces, sink, size)};
    switch (is_socket() ? any(5) : 3 + any(2)) {
    case 0: RECORD("recv", recv(fd, sink, size, flag)); break;
    case 1:
        RECORD("recvfrom", recvfrom(fd, sink, size, flag, &from.any, &length));
        if (got >= 0 && kind == UDP) say("  %d\n", (int)length);
        break;
    case 2:
        RECORD("recvmsg", recvmsg(fd, &message, flag));
        if (got >= 0) say("  %x\n", message.msg_flags);
        break;
    case 3: RECORD("read", read(fd, sink, size)); break;
    default: RECORD("readv", readv(fd, pieces, (int)message.msg_iovlen));
    }
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++) sum = sum * 31 + (unsigned char)sink[i];
    say("  %u\n", kind == TCP && flag & MSG_TRUNC ? 0 : sum);
}

static void look(int end) {
    struct pollfd entries[2] = {{ends[end], (short)any(64), 0}, {any(2) ? ends[1 - end] : -1, POLLIN, 0}};
    struct timeval limit = {0, (int)any(2) * 1000};
    struct epoll_event event = {.events = any(2) ? EPOLLIN : EPOLLIN | EPOLLOUT | EPOLLRDHUP};
    fd_set in, out;
    long long got;
    int set;
    switch (any(3)) {
    case 0:
        RECORD("poll", poll(entries, 2, (int)any(3)));
        say("  %x %x\n", entries[0].revents, entries[1].revents);
        break;
    case 1:
        FD_ZERO(&in);
        FD_ZERO(&out);
        FD_SET(ends[end], &in);
        FD_SET(ends[end], &out);
        RECORD("select", select(ends[end] + 1, &in, any(2) ? &out : NULL, NULL, &limit));
        say("  %d %d\n", FD_ISSET(ends[end], &in) != 0, FD_ISSET(ends[end], &out) != 0);
        break;
    default:
        set = epoll_create1(EPOLL_CLOEXEC);
        CHECK_EQ(epoll_ctl(set, EPOLL_CTL_ADD, ends[end], &event), 0);
        RECORD("epoll_wait", epoll_wait(set, &event, 1, (int)any(3)));
        if (got > 0) say("  %x\n", event.events);
        CHECK_EQ(close(set), 0);
    }
}

static void control(int end) {
    int fd = ends[end], value = 0, other;
    socklen_t size = sizeof value;
    long long got;
    switch (any(9)) {
    case 0:
        RECORD("nonblock", fcntl(fd, F_SETFL, (int)any(2) ? O_NONBLOCK : 0));
        break;
    case 1:
        value = (int)any(2);
        RECORD("FIONBIO", ioctl(fd, FIONBIO, &value));
        break;
    case 2:
        RECORD("FIONREAD", ioctl(fd, FIONREAD, &value));
        say("  %d\n", value);
        break;
    case 3:
        RECORD("F_GETFL", fcntl(fd, F_GETFL));
        break;
    case 4:
        /* Another number of it goes on where this one ends. */
        CHECK((other = dup(fd)) >= 0);
        RECORD("close", close(fd));
        ends[end] = other;
        break;
    case 5:
        CHECK((other = dup(fd)) >= 0);
        CHECK_EQ(dup2(other, fd), fd);
        RECORD("close", close(other));
        break;
    case 6:
        RECORD("SO_ERROR", getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &size));
        say("  %d\n", value);
        break;
    case 7:
        if (is_socket()) set_timeout(fd, any(2) ? SO_RCVTIMEO : SO_SNDTIMEO, 1 + (int)any(5));
        break;
    default:
        if (any(4) == 0) {
            value = (int)any(3);
            say("how %d\n", value);
            RECORD("shutdown", shutdown(fd, value));
        }
    }
    (void)got;
}

static void calls(void) {
    open_pair();
    state = seed;
    for (step = 0; step < CALLS; step++) {
        int end = (int)any(2);
        if (!is_open[end]) end = 1 - end;
        if (kind == PIPE && any(8) != 0) end = (int)any(2); /* most of the time as it should be */
        if (!is_open[end]) continue;
        unsigned what = any(100);
        if (what < 40) send_something(end);
        else if (what < 80) receive_something(end);
        else if (what < 89) look(end);
        else if (what < 99) control(end);
        else if (is_open[1 - end]) {
            /* No reset by unread data: whether it comes before the next call is a matter of luck. */
            if (kind == TCP && queued(ends[end]) > 0) continue;
            TRY(close(ends[end]));
            is_open[end] = 0;
        }
        settle();
    }
    for (int end = 0; end < 2; end++)
        if (is_open[end]) CHECK_EQ(close(ends[end]), 0);
}

int main(int argc, char **argv) {
    static const char *names[KINDS] = {"TCP", "UNIX stream", "UNIX datagram", "UNIX packets", "UDP", "pipe"};
    char name[64];
    signal(SIGPIPE, SIG_IGN);
    same_start();
    for (uint64_t round = 0; round < (argc > 2 ? (uint64_t)atoi(argv[2]) : 10); round++)
        for (kind = 0; kind < KINDS; kind++) {
            seed = (argc > 1 ? (uint64_t)atoi(argv[1]) : 1) + round;
            snprintf(name, sizeof name, "%s, seed %d", names[kind], (int)seed);
            same_named(name, calls);
        }
    return test_done();
}
