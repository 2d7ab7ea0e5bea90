/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * 500 TLS clients and their server at the same time in one thread, while silent clients are connected too.
 */
#include "tls.h"

enum { SILENT = 20, MESSAGES = 10 };

/* The argument after the certificate and its key, if there is one. */
static int clients = 500;

static uint16_t port;
static int listener, good, together, most;

static void serves(void *argument) {
    int fd = (int)(intptr_t)argument, n;
    char buffer[1024];
    SSL *ssl = session(server_context, fd);
    if (dyco_SSL_accept(ssl) == 1) {
        while ((n = dyco_SSL_read(ssl, buffer, sizeof buffer)) > 0) write_all(ssl, buffer, n);
        CHECK_EQ(SSL_get_error(ssl, n), SSL_ERROR_ZERO_RETURN);
        SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    close(fd);
}

static void accepts(void *argument) {
    (void)argument;
    for (int i = 0; i < clients + SILENT; i++) {
        int fd = accept(listener, NULL, NULL);
        CHECK(fd >= 0);
        spawn_own(serves, (void *)(intptr_t)fd, 65536);
    }
}

static void talks(void *argument) {
    char text[100], answer[100];
    int fd = connect_to(port);
    SSL *ssl = session(client_context, fd);
    CHECK_EQ(dyco_SSL_connect(ssl), 1);
    if (++together > most) most = together;
    while (most < clients) dyco_coroutine_sleep(10);
    for (int i = 0; i < MESSAGES; i++) {
        int size = snprintf(text, sizeof text, "client %d, message %d", (int)(intptr_t)argument, i);
        write_all(ssl, text, size);
        read_all(ssl, answer, size);
        CHECK_EQ(memcmp(text, answer, (size_t)size), 0);
        if (i == 5) CHECK_EQ(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    }
    together--;
    good++;
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
}

static void is_silent(void *argument) {
    (void)argument;
    int fd = connect_to(port);
    while (good < clients) dyco_coroutine_sleep(10);
    close(fd);
}

int main(int argc, char **argv) {
    CHECK(argc >= 3);
    if (argc > 3) clients = atoi(argv[3]);
    make_contexts(argv);
    listener = listen_on_loopback(&port);
    spawn_own(accepts, NULL, 65536);
    for (int i = 0; i < SILENT; i++) spawn(is_silent, NULL);
    for (intptr_t i = 0; i < clients; i++) spawn_own(talks, (void *)i, 65536);
    run_all();
    CHECK_EQ(good, clients);
    CHECK_EQ(most, clients);
    return test_done();
}
