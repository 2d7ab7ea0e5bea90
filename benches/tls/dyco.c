/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* tls_dyco own|shared CERTIFICATE PORT: echo over TLS, a coroutine per connection. */
#define DYCO_SSL_OK
#include "../common/dyco.h"
#include "../echo/server.h"

static SSL_CTX *context;
static int port;

static void serve(void *arg)
{
    int fd = (int)(intptr_t)arg, got;
    char buffer[ROOM];
    SSL *ssl = SSL_new(context);

    MUST(ssl && SSL_set_fd(ssl, fd) == 1);
    if (dyco_SSL_accept(ssl) == 1)
        while ((got = dyco_SSL_read(ssl, buffer, sizeof buffer)) > 0)
            if (dyco_SSL_write(ssl, buffer, got) != got)
                break;
    SSL_free(ssl);
    dyco_close(fd);
}

static void listen_and_accept(void *arg)
{
    int listener = listen_on(port, 0);

    (void)arg;
    for (;;) {
        int fd = dyco_accept(listener, NULL, NULL);
        MUST(fd >= 0);
        int cid = dyco_coroutine_create(serve, (void *)(intptr_t)fd);
        MUST(cid > 0);
        if (own_stacks) /* a handshake takes more than the default */
            MUST(dyco_coroutine_setStack(cid, NULL, DYCO_MAX_STACKSIZE) == 1);
    }
}

int main(int argc, char **argv)
{
    MUST(argc == 4);
    choose_stacks(argv[1]);
    MUST(context = SSL_CTX_new(TLS_server_method()));
    MUST(SSL_CTX_use_certificate_chain_file(context, argv[2]) == 1);
    MUST(SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) == 1);
    port = atoi(argv[3]);
    MUST(dyco_coroutine_create(listen_and_accept, NULL) > 0);
    MUST(dyco_schedule_run() == 0);
    return 0;
}
