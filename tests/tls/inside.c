/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Nobody waits inside OpenSSL, whose error queue is the thread's: what others leave in it meanwhile is neither taken for
 * the session's own nor left behind.
 */
#include "tls.h"

#include <sys/socket.h>

static int fds[2], done;

/* Another coroutine's mishap, 20 ms later. */
static void leaves_an_error(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(20);
    ERR_raise(ERR_LIB_USER, 42);
}

static void ran_out(SSL *ssl, int n, int error, int wanted) {
    CHECK_EQ(n, -1);
    CHECK_EQ(error, EAGAIN);
    CHECK_EQ(SSL_get_error(ssl, n), wanted);
    CHECK_EQ(ERR_peek_error(), 0);
}

static void limit(int option, int ms) {
    struct timeval limit = {0, ms * 1000};
    CHECK_EQ(setsockopt(fds[1], SOL_SOCKET, option, &limit, sizeof limit), 0);
}

/* One that waits for ever, one that waits for its peer: in the handshake, to read, to write. */
static void server(void *argument) {
    static char block[1 << 20];
    char byte;
    int out = -1;
    SSL *ssl = session(server_context, fds[1]);
    if (argument) { /* written through another number */
        CHECK((out = dup(fds[1])) >= 0);
        CHECK_EQ(SSL_set_wfd(ssl, out), 1);
    }
    limit(SO_RCVTIMEO, 60);
    spawn_own(leaves_an_error, NULL, 65536);
    errno = 0;
    int n = dyco_SSL_accept(ssl), error = errno;
    ran_out(ssl, n, error, SSL_ERROR_WANT_READ);
    limit(SO_RCVTIMEO, 0);
    done = 1; /* the client begins 60 ms from now */
    spawn_own(leaves_an_error, NULL, 65536);
    CHECK_EQ(dyco_SSL_accept(ssl), 1);
    CHECK_EQ(ERR_peek_error(), 0);

    limit(SO_RCVTIMEO, 60);
    spawn_own(leaves_an_error, NULL, 65536);
    errno = 0;
    n = dyco_SSL_read(ssl, &byte, 1), error = errno;
    ran_out(ssl, n, error, SSL_ERROR_WANT_READ);
    limit(SO_RCVTIMEO, 0);
    done = 2;
    spawn_own(leaves_an_error, NULL, 65536);
    CHECK_EQ(dyco_SSL_read(ssl, &byte, 1), 1);
    CHECK_EQ(ERR_peek_error(), 0);

    limit(SO_SNDTIMEO, 60);
    spawn_own(leaves_an_error, NULL, 65536);
    errno = 0;
    n = dyco_SSL_write(ssl, block, sizeof block), error = errno;
    ran_out(ssl, n, error, SSL_ERROR_WANT_WRITE);
    limit(SO_SNDTIMEO, 0);
    done = 3;
    spawn_own(leaves_an_error, NULL, 65536);
    CHECK_EQ(dyco_SSL_write(ssl, block, sizeof block), (int)sizeof block);
    CHECK_EQ(ERR_peek_error(), 0);
    SSL_free(ssl);
    CHECK_EQ(close(fds[1]), 0);
    if (out >= 0) CHECK_EQ(close(out), 0);
    done = 4;
}

static void wait_for(int step) {
    while (done < step) dyco_coroutine_sleep(5);
    dyco_coroutine_sleep(60);
}

static void client(void *argument) {
    static char block[1 << 20];
    (void)argument;
    wait_for(1);
    SSL *ssl = session(client_context, fds[0]);
    CHECK_EQ(SSL_set1_host(ssl, "localhost"), 1);
    CHECK_EQ(dyco_SSL_connect(ssl), 1);
    wait_for(2);
    write_all(ssl, "x", 1);
    wait_for(3);
    read_all(ssl, block, sizeof block);
    SSL_free(ssl);
    CHECK_EQ(close(fds[0]), 0);
}

static void both(void *separate) {
    done = 0;
    spawn_own(server, separate, 65536);
    spawn_own(client, NULL, 65536);
    run_all();
    CHECK_EQ(done, 4);
    ERR_clear_error();
}

int main(int argc, char **argv) {
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    uint16_t port;
    CHECK_EQ(argc, 3);
    make_contexts(argv);
    for (int separate = 0; separate < 2; separate++) {
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        both(separate ? fds : NULL);
    }
    int listening = listen_on_loopback(&port);
    fds[0] = connect_to(port);
    CHECK((fds[1] = accept(listening, (struct sockaddr *)&address, &size)) >= 0);
    /* 1 MiB must not fit. */
    CHECK_EQ(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &(int){16384}, sizeof(int)), 0);
    CHECK_EQ(setsockopt(fds[0], SOL_SOCKET, SO_RCVBUF, &(int){16384}, sizeof(int)), 0);
    both(NULL);
    CHECK_EQ(close(listening), 0);
    SSL_CTX_free(server_context);
    SSL_CTX_free(client_context);
    dyco_schedule_free(NULL);
    return test_done();
}
