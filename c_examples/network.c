/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * One thread, four things at the same time, each written as if it were alone: a Redis client through the ordinary
 * blocking hiredis, a name look-up, a timer, and a TCP server with a client of its own.
 *
 *   gcc network.c -ldyco -lhiredis -o network
 *   redis-server --port 6379 &
 *   ./network 6379
 *
 * hiredis knows nothing of coroutines: its connect, poll, read and write are libc's names, which wait in their
 * coroutine only. The BLPOP below keeps Redis waiting for a second; nothing else notices.
 */
#include "dyco_coroutine.h"

#include <hiredis/hiredis.h>
#include <netdb.h>
#include <netinet/in.h>

static int redis_port, server_port, ticks, popped;

static redisContext *redis_open(void)
{
    redisContext *redis = redisConnect("127.0.0.1", redis_port);
    if (redis == NULL || redis->err) {
        fprintf(stderr, "redis: %s\n", redis ? redis->errstr : "out of memory");
        exit(1);
    }
    return redis;
}

/* Waits until somebody pushes. */
static void pops(void *arg)
{
    (void)arg;
    redisContext *redis = redis_open();
    redisReply *reply = redisCommand(redis, "BLPOP dyco:queue 10");
    if (reply != NULL && reply->type == REDIS_REPLY_ARRAY) {
        printf("redis: popped \"%s\" after about a second; the timer ticked %s meanwhile\n", reply->element[1]->str,
               ticks > 50 ? "on" : "too little");
        popped = 1;
    }
    freeReplyObject(reply);
    redisFree(redis);
}

static void pushes(void *arg)
{
    (void)arg;
    dyco_coroutine_sleep(1000);
    redisContext *redis = redis_open();
    freeReplyObject(redisCommand(redis, "RPUSH dyco:queue hello"));
    redisFree(redis);
}

static void timer(void *arg)
{
    (void)arg;
    while (!popped) {
        dyco_coroutine_sleep(10);
        ticks++;
    }
}

static void looks_up(void *arg)
{
    struct addrinfo *found, hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    int error = getaddrinfo(arg, NULL, &hints, &found);
    printf("name: %s %s\n", (char *)arg, error ? gai_strerror(error) : "found");
    if (error == 0)
        freeaddrinfo(found);
}

static void echoes(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[256];
    ssize_t n;
    while ((n = recv(fd, buf, sizeof buf, 0)) > 0)
        send(fd, buf, (size_t)n, MSG_NOSIGNAL);
    close(fd);
}

/* Serves one connection, made by `calls` below. */
static void serves(void *arg)
{
    int listener = (int)(intptr_t)arg;
    int fd = accept(listener, NULL, NULL);
    if (fd >= 0)
        dyco_coroutine_create(echoes, (void *)(intptr_t)fd);
    close(listener);
}

static void calls(void *arg)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char buf[64] = "";
    (void)arg;
    to.sin_port = htons((uint16_t)server_port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && send(fd, "over TCP", 8, 0) == 8
        && recv(fd, buf, 8, MSG_WAITALL) == 8)
        printf("tcp: \"%s\" came back\n", buf);
    close(fd);
}

/* Coroutines that run the code of other libraries need room: hiredis and getaddrinfo use more than a few KiB. */
static void with_room(proc_coroutine func, void *arg)
{
    int cid = dyco_coroutine_create(func, arg);
    if (cid < 0 || dyco_coroutine_setStack(cid, NULL, 256 * 1024) != 1) {
        perror("coroutine");
        exit(1);
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof any;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&any, sizeof any) < 0 || listen(listener, 16) < 0
        || getsockname(listener, (struct sockaddr *)&any, &size) < 0) {
        perror("listen");
        return 1;
    }
    server_port = ntohs(any.sin_port);
    redis_port = argc > 1 ? atoi(argv[1]) : 6379;

    with_room(pops, NULL);
    with_room(pushes, NULL);
    with_room(looks_up, "localhost");
    dyco_coroutine_create(timer, NULL);
    dyco_coroutine_create(serves, (void *)(intptr_t)listener);
    dyco_coroutine_create(calls, NULL);
    return dyco_schedule_run();
}
