// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Many TLS connections at once, each in its own coroutine: checks the server's certificate, sends some messages and
 * compares the echoes.
 *
 *   ssl_client 4433 cert.pem 100 10       (port, certificate to trust, connections, messages on each)
 *
 * Build with -ldyco -lssl -lcrypto.
 */
#define DYCO_SSL_OK // before the include: asks for the TLS calls
#include "dyco_coroutine.h"
#include <netinet/in.h>

static SSL_CTX *context;
static uint16_t port;
static int messages, echoed, errors;

static int fail(const char *what)
{
    errors++;
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    ERR_print_errors_fp(stderr);
    return -1;
}

static int talk(SSL *ssl)
{
    char text[64], answer[64];
    for (int i = 0; i < messages; i++) {
        int length = snprintf(text, sizeof text, "message %d over %s", i, SSL_get_version(ssl)), got = 0, n;
        if (dyco_SSL_write(ssl, text, length) != length)
            return fail("dyco_SSL_write");
        for (; got < length; got += n) // TLS is a stream: the echo may come in pieces
            if ((n = dyco_SSL_read(ssl, answer + got, length - got)) <= 0)
                return fail("dyco_SSL_read");
        if (memcmp(text, answer, (size_t)length) != 0)
            return fail("another text came back");
        echoed++;
    }
    return 0;
}

static void client(void *arg)
{
    (void)arg;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    SSL *ssl = SSL_new(context);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        fail("connect");
    else if (ssl == NULL || SSL_set1_host(ssl, "localhost") != 1 || SSL_set_tlsext_host_name(ssl, "localhost") != 1 ||
             SSL_set_fd(ssl, fd) != 1 || dyco_SSL_connect(ssl) != 1)
        fail("dyco_SSL_connect");
    else if (talk(ssl) == 0)
        SSL_shutdown(ssl);
    SSL_free(ssl);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: %s PORT CERTIFICATE CONNECTIONS MESSAGES\n", argv[0]);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN); // OpenSSL writes with write(2)
    port = (uint16_t)atoi(argv[1]);
    messages = atoi(argv[4]);
    context = SSL_CTX_new(TLS_client_method());
    if (context == NULL || SSL_CTX_load_verify_locations(context, argv[2], NULL) != 1) {
        ERR_print_errors_fp(stderr);
        return 1;
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);

    for (int i = atoi(argv[3]); i > 0; i--) {
        int cid = dyco_coroutine_create(client, NULL);
        // OpenSSL keeps addresses of its own and needs some room: a stack that stays in place.
        if (cid < 0 || dyco_coroutine_setStack(cid, NULL, 64 * 1024) < 0)
            fail("dyco_coroutine_create");
    }
    if (dyco_schedule_run() < 0)
        fail("dyco_schedule_run");
    printf("%d messages echoed, %d errors\n", echoed, errors);
    return errors > 0;
}
