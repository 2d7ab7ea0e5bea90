/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * hiredis and Redis. Arguments: HOST PORT CLOSED_PORT.
 */
#include "client.h"

#include <hiredis/hiredis.h>

static void *client_open(int number) {
    redisContext *redis = redisConnect(client_args[0], atoi(client_args[1]));
    CHECK(redis != NULL);
    CHECK_SAYS(redis->err == 0, redis->errstr);
    redisReply *reply = redisCommand(redis, "DEL queue:%d", number);
    CHECK_SAYS(reply && reply->type == REDIS_REPLY_INTEGER, redis->errstr);
    freeReplyObject(reply);
    return redis;
}

/* Nobody has pushed yet. */
static void client_wait(void *client, int number) {
    redisContext *redis = client;
    char want[32];
    snprintf(want, sizeof want, "for %d", number);
    redisReply *reply = redisCommand(redis, "BLPOP queue:%d 10", number);
    CHECK_SAYS(reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2, redis->errstr);
    CHECK_STR(reply->element[1]->str, want);
    freeReplyObject(reply);
}

/* The server has kept them waiting for so long. */
static void client_beside(void) {
    usleep(WAIT_MS * 1000);
    redisContext *redis = redisConnect(client_args[0], atoi(client_args[1]));
    CHECK(redis && !redis->err);
    for (int i = 0; i < CLIENTS; i++) {
        char value[32];
        snprintf(value, sizeof value, "for %d", i);
        CHECK_EQ(redisAppendCommand(redis, "RPUSH queue:%d %s", i, value), REDIS_OK);
    }
    for (int i = 0; i < CLIENTS; i++) {
        void *reply;
        CHECK_EQ(redisGetReply(redis, &reply), REDIS_OK);
        freeReplyObject(reply);
    }
    redisFree(redis);
}

static void client_quick(void *client, int round) {
    redisReply *reply = redisCommand(client, "ECHO %d", round);
    CHECK(reply && reply->type == REDIS_REPLY_STRING && atoi(reply->str) == round);
    freeReplyObject(reply);
}

static void client_close(void *client) {
    redisFree(client);
}

static void show(redisContext *redis, const char *what, redisReply *reply) {
    if (!reply) printf("%s: error %d, %s\n", what, redis->err, redis->errstr);
    else if (reply->len > 100) printf("%s: %d bytes, digest %u\n", what, (int)reply->len, digest(reply->str, (size_t)reply->len));
    else printf("%s: type %d, %lld, %s, %zu\n", what, reply->type, reply->integer, reply->str ? reply->str : "-", reply->elements);
    freeReplyObject(reply);
}

static void client_talk(void) {
    struct timeval limit = {0, 200000};
    redisContext *redis = client_open(0);
    char *text = large_text();
    show(redis, "ping", redisCommand(redis, "PING"));
    show(redis, "set", redisCommand(redis, "SET large %b", text, (size_t)LARGE));
    show(redis, "get", redisCommand(redis, "GET large"));
    show(redis, "wrong type", redisCommand(redis, "LPUSH large x"));
    show(redis, "no such", redisCommand(redis, "NOSUCH"));
    for (int i = 0; i < 1000; i++) redisAppendCommand(redis, "SETRANGE large %d %s", i * 10, "0123");
    for (int i = 0; i < 1000; i++) {
        void *reply = NULL;
        CHECK_EQ(redisGetReply(redis, &reply), REDIS_OK);
        freeReplyObject(reply);
    }
    show(redis, "pipelined", redisCommand(redis, "GET large"));
    show(redis, "none in time", redisCommand(redis, "BLPOP nothing 1"));
    printf("limit: %d\n", redisSetTimeout(redis, limit));
    show(redis, "too slow", redisCommand(redis, "BLPOP nothing 1"));
    redisFree(redis);

    redis = client_open(0);
    show(redis, "quit", redisCommand(redis, "QUIT"));
    usleep(100000);
    show(redis, "after the end", redisCommand(redis, "PING"));
    redisFree(redis);

    redis = redisConnect(client_args[0], atoi(client_args[2]));
    printf("nobody listens: error %d, %s\n", redis->err, redis->errstr);
    redisFree(redis);
    redis = redisConnectWithTimeout(client_args[0], atoi(client_args[2]), limit);
    printf("nobody listens, in time: error %d, %s\n", redis->err, redis->errstr);
    redisFree(redis);
    redis = redisConnectWithTimeout(client_args[0], atoi(client_args[1]), limit);
    show(redis, "in time", redisCommand(redis, "PING"));
    redisFree(redis);
    free(text);
}

CLIENT_MAIN
