/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the TLS test programs share. Each gets a certificate and its key as its first arguments.
 */
#ifndef DYCO_TEST_TLS_H
#define DYCO_TEST_TLS_H

#define DYCO_SSL_OK
#include "../c/core.h"

static SSL_CTX *server_context, *client_context;

static inline void make_contexts(char **argv) {
    signal(SIGPIPE, SIG_IGN);
    server_context = SSL_CTX_new(TLS_server_method());
    CHECK_EQ(SSL_CTX_use_certificate_file(server_context, argv[1], SSL_FILETYPE_PEM), 1);
    CHECK_EQ(SSL_CTX_use_PrivateKey_file(server_context, argv[2], SSL_FILETYPE_PEM), 1);
    client_context = SSL_CTX_new(TLS_client_method());
    CHECK_EQ(SSL_CTX_load_verify_locations(client_context, argv[1], NULL), 1);
    SSL_CTX_set_verify(client_context, SSL_VERIFY_PEER, NULL);
}

static inline int listen_on_loopback(uint16_t *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(bind(fd, (struct sockaddr *)&address, size), 0);
    CHECK_EQ(listen(fd, 1024), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static inline int connect_to(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_port = htons(port);
    CHECK_EQ(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static inline SSL *session(SSL_CTX *context, int fd) {
    SSL *ssl = SSL_new(context);
    CHECK(ssl != NULL);
    CHECK_EQ(SSL_set_fd(ssl, fd), 1);
    return ssl;
}

static inline void write_all(SSL *ssl, const void *data, int size) {
    CHECK_EQ(dyco_SSL_write(ssl, data, size), size);
}

static inline void read_all(SSL *ssl, void *data, int size) {
    for (int got = 0, n; got < size; got += n) {
        n = dyco_SSL_read(ssl, (char *)data + got, size - got);
        CHECK_BETWEEN(n, 1, size - got);
    }
}

#endif
