/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * libmemcached and memcached, behind a proxy that passes on at once what does not say "slow", and the rest after
 * WAIT_MS: memcached itself never takes its time. Arguments: HOST PORT CLOSED_PORT.
 */
#include "client.h"

#include <libmemcached/memcached.h>

static memcached_st *cache_open(const char *port, uint64_t poll_ms) {
    memcached_st *cache = memcached_create(NULL);
    CHECK(cache != NULL);
    CHECK_EQ(memcached_server_add(cache, client_args[0], (in_port_t)atoi(port)), MEMCACHED_SUCCESS);
    CHECK_EQ(memcached_behavior_set(cache, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, poll_ms), MEMCACHED_SUCCESS);
    return cache;
}

static void set(memcached_st *cache, const char *key, const char *value) {
    memcached_return_t result = memcached_set(cache, key, strlen(key), value, strlen(value), 0, 0);
    CHECK_SAYS(result == MEMCACHED_SUCCESS, memcached_last_error_message(cache));
}

static void get(memcached_st *cache, const char *key, const char *want) {
    memcached_return_t result;
    uint32_t flags;
    size_t length;
    char *value = memcached_get(cache, key, strlen(key), &length, &flags, &result);
    CHECK_SAYS(value != NULL, memcached_last_error_message(cache));
    CHECK_STR(value, want);
    free(value);
}

static void *client_open(int number) {
    memcached_st *cache = cache_open(client_args[1], 5000);
    char key[32], value[32];
    snprintf(key, sizeof key, "quick:%d", number);
    snprintf(value, sizeof value, "value %d", number);
    set(cache, key, value);
    return cache;
}

static void client_wait(void *client, int number) {
    char key[32], value[32];
    memcached_return_t result;
    snprintf(key, sizeof key, "slow:%d", number);
    result = memcached_exist(client, key, strlen(key));
    CHECK_SAYS(result == MEMCACHED_NOTFOUND, memcached_last_error_message(client));
    snprintf(key, sizeof key, "quick:%d", number);
    snprintf(value, sizeof value, "value %d", number);
    for (int i = 0; i < 20; i++) get(client, key, value);
}

static void client_quick(void *client, int round) {
    (void)round;
    get(client, "quick:0", "value 0");
}

static void client_close(void *client) {
    memcached_free(client);
}

static void client_beside(void) {}

static void show(const char *what, memcached_st *cache, memcached_return_t result) {
    printf("%s: %d, %s\n", what, result, memcached_strerror(cache, result));
}

static void show_value(const char *what, memcached_st *cache, const char *key) {
    memcached_return_t result;
    uint32_t flags = 0;
    size_t length = 0;
    char *value = memcached_get(cache, key, strlen(key), &length, &flags, &result);
    printf("%s: %zu bytes, digest %u, ", what, length, value ? digest(value, length) : 0);
    show(key, cache, result);
    free(value);
}

static void client_talk(void) {
    char *text = large_text();
    memcached_st *cache = client_open(0);
    show("set", cache, memcached_set(cache, "large", 5, text, LARGE / 4, 0, 7));
    show_value("get", cache, "large");
    show("too large", cache, memcached_set(cache, "large", 5, text, LARGE, 0, 7));
    show_value("get", cache, "large");
    show("delete", cache, memcached_delete(cache, "large", 5, 0));
    show_value("deleted", cache, "large");
    uint64_t number = 0;
    show("number", cache, memcached_set(cache, "number", 6, "41", 2, 0, 0));
    show("increment", cache, memcached_increment(cache, "number", 6, 1, &number));
    printf("number: %llu\n", (unsigned long long)number);
    show("append", cache, memcached_append(cache, "number", 6, "0", 1, 0, 0));
    show_value("appended", cache, "number");

    char names[200][16];
    const char *keys[200];
    size_t lengths[200];
    unsigned sum = 0, count = 0;
    for (int i = 0; i < 200; i++) {
        lengths[i] = (size_t)snprintf(names[i], sizeof names[i], "many:%d", i);
        keys[i] = names[i];
        set(cache, names[i], names[i]);
    }
    show("many", cache, memcached_mget(cache, keys, lengths, 200));
    memcached_return_t result;
    memcached_result_st *found;
    while ((found = memcached_fetch_result(cache, NULL, &result)) != NULL) {
        sum += digest(memcached_result_value(found), memcached_result_length(found));
        count++;
        memcached_result_free(found);
    }
    printf("many: %u, digest %u\n", count, sum);
    memcached_free(cache);

    cache = cache_open(client_args[1], 200);
    show_value("too slow", cache, "slow:0");
    memcached_free(cache);
    cache = cache_open(client_args[2], 200);
    show_value("nobody listens", cache, "number");
    memcached_free(cache);
    free(text);
}

CLIENT_MAIN
