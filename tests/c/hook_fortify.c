// modes: fortify
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A program built with _FORTIFY_SOURCE calls __read_chk and its like where the compiler knows the buffer's size but not
 * the length: they, too, wait in their coroutine only, and still stop an overflow.
 */
#include "net.h"

#if !defined(__OPTIMIZE__) || !defined(_FORTIFY_SOURCE)
#error "built without _FORTIFY_SOURCE: nothing to test"
#endif

extern ssize_t __read_chk(int, void *, size_t, size_t);
extern ssize_t __recv_chk(int, void *, size_t, size_t, int);
extern ssize_t __recvfrom_chk(int, void *, size_t, size_t, int, struct sockaddr *, socklen_t *);
extern int __poll_chk(struct pollfd *, nfds_t, int, size_t);
extern int __ppoll_chk(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *, size_t);

/* The compiler cannot know these. */
static volatile size_t length = 4;
static volatile nfds_t one = 1;
static volatile size_t too_long = 400;

static int ends[2];

static void feed(void *argument) {
    (void)argument;
    for (int i = 0; i < 10; i++) {
        dyco_coroutine_sleep(300);
        CHECK_EQ(send(ends[1], "data", 4, 0), 4);
    }
}

static void waits(void *argument) {
    char b[8];
    struct pollfd entries[2] = {{ends[0], POLLIN, 0}, {-1, 0, 0}};
    struct timespec limit = {10, 0};
    (void)argument;
    spawn(feed, NULL);
    /* Through the headers, as a program does it ... */
    CHECK_EQ(read(ends[0], b, length), 4);
    CHECK_EQ(recv(ends[0], b, length, 0), 4);
    CHECK_EQ(recvfrom(ends[0], b, length, 0, NULL, NULL), 4);
    CHECK_EQ(poll(entries, one, 10000), 1);
    CHECK_EQ(recv(ends[0], b, length, MSG_DONTWAIT), 4);
    CHECK_EQ(ppoll(entries, one, &limit, NULL), 1);
    CHECK_EQ(recv(ends[0], b, length, MSG_DONTWAIT), 4);
    /* ... and by name, so that they are sure to be the ones. */
    CHECK_EQ(__read_chk(ends[0], b, length, sizeof b), 4);
    CHECK_EQ(__recv_chk(ends[0], b, length, sizeof b, 0), 4);
    CHECK_EQ(__recvfrom_chk(ends[0], b, length, sizeof b, 0, NULL, NULL), 4);
    CHECK_EQ(__poll_chk(entries, one, 10000, sizeof entries), 1);
    CHECK_EQ(__read_chk(ends[0], b, length, sizeof b), 4);
    CHECK_EQ(__ppoll_chk(entries, one, &limit, NULL, sizeof entries), 1);
    CHECK_EQ(__read_chk(ends[0], b, length, sizeof b), 4);
    limit = (struct timespec){0, 300000000};
    CHECK_EQ(__poll_chk(entries, one, 300, sizeof entries), 0);
    CHECK_EQ(__ppoll_chk(entries, one, &limit, NULL, sizeof entries), 0);
    CHECK_ERRNO(__read_chk(-1, b, length, sizeof b), EBADF);
    CHECK_ERRNO(__recv_chk(ends[0], b, length, sizeof b, MSG_DONTWAIT), EAGAIN);
}

static int overflow_kind;

static void overflows(void *argument) {
    char b[8];
    struct pollfd entries[2];
    (void)argument;
    memset(entries, 0, sizeof entries);
    CHECK_EQ(dyco_coroutine_waitRead(ends[0], 0) >= 0, 1);
    switch (overflow_kind) {
    case 0: CHECK(__read_chk(ends[0], b, too_long, sizeof b) > 0); break;
    case 1: CHECK(__recv_chk(ends[0], b, too_long, sizeof b, MSG_DONTWAIT) > 0); break;
    case 2: CHECK(__recvfrom_chk(ends[0], b, too_long, sizeof b, MSG_DONTWAIT, NULL, NULL) > 0); break;
    case 3: CHECK(__poll_chk(entries, too_long, 0, sizeof entries) > 0); break;
    case 4: CHECK(__ppoll_chk(entries, too_long, NULL, NULL, sizeof entries) > 0); break;
    }
}

static void overflow_inside(void) {
    spawn(overflows, NULL);
    run_all();
}

static void overflow_outside(void) {
    overflows(NULL);
}

int main(void) {
    static char output[4096];
    stream_pair(AF_UNIX, ends);
    in_coroutine(waits, NULL);
    run_by_ring(waits);
    for (overflow_kind = 0; overflow_kind < 5; overflow_kind++) {
        int status = in_child(overflow_inside, output, sizeof output);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        CHECK(strstr(output, "buffer overflow detected") != NULL);
        status = in_child(overflow_outside, output, sizeof output);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
    close_pair(ends);
    return test_done();
}
