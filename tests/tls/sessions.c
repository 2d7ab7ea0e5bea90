/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Both sides of TLS in one thread: what each call returns, and that nobody waits but the coroutine that has to.
 */
#include "tls.h"

#include <sys/socket.h>

/* ---- A pair of sessions; each test has one, its two ends in coroutines of their own ---- */

struct pair {
    int fds[2];
    SSL *ssl[2]; /* client, server */
    void (*client)(struct pair *), (*server)(struct pair *);
    int ended;
};

static void half(struct pair *pair, int side) {
    pair->ssl[side] = session(side ? server_context : client_context, pair->fds[side]);
    if (side == 0) CHECK_EQ(SSL_set1_host(pair->ssl[0], "localhost"), 1);
    CHECK_EQ((side ? dyco_SSL_accept : dyco_SSL_connect)(pair->ssl[side]), 1);
    (side ? pair->server : pair->client)(pair);
    CHECK_EQ(fcntl(pair->fds[side], F_GETFL) & O_NONBLOCK, 0); /* as the program has left it */
    CHECK_EQ(ERR_peek_error(), 0);
    SSL_free(pair->ssl[side]);
    close(pair->fds[side]);
    pair->ended++;
}

static void client_half(void *argument) {
    half(argument, 0);
}

static void server_half(void *argument) {
    half(argument, 1);
}

static void with_pair(void (*client)(struct pair *), void (*server)(struct pair *)) {
    struct pair pair = {.client = client, .server = server};
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair.fds), 0);
    spawn_own(server_half, &pair, 65536);
    spawn_own(client_half, &pair, 65536);
    run_all();
    CHECK_EQ(pair.ended, 2);
}

static void echoes(struct pair *pair) {
    static char buffer[1 << 16];
    int n;
    while ((n = dyco_SSL_read(pair->ssl[1], buffer, sizeof buffer)) > 0) write_all(pair->ssl[1], buffer, n);
    CHECK_EQ(n, 0);
    CHECK_EQ(SSL_get_error(pair->ssl[1], n), SSL_ERROR_ZERO_RETURN);
    SSL_shutdown(pair->ssl[1]); /* an answer that nobody may want any more */
    ERR_clear_error();
}

/* ---- Numbers of bytes really moved, and data that is buffered already ---- */

static void counts(struct pair *pair) {
    char buffer[100];
    write_all(pair->ssl[0], "abc", 3);
    CHECK_EQ(dyco_SSL_read(pair->ssl[0], buffer, sizeof buffer), 3);
    write_all(pair->ssl[0], "0123456789", 10);
    CHECK_EQ(dyco_SSL_read(pair->ssl[0], buffer, 4), 4);
    CHECK_EQ(SSL_pending(pair->ssl[0]), 6);
    CHECK_EQ(dyco_SSL_read(pair->ssl[0], buffer, 100), 6); /* does not wait for the socket */
    CHECK_EQ(dyco_SSL_read(NULL, buffer, 1), -1);
    CHECK_EQ(errno, EINVAL);
    CHECK_EQ(dyco_SSL_write(NULL, buffer, 1), -1);
    CHECK_EQ(dyco_SSL_accept(NULL), -1);
    CHECK_EQ(dyco_SSL_connect(NULL), -1);
    SSL_shutdown(pair->ssl[0]);
}

/* ---- More than fits into the socket, in both directions ---- */

enum { LARGE = 4 << 20 };
static char sent[LARGE], got[LARGE];

static void large_client(struct pair *pair) {
    for (int i = 0; i < LARGE; i++) sent[i] = (char)(i * 7 + i / 251);
    dyco_coroutine_sleep(20); /* the other side is full by now */
    read_all(pair->ssl[0], got, LARGE);
    CHECK_EQ(memcmp(got, sent, LARGE), 0);
    SSL_shutdown(pair->ssl[0]);
}

static void large_server(struct pair *pair) {
    char byte;
    write_all(pair->ssl[1], sent, LARGE);
    CHECK_EQ(dyco_SSL_read(pair->ssl[1], &byte, 1), 0);
}

/* ---- Key update of 1.3, renegotiation of 1.2 ---- */

static void key_update(struct pair *pair) {
    char buffer[64];
    CHECK_STR(SSL_get_version(pair->ssl[0]), "TLSv1.3");
    for (int i = 0; i < 20; i++) {
        if (i % 3 == 0) CHECK_EQ(SSL_key_update(pair->ssl[0], SSL_KEY_UPDATE_REQUESTED), 1);
        write_all(pair->ssl[0], "key update", 10);
        read_all(pair->ssl[0], buffer, 10);
    }
    SSL_shutdown(pair->ssl[0]);
}

static void renegotiation(struct pair *pair) {
    char buffer[64];
    CHECK_STR(SSL_get_version(pair->ssl[0]), "TLSv1.2");
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(SSL_renegotiate(pair->ssl[0]), 1);
        write_all(pair->ssl[0], "renegotiated", 12); /* reads in the middle of a write */
        read_all(pair->ssl[0], buffer, 12);
        CHECK_EQ(SSL_renegotiate_pending(pair->ssl[0]), 0);
    }
    SSL_shutdown(pair->ssl[0]);
}

/* ---- Timeouts of the socket ---- */

static void timeouts(struct pair *pair) {
    struct timeval limit = {0, 50000};
    char buffer[16];
    CHECK_EQ(setsockopt(pair->fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    for (int i = 0; i < 3; i++) {
        int64_t begin = now_ms();
        errno = 0;
        int n = dyco_SSL_read(pair->ssl[0], buffer, sizeof buffer);
        int error = errno;
        CHECK_EQ(n, -1);
        CHECK_EQ(error, EAGAIN);
        CHECK_EQ(SSL_get_error(pair->ssl[0], n), SSL_ERROR_WANT_READ);
        CHECK_TOOK(now_ms() - begin, 49, 3000);
        write_all(pair->ssl[0], "still good", 10);
        read_all(pair->ssl[0], buffer, 10);
    }
    SSL_shutdown(pair->ssl[0]);
}

static void full_client(struct pair *pair) {
    struct timeval limit = {0, 50000};
    CHECK_EQ(setsockopt(pair->fds[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), 0);
    errno = 0;
    int n = dyco_SSL_write(pair->ssl[0], sent, LARGE), error = errno;
    CHECK_EQ(n, -1);
    CHECK_EQ(error, EAGAIN);
    CHECK_EQ(SSL_get_error(pair->ssl[0], n), SSL_ERROR_WANT_WRITE);
    do { /* the same call again, until the other side has taken all */
        n = dyco_SSL_write(pair->ssl[0], sent, LARGE);
    } while (n == -1 && errno == EAGAIN);
    CHECK_EQ(n, LARGE);
    SSL_shutdown(pair->ssl[0]);
}

static void slow_server(struct pair *pair) {
    char byte;
    dyco_coroutine_sleep(200);
    read_all(pair->ssl[1], got, LARGE);
    CHECK_EQ(dyco_SSL_read(pair->ssl[1], &byte, 1), 0);
}

/* ---- The peer's end: half-closed, and without a goodbye ---- */

static void half_closed_client(struct pair *pair) {
    char buffer[16];
    write_all(pair->ssl[0], "question", 8);
    CHECK_EQ(SSL_shutdown(pair->ssl[0]), 0); /* we are done, the other side is not */
    read_all(pair->ssl[0], buffer, 6);
    CHECK_EQ(memcmp(buffer, "answer", 6), 0);
    int n = dyco_SSL_read(pair->ssl[0], buffer, 1);
    CHECK_EQ(SSL_get_error(pair->ssl[0], n), SSL_ERROR_ZERO_RETURN);
}

static void half_closed_server(struct pair *pair) {
    char buffer[16];
    read_all(pair->ssl[1], buffer, 8);
    int n = dyco_SSL_read(pair->ssl[1], buffer, 1);
    CHECK_EQ(SSL_get_error(pair->ssl[1], n), SSL_ERROR_ZERO_RETURN);
    dyco_coroutine_sleep(10);
    write_all(pair->ssl[1], "answer", 6);
    SSL_shutdown(pair->ssl[1]);
}

static void vanishes(struct pair *pair) {
    SSL_set_quiet_shutdown(pair->ssl[0], 1);
    CHECK_EQ(shutdown(pair->fds[0], SHUT_RDWR), 0);
}

static void abandoned(struct pair *pair) {
    char byte;
    int n = dyco_SSL_read(pair->ssl[1], &byte, 1);
    CHECK(n <= 0);
    CHECK_EQ(SSL_get_error(pair->ssl[1], n), SSL_ERROR_SSL);
    CHECK_EQ(ERR_GET_REASON(ERR_peek_error()), SSL_R_UNEXPECTED_EOF_WHILE_READING); /* says why */
    ERR_clear_error();
}

/* ---- The error queue is the thread's: an error of one session is none of another's ---- */

static int talking;

static void makes_errors(void *argument) {
    (void)argument;
    while (talking) {
        int fds[2];
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        CHECK_EQ(write(fds[1], "GET / HTTP/1.0\r\n\r\n", 18), 18);
        SSL *ssl = session(server_context, fds[0]);
        int n = dyco_SSL_accept(ssl);
        CHECK(n <= 0);
        CHECK_EQ(SSL_get_error(ssl, n), SSL_ERROR_SSL);
        CHECK_EQ(ERR_GET_REASON(ERR_peek_error()), SSL_R_HTTP_REQUEST);
        SSL_free(ssl); /* and leaves its error in the queue */
        close(fds[0]);
        close(fds[1]);
        dyco_coroutine_sleep(0);
    }
    ERR_clear_error();
}

static void talks(struct pair *pair) {
    char buffer[8];
    talking = 1;
    spawn_own(makes_errors, NULL, 65536);
    for (int i = 0; i < 200; i++) {
        write_all(pair->ssl[0], "x", 1);
        read_all(pair->ssl[0], buffer, 1);
        dyco_coroutine_sleep(0);
    }
    talking = 0;
    dyco_coroutine_sleep(20);
    SSL_shutdown(pair->ssl[0]);
    ERR_clear_error();
}

/* ---- A silent client holds its own coroutine, and nothing else ---- */

static int silent_done;

static void accepts_silence(void *argument) {
    int fd = (int)(intptr_t)argument;
    struct timeval limit = {0, 200000};
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    SSL *ssl = session(server_context, fd);
    errno = 0;
    int n = dyco_SSL_accept(ssl), error = errno;
    CHECK_EQ(n, -1);
    CHECK_EQ(error, EAGAIN);
    CHECK_EQ(SSL_get_error(ssl, n), SSL_ERROR_WANT_READ);
    SSL_free(ssl);
    silent_done++;
}

static void silence(void) {
    int fds[10][2];
    double cpu = cpu_ms();
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds[i]), 0);
        spawn_own(accepts_silence, (void *)(intptr_t)fds[i][0], 65536);
    }
    with_pair(counts, echoes);
    CHECK_EQ(silent_done, 10);
    CHECK(cpu_ms() - cpu < 150); /* nobody spins */
    for (int i = 0; i < 10; i++) close(fds[i][0]), close(fds[i][1]);
}

/* ---- O_NONBLOCK of the program's own: these calls wait all the same, and leave it ---- */

static void nonblocking(struct pair *pair) {
    char buffer[16];
    CHECK_EQ(fcntl(pair->fds[0], F_SETFL, O_NONBLOCK), 0);
    write_all(pair->ssl[0], "x", 1);
    CHECK_EQ(dyco_SSL_read(pair->ssl[0], buffer, 16), 1);
    CHECK(fcntl(pair->fds[0], F_GETFL) & O_NONBLOCK);
    CHECK_EQ(fcntl(pair->fds[0], F_SETFL, 0), 0);
    SSL_shutdown(pair->ssl[0]);
}

/* ---- Outside coroutines: OpenSSL's own calls ---- */

static void *peer(void *argument) {
    char byte;
    SSL *ssl = session(client_context, (int)(intptr_t)argument);
    CHECK_EQ(dyco_SSL_connect(ssl), 1);
    write_all(ssl, "q", 1);
    CHECK_EQ(dyco_SSL_read(ssl, &byte, 1), 1);
    SSL_free(ssl);
    return NULL;
}

static void outside(void) {
    pthread_t thread;
    int fds[2];
    char byte;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CHECK_EQ(pthread_create(&thread, NULL, peer, (void *)(intptr_t)fds[1]), 0);
    SSL *ssl = session(server_context, fds[0]);
    CHECK_EQ(dyco_SSL_accept(ssl), 1);
    CHECK_EQ(dyco_SSL_read(ssl, &byte, 1), 1);
    write_all(ssl, "a", 1);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    SSL_free(ssl);
    close(fds[0]);
    close(fds[1]);
}

int main(int argc, char **argv) {
    CHECK_EQ(argc, 3);
    make_contexts(argv);
    with_pair(counts, echoes);
    int fds = count_fds(); /* the scheduler's own included */
    with_pair(large_client, large_server);
    with_pair(key_update, echoes);
    with_pair(timeouts, echoes);
    with_pair(full_client, slow_server);
    with_pair(half_closed_client, half_closed_server);
    with_pair(vanishes, abandoned);
    with_pair(talks, echoes);
    silence();
    with_pair(nonblocking, echoes);
    outside();
    SSL_CTX_set_max_proto_version(client_context, TLS1_2_VERSION);
    SSL_CTX_clear_options(server_context, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_options(server_context, SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
    with_pair(renegotiation, echoes);
    with_pair(counts, echoes);
    CHECK_EQ(count_fds(), fds);
    SSL_CTX_free(server_context);
    SSL_CTX_free(client_context);
    dyco_schedule_free(NULL);
    return test_done();
}
