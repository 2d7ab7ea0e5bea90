/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A server for curl and `openssl s_client`: answers "GET /N" with N bytes and a POST with what it brought, and echoes
 * anything else line by line. Prints its port, and runs until it is killed.
 */
#include "tls.h"

static int listener;

static void get(SSL *ssl, const char *request) {
    static char body[1 << 16];
    char head[128];
    long left = atol(request + 5);
    int size = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %ld\r\nConnection: close\r\n\r\n", left);
    memset(body, 'b', sizeof body);
    write_all(ssl, head, size);
    for (; left > 0; left -= size) {
        size = left < (long)sizeof body ? (int)left : (int)sizeof body;
        write_all(ssl, body, size);
    }
}

static void post(SSL *ssl, char *request, int have, int room) {
    char head[128], *end, *field = strcasestr(request, "content-length:");
    while (!(end = strstr(request, "\r\n\r\n"))) {
        int n = dyco_SSL_read(ssl, request + have, room - have);
        CHECK(n > 0);
        request[have += n] = 0;
    }
    CHECK((field = strcasestr(request, "content-length:")) != NULL);
    long length = atol(field + 15), got = have - (end + 4 - request);
    char *body = malloc((size_t)length + 1);
    memcpy(body, end + 4, (size_t)got);
    if (length > got) read_all(ssl, body + got, (int)(length - got));
    int size = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %ld\r\nConnection: close\r\n\r\n", length);
    write_all(ssl, head, size);
    write_all(ssl, body, (int)length);
    free(body);
}

static void serves(void *argument) {
    int fd = (int)(intptr_t)argument, n;
    char text[8192];
    SSL *ssl = session(server_context, fd);
    if (dyco_SSL_accept(ssl) == 1) {
        while ((n = dyco_SSL_read(ssl, text, sizeof text - 1)) > 0) {
            text[n] = 0;
            if (strncmp(text, "GET /", 5) == 0) {
                get(ssl, text);
                break;
            }
            if (strncmp(text, "POST /", 6) == 0) {
                post(ssl, text, n, sizeof text - 1);
                break;
            }
            write_all(ssl, text, n);
        }
        SSL_shutdown(ssl);
    }
    ERR_clear_error();
    SSL_free(ssl);
    close(fd);
}

static void accepts(void *argument) {
    (void)argument;
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;) spawn_own(serves, (void *)(intptr_t)fd, 65536);
}

int main(int argc, char **argv) {
    uint16_t port;
    CHECK_EQ(argc, 3);
    make_contexts(argv);
    SSL_CTX_clear_options(server_context, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_options(server_context, SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
    listener = listen_on_loopback(&port);
    printf("port %d\n", port);
    fflush(stdout);
    spawn_own(accepts, NULL, 65536);
    return dyco_schedule_run();
}
