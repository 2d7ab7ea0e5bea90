/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A closed loop: a 64-byte message in flight on each connection, every byte of the answers checked.
 *
 * echo: connections stay. session: each carries three messages, is closed, and the next one takes its place; its requests
 * are whole sessions. Built with -DTLS all is encrypted.
 */
#include "client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef TLS
#include <openssl/ssl.h>
#endif

#define MESSAGE 64
#define MAX_EVENTS 1024
#define STALLED_MS 20000
#define SESSION 3 /* messages */

struct connection {
    int fd;
#ifdef TLS
    SSL *ssl;
#endif
    uint32_t got;
    int left; /* messages of this session */
    uint64_t sequence;
    uint64_t sent_at;
    uint64_t answered; /* in measured time */
};

static struct connection *connections;
static int connection_count, epoll;
static int sessions; /* connections come and go */
static struct sockaddr_in server;

/* The transport: all or nothing of a short message; 0 from get: not yet. */

#ifdef TLS

static void begin_transport(struct connection *c)
{
    static SSL_CTX *context;

    if (!context)
        MUST(context = SSL_CTX_new(TLS_client_method()));
    MUST(c->ssl = SSL_new(context));
    MUST(SSL_set_fd(c->ssl, c->fd) == 1);
    MUST(SSL_connect(c->ssl) == 1);
}

static void put(struct connection *c, const void *bytes)
{
    MUST(SSL_write(c->ssl, bytes, MESSAGE) == MESSAGE);
}

static ssize_t get(struct connection *c, void *bytes, size_t room)
{
    return SSL_read(c->ssl, bytes, (int)room);
}

#else

static void begin_transport(struct connection *c)
{
    (void)c;
}

static void put(struct connection *c, const void *bytes)
{
    MUST(send(c->fd, bytes, MESSAGE, MSG_NOSIGNAL) == MESSAGE);
}

static ssize_t get(struct connection *c, void *bytes, size_t room)
{
    return recv(c->fd, bytes, room, 0);
}

#endif

static void fill(unsigned char *message, int index, uint64_t sequence)
{
    for (unsigned i = 0; i < MESSAGE / 8; i++) {
        uint64_t word = ((uint64_t)index << 40) ^ (sequence << 4) ^ i;
        memcpy(message + 8 * i, &word, 8);
    }
}

static void ask(int index)
{
    struct connection *c = &connections[index];
    unsigned char message[MESSAGE];

    fill(message, index, ++c->sequence);
    c->got = 0;
    put(c, message);
}

/* True when the whole answer is here. */
static int answered(int index)
{
    struct connection *c = &connections[index];
    unsigned char expected[MESSAGE], answer[MESSAGE];

    ssize_t got = get(c, answer, MESSAGE - c->got);
    MUST(got > 0);
    fill(expected, index, c->sequence);
    if (memcmp(answer, expected + c->got, (size_t)got) != 0) {
        fprintf(stderr, "load: wrong bytes on connection %d, message %llu\n", index, (unsigned long long)c->sequence);
        exit(1);
    }
    c->got += (uint32_t)got;
    return c->got == MESSAGE;
}

static void open_connection(int index)
{
    static uint32_t source;
    struct connection *c = &connections[index];
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)index};
    struct sockaddr_in mine = {.sin_family = AF_INET};
    struct timeval patience = {.tv_sec = STALLED_MS / 1000};
    int on = 1;

    MUST((c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0);
    MUST(setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    /* Closed sessions keep their ports for a minute: so many addresses have enough of them. */
    mine.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + source++ % 64);
    MUST(setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) == 0);
    MUST(bind(c->fd, (struct sockaddr *)&mine, sizeof mine) == 0);
    for (int tries = 0; connect(c->fd, (struct sockaddr *)&server, sizeof server) < 0; tries++) {
        MUST(errno == ECONNREFUSED && tries < 500); /* the server may still be starting */
        usleep(10000);
    }
    begin_transport(c);
    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) == 0);
    c->left = SESSION;
}

/* Messages go out one by one while connecting, so no accept queue overflows and all are accepted in the end. */
static void connect_all(void)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0}; /* leaves no TIME_WAIT behind */

    for (int i = 0; i < connection_count; i++) {
        open_connection(i);
        MUST(setsockopt(connections[i].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0);
        if (i % 256 == 255 || i == connection_count - 1) {
            ask(i);
            while (!answered(i))
                ;
        }
    }
}

static void begin(int index, uint64_t now)
{
    if (sessions)
        open_connection(index);
    connections[index].sent_at = now;
    ask(index);
}

/* True when a request is complete, be it an echo or a whole session. */
static int complete(int index)
{
    struct connection *c = &connections[index];

    if (!answered(index))
        return 0;
    if (!sessions)
        return 1;
    if (--c->left > 0) {
        ask(index);
        return 0;
    }
    MUST(close(c->fd) == 0);
    return 1;
}

/*
 * Keeps all connections busy for so long, then waits for the last answers: the server is idle before and after, so what
 * it spent in between belongs to these requests exactly.
 */
static void run(const struct order *order, struct seen *seen)
{
    static struct epoll_event events[MAX_EVENTS];
    uint64_t now = now_ns(), end = now + order->duration_ns;
    int in_flight = connection_count;

    seen->turn_requests = 0;
    for (int i = 0; i < connection_count; i++)
        begin(i, now);
    while (in_flight > 0) {
        int ready = epoll_wait(epoll, events, MAX_EVENTS, STALLED_MS);
        if (ready == 0) {
            fprintf(stderr, "load: %d of %d connections got no answer\n", in_flight, connection_count);
            exit(1);
        }
        MUST(ready > 0);
        for (int i = 0; i < ready; i++) {
            int index = (int)events[i].data.u32;
            if (!complete(index))
                continue;
            now = now_ns();
            seen->turn_requests++;
            if (order->measuring) {
                connections[index].answered++;
                note(&seen->latency, now - connections[index].sent_at);
            }
            if (now < end)
                begin(index, now);
            else
                in_flight--;
        }
    }
    if (sessions)
        usleep(3000); /* the server has seen the last close, too */
}

void client(const char *work, int port, int count, int channel, struct seen *seen)
{
    struct order order;
    char done = 1;

    server = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    connection_count = count;
    sessions = strcmp(work, "session") == 0;
    MUST(connections = calloc((size_t)count, sizeof *connections));
    MUST((epoll = epoll_create1(0)) >= 0);
    if (!sessions)
        connect_all();
    MUST(write(channel, &done, 1) == 1);
    while (read(channel, &order, sizeof order) == sizeof order) {
        run(&order, seen);
        seen->slowest = UINT64_MAX;
        seen->fastest = 0;
        for (int i = 0; i < count; i++) {
            uint64_t answers = connections[i].answered;
            seen->slowest = answers < seen->slowest ? answers : seen->slowest;
            seen->fastest = answers > seen->fastest ? answers : seen->fastest;
        }
        MUST(write(channel, &done, 1) == 1);
    }
    exit(0);
}
