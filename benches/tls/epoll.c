/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tls_epoll CERTIFICATE PORT: echo over TLS, as echo/epoll.c, level-triggered. One SSL_read per event: OpenSSL reads a
 * record's header and body, and a short message leaves nothing behind.
 */
#include "../echo/server.h"

#include <openssl/ssl.h>
#include <sys/epoll.h>

#define MAX_EVENTS 1024

static void answer(int fd, SSL *ssl)
{
    static char buffer[ROOM];

    if (!SSL_is_init_finished(ssl)) {
        int result = SSL_accept(ssl);
        if (result == 1 || SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ)
            return;
    }
    int got = SSL_read(ssl, buffer, ROOM);
    if (got <= 0 && SSL_get_error(ssl, got) == SSL_ERROR_WANT_READ)
        return;
    if (got <= 0 || SSL_write(ssl, buffer, got) != got) {
        SSL_free(ssl);
        close(fd);
    }
}

int main(int argc, char **argv)
{
    struct epoll_event events[MAX_EVENTS];

    MUST(argc == 3);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    MUST(context && SSL_CTX_use_certificate_chain_file(context, argv[1]) == 1);
    MUST(SSL_CTX_use_PrivateKey_file(context, argv[1], SSL_FILETYPE_PEM) == 1);
    int listener = listen_on(atoi(argv[2]), SOCK_NONBLOCK), epoll = epoll_create1(EPOLL_CLOEXEC);
    MUST(epoll >= 0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) == 0);
    for (;;) {
        int ready = epoll_wait(epoll, events, MAX_EVENTS, -1), peer;
        MUST(ready >= 0);
        for (int i = 0; i < ready; i++) {
            SSL *ssl = events[i].data.ptr;
            if (ssl)
                answer(SSL_get_fd(ssl), ssl);
            else
                while ((peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                    MUST((ssl = SSL_new(context)) && SSL_set_fd(ssl, peer) == 1);
                    struct epoll_event event = {.events = EPOLLIN, .data.ptr = ssl};
                    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, peer, &event) == 0);
                }
        }
    }
}
