// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A TLS echo server: dyco_SSL_accept, _read and _write are OpenSSL's calls of these names, except that only the
 * coroutine waits. A client that says nothing holds nothing but its own coroutine, and that for a minute at most.
 *
 *   openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 30 -subj /CN=localhost
 *   ssl_server 4433 cert.pem key.pem
 *   openssl s_client -connect 127.0.0.1:4433
 *
 * Build with -ldyco -lssl -lcrypto.
 */
#define DYCO_SSL_OK // before the include: asks for the TLS calls
#include "dyco_coroutine.h"
#include <netinet/in.h>

static SSL_CTX *context;

static void serve(void *arg)
{
    int fd = (int)(intptr_t)arg, n;
    char buffer[4096];
    struct timeval minute = {.tv_sec = 60};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &minute, sizeof minute);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &minute, sizeof minute);

    SSL *ssl = SSL_new(context);
    if (ssl != NULL && SSL_set_fd(ssl, fd) == 1 && dyco_SSL_accept(ssl) == 1) {
        while ((n = dyco_SSL_read(ssl, buffer, sizeof buffer)) > 0)
            if (dyco_SSL_write(ssl, buffer, n) != n)
                break;
        if (SSL_get_error(ssl, n) == SSL_ERROR_ZERO_RETURN)
            SSL_shutdown(ssl); // the client has said goodbye
    }
    SSL_free(ssl);
    close(fd);
}

static void listens(void *arg)
{
    int listener = (int)(intptr_t)arg;
    for (;;) {
        int fd = accept(listener, NULL, NULL), cid;
        if (fd < 0) {
            dyco_coroutine_sleep(100); // out of descriptors, say: let some close
        } else if ((cid = dyco_coroutine_create(serve, (void *)(intptr_t)fd)) < 0) {
            close(fd);
        } else {
            // OpenSSL keeps addresses of its own and needs some room: a stack that stays in place.
            dyco_coroutine_setStack(cid, NULL, 64 * 1024);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s PORT CERTIFICATE KEY\n", argv[0]);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN); // OpenSSL writes with write(2)
    context = SSL_CTX_new(TLS_server_method());
    if (context == NULL || SSL_CTX_use_certificate_chain_file(context, argv[2]) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, argv[3], SSL_FILETYPE_PEM) != 1) {
        ERR_print_errors_fp(stderr);
        return 1;
    }

    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    address.sin_port = htons((uint16_t)atoi(argv[1]));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, SOMAXCONN) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) < 0 ||
        dyco_coroutine_create(listens, (void *)(intptr_t)listener) < 0) {
        perror("listen");
        return 1;
    }
    printf("TLS echo on port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return dyco_schedule_run() < 0;
}
