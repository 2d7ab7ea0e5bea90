/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A stream that is full takes no bytes at once, as libc's calls do.
 */
#include "net.h"

static int pair[2];

static void sends_nothing(void *argument) {
    static char big[4 << 20];
    struct iovec none = {big, 0};
    struct msghdr message = {.msg_iov = &none, .msg_iovlen = 1};
    (void)argument;
    set_timeout(pair[0], SO_SNDTIMEO, 50);
    /* Until it is full, and known to be. */
    while (send(pair[0], big, sizeof big, 0) > 0) continue;
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(send(pair[0], big, 0, 0), 0);
    CHECK_EQ(sendmsg(pair[0], &message, 0), 0);
    CHECK_EQ(write(pair[0], big, 0), 0);
    CHECK_EQ(writev(pair[0], &none, 1), 0);
}

static void *plainly(void *argument) {
    sends_nothing(argument);
    return NULL;
}

int main(void) {
    static const int families[] = {AF_UNIX, AF_INET};
    pthread_t thread;
    for (size_t i = 0; i < COUNT(families); i++) {
        stream_pair(families[i], pair);
        CHECK_EQ(pthread_create(&thread, NULL, plainly, NULL), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        close_pair(pair);
        stream_pair(families[i], pair);
        spawn_own(sends_nothing, NULL, 0x8000);
        run_all();
        close_pair(pair);
    }
    return test_done();
}
