/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A descriptor is closed just when what a coroutine waits for has come, before it could run, and its number is another
 * file's at once: the coroutine may still get what it waited for, or EBADF, but nothing of the new file.
 */
// modes: shared archive static ring
#include "net.h"

#include <sys/uio.h>

enum { READ, READV, RECV, RECVMSG, DYCO_RECV, WAIT_READ, PIPE, EVENT, ACCEPT, DYCO_ACCEPT, SEND, DYCO_SEND, WRITE, KINDS };
enum { CLOSE, DUP2, BY_THREAD, WAYS };

static int kind, way, fd, other, fresh[2], replaced, ended;
static struct sockaddr_in address;

static int sends(void) {
    return kind >= SEND;
}

static int a_listener(void) {
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK_EQ(bind(listener, (struct sockaddr *)&address, size), 0);
    CHECK_EQ(listen(listener, 5), 0);
    CHECK_EQ(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    return listener;
}

/* Where it has to wait, the listener may be closed meanwhile. */
static int a_connection(void) {
    int connected = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(connected, (struct sockaddr *)&address, sizeof address) < 0) CHECK_EQ(errno, ECONNRESET);
    return connected;
}

/* A file from which the waiting call would get something, or to which it would give something. */
static int something_else(void) {
    if (kind == ACCEPT || kind == DYCO_ACCEPT) {
        int listener = a_listener();
        fresh[1] = a_connection();
        return listener;
    }
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fresh), 0);
    if (!sends()) CHECK_EQ(send(fresh[1], "stranger", 8, 0), 8);
    return fresh[0];
}

static void *replaces(void *argument) {
    int file = something_else();
    if (way != DUP2) CHECK_EQ(close(fd), 0);
    CHECK_EQ(dup2(file, fd), fd);
    CHECK_EQ(close(file), 0);
    return argument;
}

/* The first to wait is the first to be woken. */
static void closes(void *argument) {
    pthread_t thread;
    (void)argument;
    CHECK((sends() ? dyco_coroutine_waitWrite(fd, 20) : dyco_coroutine_waitRead(fd, 20)) >= 0);
    if (way == BY_THREAD) {
        CHECK_EQ(pthread_create(&thread, NULL, replaces, NULL), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
    } else {
        replaces(NULL);
    }
    replaced = 1;
}

static void waits(void *argument) {
    char bytes[16] = "to a friend";
    uint64_t count = 0;
    struct iovec piece = {bytes, 8};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    ssize_t result = 0;
    int has_come = 0;
    (void)argument;
    errno = 0;
    switch (kind) {
    case READ: case PIPE: result = read(fd, bytes, 8); break;
    case READV: result = readv(fd, &piece, 1); break;
    case RECV: result = recv(fd, bytes, 8, 0); break;
    case RECVMSG: result = recvmsg(fd, &message, 0); break;
    case DYCO_RECV: result = dyco_recv(fd, bytes, 8, 0); break;
    case WAIT_READ: result = dyco_coroutine_waitRead(fd, -1); break;
    case EVENT: result = read(fd, &count, 8); break;
    case ACCEPT: result = accept(fd, NULL, NULL); break;
    case DYCO_ACCEPT: result = dyco_accept(fd, NULL, NULL); break;
    case SEND: result = send(fd, bytes, 8, MSG_NOSIGNAL); break;
    case DYCO_SEND: result = dyco_send(fd, bytes, 8, MSG_NOSIGNAL); break;
    case WRITE: result = write(fd, bytes, 8); break;
    }
    int error = errno;
    if (kind <= DYCO_RECV || kind == PIPE) has_come = result == 1 && bytes[0] == 'f';
    if (kind == EVENT) has_come = result == 8 && count == 1;
    /* By io_uring it comes to this one first. */
    if (!replaced) has_come = result > 0;
    if (!has_come && !(result == -1 && error == EBADF))
        TEST_FAIL("kind %d, way %d: %zd, errno %d", kind, way, result, error);
    ended = 1;
}

/* What the others wait for comes. */
static void acts(void *argument) {
    static char bytes[1 << 20];
    uint64_t one = 1;
    (void)argument;
    dyco_coroutine_sleep(2);
    if (kind == ACCEPT || kind == DYCO_ACCEPT) {
        other = a_connection();
    } else if (kind == EVENT) {
        CHECK_EQ(write(fd, &one, 8), 8);
    } else if (sends()) {
        while (recv(other, bytes, sizeof bytes, MSG_DONTWAIT) > 0) continue;
    } else {
        CHECK_EQ(write(other, "f", 1), 1);
    }
}

static void try_it(int own) {
    int ends[2] = {-1, -1};
    char byte;
    if (kind == ACCEPT || kind == DYCO_ACCEPT) ends[0] = a_listener();
    else if (kind == EVENT) CHECK((ends[0] = eventfd(0, 0)) >= 0);
    else if (kind == PIPE) CHECK_EQ(pipe(ends), 0);
    else CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    fd = ends[0], other = ends[1];
    if (sends()) fill(fd);
    replaced = ended = 0;
    spawn(closes, NULL);
    if (own) spawn_own(waits, NULL, 32 << 10);
    else spawn(waits, NULL);
    spawn(acts, NULL);
    run_all();
    CHECK_EQ(ended, 1);
    CHECK_EQ(replaced, 1);
    if (sends()) CHECK_ERRNO(recv(fresh[1], &byte, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(close(fresh[1]), 0);
    if (other >= 0) CHECK_EQ(close(other), 0);
}

int main(void) {
    for (kind = 0; kind < KINDS; kind++)
        for (way = 0; way < WAYS; way++)
            for (int own = 0; own < 2; own++) try_it(own);
    return test_done();
}
