/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Load for echo servers, and the measurement: CONNECTIONS to each server, a 64-byte message in flight on each (closed
 * loop), every byte checked. The servers take turns, one slice each per round, so that whatever else the machine does
 * falls on all of them alike. Each server has a client process of its own; only one works at a time.
 *
 *     load CONNECTIONS ROUNDS SLICE_MS NAME:PORT:PID...
 *
 * Prints a line per server, medians over the rounds: name, connections, requests/s, server CPU ns per request, the same
 * as a ratio to the first server in the same round, system calls per request (- without the privilege to count them),
 * latency p50 and p99 in us, the requests of the slowest and of the fastest connection.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "calls.h"

#define MESSAGE 64
#define MAX_EVENTS 1024
#define MAX_TARGETS 8
#define MAX_ROUNDS 256
#define COUNTING_ROUNDS 2
#define STALLED_MS 10000
#define FINE 32 /* histogram buckets per power of two */

struct connection {
    int fd;
    uint32_t got;
    uint64_t sequence;
    uint64_t sent_at;
    uint64_t answered; /* in measured time */
};

struct order {
    uint64_t slice_ns;
    int count_calls;
};

struct report {
    double per_second, cpu_ns, calls;
    double p50_us, p99_us;
    uint64_t slowest, fastest;
};

struct target {
    const char *name;
    uint16_t port;
    pid_t pid;
    int channel;
    double per_second[MAX_ROUNDS], cpu_ns[MAX_ROUNDS], ratio[MAX_ROUNDS], calls[COUNTING_ROUNDS];
    struct report last;
};

static struct connection *connections;
static int connection_count;
static uint64_t histogram[64 * FINE];

static void fill(unsigned char *message, int index, uint64_t sequence)
{
    for (unsigned i = 0; i < MESSAGE / 8; i++) {
        uint64_t word = ((uint64_t)index << 40) ^ (sequence << 4) ^ i;
        memcpy(message + 8 * i, &word, 8);
    }
}

static void ask(int index, uint64_t now)
{
    struct connection *c = &connections[index];
    unsigned char message[MESSAGE];

    fill(message, index, ++c->sequence);
    c->got = 0;
    c->sent_at = now;
    MUST(send(c->fd, message, MESSAGE, MSG_NOSIGNAL) == MESSAGE);
}

/* True when the whole answer is here. */
static int answered(int index)
{
    struct connection *c = &connections[index];
    unsigned char expected[MESSAGE], answer[MESSAGE];

    ssize_t got = recv(c->fd, answer, MESSAGE - c->got, 0);
    MUST(got > 0);
    fill(expected, index, c->sequence);
    if (memcmp(answer, expected + c->got, (size_t)got) != 0) {
        fprintf(stderr, "load: wrong bytes on connection %d, message %llu\n", index, (unsigned long long)c->sequence);
        exit(1);
    }
    c->got += (uint32_t)got;
    return c->got == MESSAGE;
}

static int bucket(uint64_t ns)
{
    if (ns < FINE)
        return (int)ns;
    int shift = 63 - __builtin_clzll(ns) - __builtin_ctz(FINE);
    return (shift + 1) * FINE + (int)((ns >> shift) - FINE);
}

static double bucket_us(int index)
{
    if (index < FINE)
        return index / 1e3;
    return ldexp(FINE + index % FINE + 0.5, index / FINE - 1) / 1e3;
}

static double percentile_us(double share)
{
    uint64_t total = 0, seen = 0;
    for (int i = 0; i < 64 * FINE; i++)
        total += histogram[i];
    for (int i = 0; i < 64 * FINE; i++)
        if ((seen += histogram[i]) >= share * (double)total && seen > 0)
            return bucket_us(i);
    return 0;
}

/* Messages go out one by one while connecting, so no accept queue overflows and all are accepted in the end. */
static int connect_all(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct linger reset = {.l_onoff = 1, .l_linger = 0}; /* leaves no TIME_WAIT behind */
    struct timeval patience = {.tv_sec = STALLED_MS / 1000};
    int epoll = epoll_create1(0);

    MUST(epoll >= 0);
    MUST(connections = calloc((size_t)connection_count, sizeof *connections));
    for (int i = 0; i < connection_count; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        MUST(fd >= 0);
        MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0);
        MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
        for (int tries = 0; connect(fd, (struct sockaddr *)&address, sizeof address) < 0; tries++) {
            MUST(errno == ECONNREFUSED && tries < 300); /* the server may still be starting */
            usleep(10000);
        }
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
        connections[i].fd = fd;
        if (i % 256 == 255 || i == connection_count - 1) {
            ask(i, 0);
            while (!answered(i))
                ;
        }
    }
    return epoll;
}

/*
 * Keeps a message in flight on every connection for so long, then waits for the last answers: the server is idle before
 * and after, so what it spent in between belongs to these requests exactly. Returns how many.
 */
static uint64_t run(int epoll, uint64_t duration_ns, int measuring)
{
    static struct epoll_event events[MAX_EVENTS];
    uint64_t now = now_ns(), end = now + duration_ns, requests = 0;
    int in_flight = connection_count;

    for (int i = 0; i < connection_count; i++)
        ask(i, now);
    while (in_flight > 0) {
        int ready = epoll_wait(epoll, events, MAX_EVENTS, STALLED_MS);
        if (ready == 0) {
            fprintf(stderr, "load: %d of %d connections got no answer\n", in_flight, connection_count);
            exit(1);
        }
        MUST(ready > 0);
        for (int i = 0; i < ready; i++) {
            int index = (int)events[i].data.u32;
            struct connection *c = &connections[index];
            if (!answered(index))
                continue;
            now = now_ns();
            requests++;
            if (measuring) {
                c->answered++;
                histogram[bucket(now - c->sent_at)]++;
            }
            if (now < end)
                ask(index, now);
            else
                in_flight--;
        }
    }
    return requests;
}

static struct report run_slice(int epoll, clockid_t server_cpu, uint64_t slice_ns, int counter)
{
    struct report report = {.slowest = UINT64_MAX};

    run(epoll, slice_ns / 4, 0);
    uint64_t begin = now_ns(), cpu = clock_ns(server_cpu), calls = calls_so_far(counter);
    double requests = (double)run(epoll, slice_ns, 1);
    report.per_second = requests * 1e9 / (double)(now_ns() - begin);
    report.cpu_ns = (double)(clock_ns(server_cpu) - cpu) / requests;
    report.calls = counter >= 0 ? (double)(calls_so_far(counter) - calls) / requests : -1;
    report.p50_us = percentile_us(0.50);
    report.p99_us = percentile_us(0.99);
    for (int i = 0; i < connection_count; i++) {
        uint64_t answers = connections[i].answered;
        report.slowest = answers < report.slowest ? answers : report.slowest;
        report.fastest = answers > report.fastest ? answers : report.fastest;
    }
    return report;
}

static void client(const struct target *target, int channel)
{
    clockid_t server_cpu;
    struct order order;
    int ready = 1;

    MUST((errno = clock_getcpuclockid(target->pid, &server_cpu)) == 0);
    int epoll = connect_all(target->port);
    MUST(write(channel, &ready, sizeof ready) == sizeof ready);
    while (read(channel, &order, sizeof order) == sizeof order) {
        int counter = order.count_calls ? open_call_counter(target->pid) : -1;
        struct report report = run_slice(epoll, server_cpu, order.slice_ns, counter);
        if (counter >= 0)
            close(counter);
        MUST(write(channel, &report, sizeof report) == sizeof report);
    }
    exit(0);
}

static void start_client(struct target *target)
{
    int ends[2], ready;

    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        close(ends[0]);
        client(target, ends[1]);
    }
    close(ends[1]);
    target->channel = ends[0];
    MUST(read(target->channel, &ready, sizeof ready) == sizeof ready);
}

static struct report measure(struct target *target, uint64_t slice_ns, int count_calls)
{
    struct order order = {.slice_ns = slice_ns, .count_calls = count_calls};
    struct report report;

    MUST(write(target->channel, &order, sizeof order) == sizeof order);
    MUST(read(target->channel, &report, sizeof report) == sizeof report);
    return report;
}

static void print(struct target *t, int rounds)
{
    printf("%s\t%d\t%.0f\t%.0f\t%.3f\t", t->name, connection_count, median(t->per_second, rounds),
           median(t->cpu_ns, rounds), median(t->ratio, rounds));
    double calls = median(t->calls, COUNTING_ROUNDS);
    if (calls < 0)
        printf("-");
    else
        printf("%.3f", calls);
    printf("\t%.1f\t%.1f\t%llu\t%llu\n", t->last.p50_us, t->last.p99_us, (unsigned long long)t->last.slowest,
           (unsigned long long)t->last.fastest);
}

int main(int argc, char **argv)
{
    static struct target targets[MAX_TARGETS];
    struct rlimit files;
    int count = argc - 4;

    MUST(count > 0 && count <= MAX_TARGETS);
    connection_count = atoi(argv[1]);
    int rounds = atoi(argv[2]);
    uint64_t slice_ns = (uint64_t)atoi(argv[3]) * 1000000u;
    MUST(rounds > 0 && rounds <= MAX_ROUNDS);

    MUST(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = files.rlim_max;
    MUST(setrlimit(RLIMIT_NOFILE, &files) == 0);

    for (int i = 0; i < count; i++) {
        targets[i].name = strtok(argv[4 + i], ":");
        targets[i].port = (uint16_t)atoi(strtok(NULL, ":"));
        targets[i].pid = atoi(strtok(NULL, ":"));
        start_client(&targets[i]);
    }
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < count; i++) {
            struct target *t = &targets[(round + i) % count];
            t->last = measure(t, slice_ns, 0);
            t->per_second[round] = t->last.per_second;
            t->cpu_ns[round] = t->last.cpu_ns;
        }
        for (int i = 0; i < count; i++)
            targets[i].ratio[round] = targets[i].cpu_ns[round] / targets[0].cpu_ns[round];
    }
    for (int round = 0; round < COUNTING_ROUNDS; round++)
        for (int i = 0; i < count; i++)
            targets[i].calls[round] = measure(&targets[i], slice_ns, 1).calls;
    for (int i = 0; i < count; i++)
        print(&targets[i], rounds);
    return 0;
}
