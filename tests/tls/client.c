/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Clients of `openssl s_server -rev`, which serves one after the other and sends each line back to front. All connect at
 * once; while one is served the others wait for their handshake. Arguments after the certificate and its key: the port,
 * how many, and the latest protocol version as 2 or 3.
 */
#include "tls.h"

static uint16_t port;
static int served, beats;

static void asks(void *argument) {
    char answer[16];
    int fd = connect_to(port);
    SSL *ssl = session(client_context, fd);
    CHECK_EQ(SSL_set1_host(ssl, "localhost"), 1);
    CHECK_EQ(dyco_SSL_connect(ssl), 1);
    for (int i = 0; i < 10; i++) {
        dyco_coroutine_sleep(1);
        if (i == 5 && argument) CHECK_EQ(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        if (i == 5 && !argument) CHECK_EQ(SSL_renegotiate(ssl), 1);
        write_all(ssl, "abcdef\n", 7);
        read_all(ssl, answer, 7);
        CHECK_EQ(memcmp(answer, "fedcba\n", 7), 0);
    }
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
    served++;
}

static void beat(void *argument) {
    while (served < (int)(intptr_t)argument) {
        beats++;
        dyco_coroutine_sleep(1);
    }
}

int main(int argc, char **argv) {
    CHECK_EQ(argc, 6);
    make_contexts(argv);
    port = (uint16_t)atoi(argv[3]);
    int clients = atoi(argv[4]), is_13 = atoi(argv[5]) == 3;
    SSL_CTX_set_max_proto_version(client_context, is_13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    for (int i = 0; i < clients; i++) spawn_own(asks, is_13 ? &port : NULL, 65536);
    spawn(beat, (void *)(intptr_t)clients);
    run_all();
    CHECK_EQ(served, clients);
    CHECK(beats > clients);
    return test_done();
}
