/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * OpenSSL's own sockets, the connecting BIO, plain and under TLS, and nginx.
 * Arguments: http or https, HOST:PORT, HOST:CLOSED_PORT, CERTIFICATE.
 */
#include "client.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

static SSL_CTX *context;

static const char *why(void) {
    static char text[256];
    unsigned long error = ERR_peek_error();
    ERR_error_string_n(error, text, sizeof text);
    return text;
}

static int is_tls(void) {
    return strcmp(client_args[0], "https") == 0;
}

/* Connects; NULL with the reason in the error queue. */
static BIO *bio_open(const char *address) {
    BIO *bio;
    if (is_tls()) {
        SSL *ssl = NULL;
        bio = BIO_new_ssl_connect(context);
        CHECK(bio && BIO_get_ssl(bio, &ssl) == 1 && ssl);
        SSL_set_mode(ssl, SSL_MODE_AUTO_RETRY);
        CHECK_EQ(SSL_set1_host(ssl, "localhost"), 1);
        SSL_set_tlsext_host_name(ssl, "localhost");
        BIO_set_conn_hostname(bio, address);
    } else {
        bio = BIO_new_connect(address);
        CHECK(bio != NULL);
    }
    if (BIO_do_connect(bio) != 1) {
        BIO_free_all(bio);
        return NULL;
    }
    return bio;
}

/* Sends a request and reads its answer; the number of body bytes that came, whose begin is in `text`. */
static size_t fetch(BIO *bio, const char *path, int number, char *text, size_t size, unsigned *sum) {
    char request[200], head[4096], *body;
    size_t have = 0, length, rest;
    int n = snprintf(request, sizeof request, "GET %s%d HTTP/1.1\r\nHost: localhost\r\n\r\n", path, number);
    CHECK_SAYS(BIO_write(bio, request, n) == n, why());
    do {
        n = BIO_read(bio, head + have, (int)(sizeof head - 1 - have));
        CHECK_SAYS(n > 0, why());
        have += (size_t)n;
        head[have] = 0;
        body = strstr(head, "\r\n\r\n");
    } while (!body);
    body += 4;
    CHECK(strstr(head, "Content-Length: ") != NULL);
    length = (size_t)atol(strstr(head, "Content-Length: ") + 16);
    have -= (size_t)(body - head);
    CHECK(have <= length);
    snprintf(text, size, "%.*s", (int)have, body);
    *sum = digest(body, have);
    for (rest = length - have; rest > 0; rest -= (size_t)n) {
        n = BIO_read(bio, head, (int)(rest < sizeof head ? rest : sizeof head));
        CHECK_SAYS(n > 0, why());
        for (int i = 0; i < n; i++) *sum = *sum * 31 + (unsigned char)head[i];
        if (have == 0) snprintf(text, size, "%.*s", n, head);
        have += (size_t)n;
    }
    return length;
}

static void get(BIO *bio, const char *path, int number) {
    char text[64], want[64];
    unsigned sum;
    fetch(bio, path, number, text, sizeof text, &sum);
    snprintf(want, sizeof want, "%s%d\n", path, number);
    CHECK_STR(text, want);
}

static void *client_open(int number) {
    BIO *bio = bio_open(client_args[1]);
    CHECK_SAYS(bio != NULL, why());
    get(bio, "/quick/", number);
    return bio;
}

static void client_wait(void *client, int number) {
    get(client, "/slow/", number);
}

static void client_quick(void *client, int round) {
    get(client, "/quick/", round);
}

static void client_close(void *client) {
    BIO_free_all(client);
}

static void client_beside(void) {}

static void show(BIO *bio, const char *path) {
    char text[64];
    unsigned sum;
    size_t size = fetch(bio, path, 1, text, sizeof text, &sum);
    printf("%s: %zu bytes, digest %u\n", path, size, sum);
}

static void client_talk(void) {
    BIO *bio = client_open(0);
    show(bio, "/slow/");
    show(bio, "/large?");
    show(bio, "/nothing/");
    BIO_free_all(bio);
    bio = bio_open(client_args[2]);
    printf("nobody listens: %d, %s\n", bio != NULL, ERR_reason_error_string(ERR_peek_error()));
    ERR_clear_error();
    if (is_tls()) {
        SSL_CTX *known = context;
        CHECK((context = SSL_CTX_new(TLS_client_method())) != NULL);
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
        bio = bio_open(client_args[1]);
        printf("unknown certificate: %d, %s\n", bio != NULL, ERR_reason_error_string(ERR_peek_error()));
        ERR_clear_error();
        SSL_CTX_free(context);
        context = known;
    }
}

int main(int argc, char **argv) {
    CHECK(argc == 6);
    CHECK((context = SSL_CTX_new(TLS_client_method())) != NULL);
    CHECK_EQ(SSL_CTX_load_verify_locations(context, argv[5], NULL), 1);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    return client_main(argc, (const char *const *)argv);
}
