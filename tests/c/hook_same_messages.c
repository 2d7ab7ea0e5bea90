// timeout: 120
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * recvmmsg and sendmmsg: each call returns in a coroutine what it returns in a plain thread.
 */
#include "same.h"

#define MANY 8

static int family, type, ends[2];
static char bytes[MANY][64];
static struct iovec pieces[MANY];
static struct mmsghdr messages[MANY];

static void open_ends(void) {
    if (family == AF_UNIX) {
        CHECK_EQ(socketpair(AF_UNIX, type, 0, ends), 0);
        return;
    }
    if (type == SOCK_STREAM) {
        stream_pair(family, ends);
        return;
    }
    union address where[2];
    socklen_t lengths[2];
    for (int i = 0; i < 2; i++) ends[i] = bound(family, type, &where[i], &lengths[i]);
    for (int i = 0; i < 2; i++) CHECK_EQ(connect(ends[i], &where[1 - i].any, lengths[1 - i]), 0);
}

static void prepare(size_t length) {
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < MANY; i++) {
        memset(bytes[i], 'a' + i, sizeof bytes[i]);
        pieces[i] = (struct iovec){bytes[i], length};
        messages[i].msg_hdr.msg_iov = &pieces[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
}

/* What has come: the lengths and the first bytes. */
static void tell(int count) {
    for (int i = 0; i < count; i++)
        say("[%u %.4s %x]", messages[i].msg_len, bytes[i], (unsigned)messages[i].msg_hdr.msg_flags & 0xffff);
    say("\n");
}

static void sends(void *argument) {
    if (type == SOCK_STREAM) {
        /* In one piece, for what comes in two may be received in two. */
        CHECK_EQ(send(ends[1], argument, strlen(argument), 0), (ssize_t)strlen(argument));
        return;
    }
    for (const char *word = argument; *word; word += 4) CHECK_EQ(send(ends[1], word, 4, 0), 4);
}

/* Words of four bytes, one after the other. */
static void sends_slowly(void *argument) {
    for (char *word = argument; *word; word += 4) {
        if (word != argument) usleep(60000);
        CHECK_EQ(syscall(SYS_sendto, ends[1], word, 4, 0, NULL, 0), 4);
    }
}

static void receives(void) {
    struct timespec limit __attribute__((unused));
    open_ends();
    sends("one two ");
    prepare(8);
    /* All of them are waited for ... */
    after(60, sends_slowly, "threfour");
    int got;
    COMES(60, got = TRY(recvmmsg(ends[0], messages, type == SOCK_STREAM ? 2 : 4, 0, NULL)));
    tell(got);
    later_is_over();
    drain(ends[0]);
    /* ... or the first only. */
    prepare(8);
    after(60, sends, "one two ");
    COMES(60, got = TRY(recvmmsg(ends[0], messages, 1, MSG_WAITFORONE, NULL)));
    tell(got);
    later_is_over();
    drain(ends[0]);
    sends("one two ");
    prepare(4);
    tell(TRY(recvmmsg(ends[0], messages, 5, MSG_WAITFORONE, NULL)));
    sends("one two ");
    prepare(4);
    tell(TRY(recvmmsg(ends[0], messages, 5, MSG_DONTWAIT, NULL)));
    TRY(recvmmsg(ends[0], messages, 5, MSG_DONTWAIT, NULL));
    TRY(recvmmsg(ends[0], messages, 0, 0, NULL));
    /* Peeking sees the same one each time. */
    sends("one ");
    prepare(4);
    tell(TRY(recvmmsg(ends[0], messages, 3, MSG_PEEK, NULL)));
    drain(ends[0]);
#ifndef __aarch64__ /* qemu-user knows no timeout */
    /* The timeout is looked at after each message. */
    sends("one two thre");
    prepare(4);
    limit = (struct timespec){0, 0};
    tell(TRY(recvmmsg(ends[0], messages, 3, 0, &limit)));
    say("%ld %ld\n", (long)limit.tv_sec, limit.tv_nsec);
    limit = (struct timespec){50, 0};
    tell(TRY(recvmmsg(ends[0], messages, 2, 0, &limit)));
    say("%d\n", limit.tv_sec == 49);
    limit = (struct timespec){0, 30000000};
    after(80, sends, "one ");
    COMES(80, tell(TRY(recvmmsg(ends[0], messages, 4, 0, &limit))));
    say("%ld %ld\n", (long)limit.tv_sec, limit.tv_nsec);
    limit = (struct timespec){0, 1000000000};
    TRY(recvmmsg(ends[0], messages, 4, 0, &limit));
    limit = (struct timespec){-1, 0};
    TRY(recvmmsg(ends[0], messages, 4, 0, &limit));
    TRY(recvmmsg(0x7fff, messages, 4, 0, &limit));
#endif
    TRY(recvmmsg(-1, messages, 4, 0, NULL));
    close_pair(ends);
}

static void receives_with_limits(void) {
    open_ends();
    prepare(4);
    set_timeout(ends[0], SO_RCVTIMEO, 100);
    TAKES(100, TRY(recvmmsg(ends[0], messages, 2, 0, NULL)));
    sends("one ");
    TAKES(100, tell(TRY(recvmmsg(ends[0], messages, 2, 0, NULL))));
    set_nonblock(ends[0], 1);
    TRY(recvmmsg(ends[0], messages, 2, 0, NULL));
    sends("one ");
    tell(TRY(recvmmsg(ends[0], messages, 2, 0, NULL)));
    say("%x\n", flags_of(ends[0]) & O_NONBLOCK);
    set_nonblock(ends[0], 0);
    set_timeout(ends[0], SO_RCVTIMEO, 0);
    if (type == SOCK_STREAM) {
        prepare(8);
        after(50, sends_slowly, "one two threfour");
        TAKES(150, tell(TRY(recvmmsg(ends[0], messages, 2, MSG_WAITALL, NULL))));
        sends("one two thre");
        tell(TRY(recvmmsg(ends[0], messages, 2, MSG_WAITALL | MSG_WAITFORONE, NULL)));
    }
    CHECK_EQ(shutdown(ends[0], SHUT_RD), 0);
    prepare(4);
    if (type == SOCK_STREAM) tell(TRY(recvmmsg(ends[0], messages, 3, 0, NULL)));
    close_pair(ends);
}

static void pass_descriptors(void) {
    char control[CMSG_SPACE(sizeof(int))], room[2][CMSG_SPACE(sizeof(int))];
    open_ends();
    prepare(4);
    memset(control, 0, sizeof control);
    messages[1].msg_hdr.msg_control = control;
    messages[1].msg_hdr.msg_controllen = sizeof control;
    struct cmsghdr *header = CMSG_FIRSTHDR(&messages[1].msg_hdr);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &ends[1], sizeof(int));
    TRY(sendmmsg(ends[1], messages, 2, 0));
    prepare(4);
    for (int i = 0; i < 2; i++) {
        messages[i].msg_hdr.msg_control = room[i];
        messages[i].msg_hdr.msg_controllen = sizeof room[i];
    }
    TRY(recvmmsg(ends[0], messages, 2, 0, NULL));
    header = CMSG_FIRSTHDR(&messages[1].msg_hdr);
    say("%d\n", header != NULL && header->cmsg_type == SCM_RIGHTS);
    int got;
    memcpy(&got, CMSG_DATA(header), sizeof got);
    TRY(write(got, "x", 1));
    CHECK_EQ(close(got), 0);
    close_pair(ends);
}

static void __attribute__((unused)) receive_later(void *argument) {
    static __thread char sink[65536];
    size_t left = (size_t)(intptr_t)argument;
    while (left > 0) {
        ssize_t n = syscall(SYS_recvfrom, ends[1], sink, sizeof sink, 0, NULL, NULL);
        if (n <= 0) break;
        left -= (size_t)n < left ? (size_t)n : left;
    }
}

static char large[8 << 20] __attribute__((unused));

static void send_calls(void) {
    open_ends();
    prepare(4);
    tell(TRY(sendmmsg(ends[0], messages, 3, 0)));
    drain(ends[1]);
    TRY(sendmmsg(ends[0], messages, 0, 0));
    TRY(sendmmsg(-1, messages, 1, 0));
    /* An error after the first message is not told. */
    prepare(4);
    pieces[1].iov_base = (void *)8;
    TRY(sendmmsg(ends[0], messages, 3, 0));
    TRY(sendmmsg(ends[0], messages + 1, 2, 0));
    drain(ends[1]);
    if (type == SOCK_STREAM) {
#ifndef __aarch64__ /* qemu-user goes on after a part */
        /* All of each is sent, however long it takes. */
        prepare(4);
        for (int i = 0; i < 3; i++) pieces[i] = (struct iovec){large, sizeof large};
        after(50, receive_later, (void *)(intptr_t)(3 * sizeof large));
        int sent;
        COMES(50, sent = TRY(sendmmsg(ends[0], messages, 3, 0)));
        for (int i = 0; i < sent; i++) say("%u ", messages[i].msg_len);
        say("\n");
        later_is_over();
        /* A part, when the time is up; TCP may well have room for one. */
        set_timeout(ends[0], SO_SNDTIMEO, 100);
        int some = sendmmsg(ends[0], messages, 3, 0);
        say("%d %d\n", some > 0, some < 3 || messages[2].msg_len < sizeof large);
        set_timeout(ends[0], SO_SNDTIMEO, 0);
#endif
    }
    close_pair(ends);
}

/* Nobody is at the other port: the first message is sent, and the next one is told. */
static void refused(void) {
    open_ends();
    CHECK_EQ(close(ends[1]), 0);
    prepare(4);
    int sent = TRY(sendmmsg(ends[0], messages, 1, 0));
    if (sent == 1) {
        TRY(sendmmsg(ends[0], messages, 3, MSG_NOSIGNAL));
        TRY(recvmmsg(ends[0], messages, 3, MSG_DONTWAIT, NULL));
    }
    CHECK_EQ(close(ends[0]), 0);
}

/* Nothing more is to come: each message is empty, and none is waited for. What had come is received first. */
static void shut_down(void) {
    open_ends();
    sends("one.");
    CHECK(shutdown(ends[0], SHUT_RD) == 0);
    prepare(8);
    tell(TRY(recvmmsg(ends[0], messages, 3, 0, NULL)));
    prepare(8);
    tell(TRY(recvmmsg(ends[0], messages, 3, 0, NULL)));
    prepare(8);
    tell(TRY(recvmmsg(ends[0], messages, 2, MSG_DONTWAIT, NULL)));
    close_pair(ends);
}

static void drain_later(void *argument) {
    (void)argument;
    drain(ends[1]);
}

static void wait_for_room(void) {
    open_ends();
    prepare(4);
    int n = 0;
    set_buffer(ends[0], SO_SNDBUF, 4096);
    while (sendmmsg(ends[0], messages, MANY, MSG_DONTWAIT) == MANY) n++;
    say("%d\n", n > 0);
    set_timeout(ends[0], SO_SNDTIMEO, 100);
    TAKES(100, TRY(sendmmsg(ends[0], messages, MANY, 0)));
    set_timeout(ends[0], SO_SNDTIMEO, 0);
    after(80, drain_later, NULL);
    COMES(80, TRY(sendmmsg(ends[0], messages, 2, 0)));
    close_pair(ends);
}

int main(void) {
    static const int kinds[][2] = {{AF_UNIX, SOCK_DGRAM}, {AF_UNIX, SOCK_SEQPACKET}, {AF_UNIX, SOCK_STREAM},
                                   {AF_INET, SOCK_DGRAM}, {AF_INET, SOCK_STREAM}};
    same_start();
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < COUNT(kinds); i++) {
        family = kinds[i][0];
        type = kinds[i][1];
        SAME(receives);
        SAME(receives_with_limits);
        SAME(send_calls);
        SAME(shut_down);
        if (type != SOCK_STREAM) SAME(refused);
        if (family == AF_UNIX && type != SOCK_STREAM) SAME(wait_for_room);
        if (family == AF_UNIX) SAME(pass_descriptors);
    }
    return test_done();
}
