/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Records as TCP brings them: several at once, in pieces, small and large, broken. What a read leaves in the socket is
 * what OpenSSL alone would have left there, so nothing is hidden from whoever else looks.
 */
#include "tls.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/ioctl.h>

/* As connect_to(), and what is sent goes at once. */
static int connect_at_once(uint16_t port) {
    int fd = connect_to(port), one = 1;
    CHECK_EQ(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), 0);
    return fd;
}

/* ---- A peer that makes records and sends their bytes as it likes; it has a thread of its own ---- */

struct peer {
    int fd;
    SSL *ssl;
    BIO *in, *out;
};

/* The next `size` bytes of plain text, as records. */
static int seal(struct peer *peer, const void *text, int size, char *records, int room) {
    if (size > 0) CHECK_EQ(SSL_write(peer->ssl, text, size), size);
    int n = BIO_read(peer->out, records, room);
    return n > 0 ? n : 0;
}

static void send_all(int fd, const char *bytes, int size) {
    for (int sent = 0, n; sent < size; sent += n) CHECK((n = (int)send(fd, bytes + sent, (size_t)(size - sent), 0)) > 0);
}

static void meet(struct peer *peer, int fd) {
    char bytes[1 << 14];
    *peer = (struct peer){fd, SSL_new(client_context), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem())};
    SSL_set_bio(peer->ssl, peer->in, peer->out);
    for (;;) {
        int result = SSL_connect(peer->ssl);
        send_all(fd, bytes, seal(peer, NULL, 0, bytes, sizeof bytes));
        if (result == 1) return;
        CHECK_EQ(SSL_get_error(peer->ssl, result), SSL_ERROR_WANT_READ);
        int n = (int)recv(fd, bytes, sizeof bytes, 0);
        CHECK(n > 0);
        CHECK_EQ(BIO_write(peer->in, bytes, n), n);
    }
}

/* ---- The two sides: `ours` reads by coroutines or, to compare, by OpenSSL alone ---- */

struct scene {
    void (*theirs)(struct peer *);
    void (*ours)(SSL *, int fd);
    int listener;
    uint16_t port;
    int plainly;
};

/* How the reading side says that it is ready for the peer's next act, and the peer that sizes are there to be seen. */
static sem_t turn, there;
static int (*reads)(SSL *, void *, int);

static void *peer_thread(void *argument) {
    struct scene *scene = argument;
    struct peer peer;
    meet(&peer, connect_at_once(scene->port));
    scene->theirs(&peer);
    SSL_free(peer.ssl);
    close(peer.fd);
    return NULL;
}

static void our_side(void *argument) {
    struct scene *scene = argument;
    int fd = accept(scene->listener, NULL, NULL);
    SSL *ssl = session(server_context, fd);
    SSL_set_num_tickets(ssl, 0);
    CHECK_EQ((scene->plainly ? SSL_accept : dyco_SSL_accept)(ssl), 1);
    scene->ours(ssl, fd);
    SSL_free(ssl);
    close(fd);
}

static void play(void (*theirs)(struct peer *), void (*ours)(SSL *, int), int plainly) {
    struct scene scene = {.theirs = theirs, .ours = ours, .plainly = plainly};
    pthread_t thread;
    reads = plainly ? SSL_read : dyco_SSL_read;
    CHECK_EQ(sem_init(&turn, 0, 0), 0);
    CHECK_EQ(sem_init(&there, 0, 0), 0);
    scene.listener = listen_on_loopback(&scene.port);
    CHECK_EQ(pthread_create(&thread, NULL, peer_thread, &scene), 0);
    if (plainly) {
        our_side(&scene);
    } else {
        spawn_own(our_side, &scene, 128 << 10);
        run_all();
    }
    CHECK_EQ(pthread_join(thread, NULL), 0);
    close(scene.listener);
}

/* In turn, since the first is what the second is compared with. */
static void both_ways(void (*theirs)(struct peer *), void (*ours)(SSL *, int)) {
    play(theirs, ours, 1);
    play(theirs, ours, 0);
}

static int waiting(int fd) {
    int bytes;
    CHECK_EQ(ioctl(fd, FIONREAD, &bytes), 0);
    return bytes;
}

static int readable(int fd) {
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    return poll(&entry, 1, 0);
}

static void await_bytes(int fd, int bytes) {
    while (waiting(fd) < bytes) dyco_coroutine_sleep(1);
}

/* ---- Several at once ---- */

static int sealed[3];

static void sends_three(struct peer *peer) {
    char bytes[1024];
    int size = 0;
    for (int i = 0; i < 3; i++)
        size += sealed[i] = seal(peer, "0123456789", 4 + i, bytes + size, (int)sizeof bytes - size);
    sem_post(&there);
    send_all(peer->fd, bytes, size);
    sem_wait(&turn);
}

static void reads_three(SSL *ssl, int fd) {
    char text[100];
    sem_wait(&there);
    await_bytes(fd, sealed[0] + sealed[1] + sealed[2]);
    CHECK_EQ(reads(ssl, text, sizeof text), 4);
    CHECK_EQ(SSL_has_pending(ssl), 0);
    CHECK_EQ(waiting(fd), sealed[1] + sealed[2]); /* nothing is hidden in the library */
    CHECK_EQ(readable(fd), 1);
    CHECK_EQ(reads(ssl, text, 2), 2);
    CHECK_EQ(waiting(fd), sealed[2]);
    CHECK_EQ(reads(ssl, text, sizeof text), 3);
    CHECK_EQ(waiting(fd), sealed[2]);
    CHECK_EQ(reads(ssl, text, sizeof text), 6);
    CHECK_EQ(memcmp(text, "012345", 6), 0);
    CHECK_EQ(waiting(fd), 0);
    CHECK_EQ(readable(fd), 0);
    sem_post(&turn);
}

/* ---- In two pieces, cut anywhere, with or without the next record behind ---- */

enum { CUT = 40 };

static void sends_pieces(struct peer *peer) {
    char bytes[1024];
    for (int cut = 1; cut <= CUT; cut++) {
        int size = seal(peer, "in two pieces", 13, bytes, sizeof bytes);
        int more = seal(peer, "next", 4, bytes + size, (int)sizeof bytes - size);
        int first = cut < size ? cut : size;
        sem_wait(&turn);
        send_all(peer->fd, bytes, first);
        usleep(1000);
        send_all(peer->fd, bytes + first, size + more - first);
    }
    sem_wait(&turn);
}

static void reads_pieces(SSL *ssl, int fd) {
    char text[100];
    for (int cut = 1; cut <= CUT; cut++) {
        sem_post(&turn);
        CHECK_EQ(reads(ssl, text, sizeof text), 13);
        CHECK_EQ(memcmp(text, "in two pieces", 13), 0);
        CHECK_EQ(reads(ssl, text, sizeof text), 4);
        CHECK_EQ(waiting(fd), 0);
    }
    sem_post(&turn);
}

/* ---- Small and large ones in turn, alone and with a small one right behind ---- */

static const int sizes[] = {1, 2021, 2022, 2023, 2026, 2027, 2048, 5, 4096, 16384, 1, 16384, 16384, 3, 2020, 100};
static char pattern[16384];

static void sends_sizes(struct peer *peer) {
    static char bytes[40000];
    for (size_t i = 0; i < COUNT(sizes) * 2; i++) {
        int size = seal(peer, pattern, sizes[i / 2], bytes, sizeof bytes);
        if (i % 2) size += seal(peer, "behind", 6, bytes + size, (int)sizeof bytes - size);
        sem_wait(&turn);
        send_all(peer->fd, bytes, size);
    }
    sem_wait(&turn);
}

static void reads_exactly(SSL *ssl, char *text, int size) {
    for (int got = 0, n; got < size; got += n) CHECK((n = reads(ssl, text + got, size - got)) > 0);
}

static void reads_sizes(SSL *ssl, int fd) {
    static char text[sizeof pattern];
    for (size_t i = 0; i < COUNT(sizes) * 2; i++) {
        sem_post(&turn);
        reads_exactly(ssl, text, sizes[i / 2]);
        CHECK_EQ(memcmp(text, pattern, (size_t)sizes[i / 2]), 0);
        if (i % 2) {
            reads_exactly(ssl, text, 6);
            CHECK_EQ(memcmp(text, "behind", 6), 0);
        }
        CHECK_EQ(waiting(fd), 0);
    }
    sem_post(&turn);
}

/* ---- No record: what is wrong, and what is left in the socket, is the same ---- */

static const char *const nonsense[] = {"GET / HTTP/1.1\r\n\r\n", "\x63\x03\x03\x00\x04nonsense", "\x17\x03\x03\x00\x00zzz",
                                       "\x17\x03\x03\x00\x04zzzzzzzz", "\x17\x09\x09\x00\x04zzzzzzzz", "\x17\x03\x03"};
static const int nonsense_sizes[] = {18, 13, 8, 13, 13, 3};
static size_t which;
static int left[COUNT(nonsense)];

static void sends_nonsense(struct peer *peer) {
    send_all(peer->fd, nonsense[which], nonsense_sizes[which]);
    sem_wait(&turn);
    shutdown(peer->fd, SHUT_WR);
    sem_wait(&turn);
}

static void reads_nonsense(SSL *ssl, int fd) {
    char text[100];
    await_bytes(fd, nonsense_sizes[which]);
    if (which == COUNT(nonsense) - 1) sem_post(&turn); /* only the end tells */
    int n = reads(ssl, text, sizeof text);
    CHECK(n <= 0);
    CHECK_EQ(SSL_get_error(ssl, n), SSL_ERROR_SSL);
    ERR_clear_error();
    if (reads == SSL_read)
        left[which] = waiting(fd);
    else
        CHECK_EQ(waiting(fd), left[which]);
    sem_post(&turn);
    sem_post(&turn);
}

/* ---- A timeout in the middle of a record, and a program that looks ahead itself ---- */

static void sends_late(struct peer *peer) {
    char bytes[1024];
    int size = seal(peer, "late", 4, bytes, sizeof bytes);
    for (int i = 0; i < 2; i++) {
        send_all(peer->fd, bytes + 7 * i, 7);
        sem_wait(&turn);
    }
    send_all(peer->fd, bytes + 14, size - 14);
    sem_wait(&turn);
    sealed[0] = size = seal(peer, "whole", 5, bytes, sizeof bytes);
    size += seal(peer, "other", 5, bytes + size, (int)sizeof bytes - size);
    sem_post(&there);
    send_all(peer->fd, bytes, size);
    sem_wait(&turn);
}

static void reads_late(SSL *ssl, int fd) {
    char text[100];
    struct timeval limit = {0, 30000};
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    for (int i = 0; i < 2; i++) {
        int n = reads(ssl, text, sizeof text);
        CHECK_EQ(n, -1);
        CHECK_EQ(SSL_get_error(ssl, n), SSL_ERROR_WANT_READ);
        sem_post(&turn);
    }
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){0, 0}, sizeof limit), 0);
    CHECK_EQ(reads(ssl, text, sizeof text), 4);
    sem_post(&turn);
    sem_wait(&there);
    await_bytes(fd, 2 * sealed[0]);
    setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &sealed[0], sizeof sealed[0]); /* of TCP since Linux 6.9 */
    CHECK_EQ(reads(ssl, text, sizeof text), 5);
    CHECK_EQ(memcmp(text, "whole", 5), 0);
    CHECK_EQ(reads(ssl, text, sizeof text), 5);
    CHECK_EQ(memcmp(text, "other", 5), 0);
    CHECK_EQ(waiting(fd), 0);
    sem_post(&turn);
}

/* ---- Many sessions whose callback waits between a header and its body, while others read and write ---- */

enum { SESSIONS = 40, ROUNDS = 20 };
static int listener, ended;
static uint16_t port;
static unsigned pauses;

static void pauses_between(int write, int version, int type, const void *data, size_t size, SSL *ssl, void *argument) {
    (void)write, (void)version, (void)data, (void)size, (void)ssl, (void)argument;
    if (type == SSL3_RT_HEADER && ++pauses % 3 == 0) dyco_coroutine_sleep(pauses % 2);
}

static void echoes(void *argument) {
    int fd = (int)(intptr_t)argument, n;
    char text[4096];
    SSL *ssl = session(server_context, fd);
    CHECK_EQ(dyco_SSL_accept(ssl), 1);
    SSL_set_msg_callback(ssl, pauses_between);
    while ((n = dyco_SSL_read(ssl, text, sizeof text)) > 0) write_all(ssl, text, n);
    CHECK_EQ(SSL_get_error(ssl, n), SSL_ERROR_ZERO_RETURN);
    CHECK_EQ(waiting(fd), 0);
    SSL_free(ssl);
    /* The try is over: calls wait again. */
    CHECK_EQ(recv(fd, text, sizeof text, 0), 0);
    close(fd);
}

static void accepts(void *argument) {
    (void)argument;
    for (int i = 0; i < SESSIONS; i++) {
        int fd = accept(listener, NULL, NULL);
        CHECK(fd >= 0);
        spawn_own(echoes, (void *)(intptr_t)fd, 128 << 10);
    }
}

static void talks(void *argument) {
    char text[2500], answer[2500];
    int fd = connect_at_once(port), number = (int)(intptr_t)argument;
    SSL *ssl = session(client_context, fd);
    CHECK_EQ(dyco_SSL_connect(ssl), 1);
    if (number % 2) SSL_set_msg_callback(ssl, pauses_between);
    for (int i = 0; i < ROUNDS; i++) {
        int size = 1 + (number * 97 + i * 131) % (int)sizeof text;
        memset(text, 'a' + (number + i) % 26, (size_t)size);
        if (size > 1) write_all(ssl, text, size / 2);
        if (i % 2) dyco_coroutine_sleep(i % 4 == 1);
        write_all(ssl, text + size / 2, size - size / 2);
        read_all(ssl, answer, size);
        CHECK_EQ(memcmp(text, answer, (size_t)size), 0);
    }
    CHECK_EQ(SSL_shutdown(ssl), 0);
    CHECK_EQ(shutdown(fd, SHUT_WR), 0);
    CHECK_EQ(recv(fd, answer, 1, 0), 0);
    SSL_free(ssl);
    close(fd);
    ended++;
}

static void callbacks(void) {
    listener = listen_on_loopback(&port);
    ended = 0;
    spawn_own(accepts, NULL, 64 << 10);
    for (intptr_t i = 0; i < SESSIONS; i++) spawn_own(talks, (void *)i, 128 << 10);
    run_all();
    CHECK_EQ(ended, SESSIONS);
    close(listener);
}

/* ---- Between a header and its body the peer sends more, or is about to: 1 it may, 2 it has begun, 3 the body was read ---- */

static int step, hesitates;

static void waits_for_more(int write, int version, int type, const void *data, size_t size, SSL *ssl, void *argument) {
    (void)version, (void)data, (void)size, (void)ssl, (void)argument;
    if (write || type != SSL3_RT_HEADER || step > 0) return;
    step = 1;
    while (step < 2) dyco_coroutine_sleep(1);
    dyco_coroutine_sleep(2); /* what has come is known */
}

static void begins(int write, int version, int type, const void *data, size_t size, SSL *ssl, void *argument) {
    (void)version, (void)data, (void)size, (void)ssl, (void)argument;
    if (!write || type != SSL3_RT_HEADER || step != 1 || !hesitates) return;
    step = 2;
    while (step < 3) dyco_coroutine_sleep(1);
}

static void reads_two(void *argument) {
    (void)argument;
    char text[100];
    int fd = accept(listener, NULL, NULL);
    SSL *ssl = session(server_context, fd);
    CHECK_EQ(dyco_SSL_accept(ssl), 1);
    SSL_set_msg_callback(ssl, waits_for_more);
    CHECK_EQ(dyco_SSL_read(ssl, text, sizeof text), 3);
    step = 3;
    CHECK_EQ(dyco_SSL_read(ssl, text, sizeof text), 4);
    CHECK_EQ(memcmp(text, "more", 4), 0);
    CHECK_EQ(waiting(fd), 0);
    SSL_free(ssl);
    close(fd);
}

static void writes_two(void *argument) {
    (void)argument;
    int fd = connect_at_once(port);
    char end;
    SSL *ssl = session(client_context, fd);
    CHECK_EQ(dyco_SSL_connect(ssl), 1);
    SSL_set_msg_callback(ssl, begins);
    dyco_coroutine_sleep(5);
    write_all(ssl, "one", 3);
    while (step < 1) dyco_coroutine_sleep(1);
    CHECK_EQ((hesitates ? dyco_SSL_write : SSL_write)(ssl, "more", 4), 4);
    if (step < 2) step = 2;
    while (recv(fd, &end, 1, 0) > 0) continue;
    SSL_free(ssl);
    close(fd);
}

static void in_between(void) {
    for (hesitates = 0; hesitates < 2; hesitates++) {
        step = 0;
        listener = listen_on_loopback(&port);
        spawn_own(reads_two, NULL, 128 << 10);
        spawn_own(writes_two, NULL, 128 << 10);
        run_all();
        CHECK_EQ(step, 3);
        close(listener);
    }
}

int main(int argc, char **argv) {
    CHECK(argc >= 3);
    make_contexts(argv);
    for (size_t i = 0; i < sizeof pattern; i++) pattern[i] = (char)(i * 7 + i / 251);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX_set_max_proto_version(client_context, version);
        both_ways(sends_three, reads_three);
        both_ways(sends_pieces, reads_pieces);
        both_ways(sends_sizes, reads_sizes);
        for (which = 0; which < COUNT(nonsense); which++) both_ways(sends_nonsense, reads_nonsense);
        both_ways(sends_late, reads_late);
        callbacks();
        in_between();
    }
    return test_done();
}
