/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * libcurl's easy interface and nginx. Arguments: URL CLOSED_URL CERTIFICATE, the URL http://localhost:PORT or https.
 */
#include "client.h"

#include <curl/curl.h>

struct answer {
    CURL *curl;
    size_t size;
    char text[64];
    unsigned sum;
    char error[CURL_ERROR_SIZE];
};

static size_t take(char *data, size_t size, size_t count, void *argument) {
    struct answer *answer = argument;
    size *= count;
    if (answer->size == 0) answer->sum = 0;
    for (size_t i = 0; i < size; i++) {
        answer->sum = answer->sum * 31 + (unsigned char)data[i];
        if (answer->size + i < sizeof answer->text - 1) answer->text[answer->size + i] = data[i];
    }
    answer->size += size;
    return size;
}

static struct answer *curl_open(void) {
    struct answer *answer = calloc(1, sizeof *answer);
    CHECK(answer && (answer->curl = curl_easy_init()) != NULL);
    CHECK_EQ(curl_easy_setopt(answer->curl, CURLOPT_WRITEFUNCTION, take), 0);
    CHECK_EQ(curl_easy_setopt(answer->curl, CURLOPT_WRITEDATA, answer), 0);
    CHECK_EQ(curl_easy_setopt(answer->curl, CURLOPT_ERRORBUFFER, answer->error), 0);
    CHECK_EQ(curl_easy_setopt(answer->curl, CURLOPT_CAINFO, client_args[2]), 0);
    CHECK_EQ(curl_easy_setopt(answer->curl, CURLOPT_CAPATH, NULL), 0);
    return answer;
}

static CURLcode fetch(struct answer *answer, const char *base, const char *path, int number) {
    char url[200];
    snprintf(url, sizeof url, "%s%s%d", base, path, number);
    CHECK_EQ(curl_easy_setopt(answer->curl, CURLOPT_URL, url), 0);
    memset(answer->text, 0, sizeof answer->text);
    answer->size = 0;
    return curl_easy_perform(answer->curl);
}

static void get(struct answer *answer, const char *path, int number) {
    char want[64];
    CURLcode code = fetch(answer, client_args[0], path, number);
    CHECK_SAYS(code == CURLE_OK, answer->error);
    snprintf(want, sizeof want, "%s%d\n", path, number);
    CHECK_STR(answer->text, want);
}

static void *client_open(int number) {
    struct answer *answer = curl_open();
    get(answer, "/quick/", number);
    return answer;
}

static void client_wait(void *client, int number) {
    get(client, "/slow/", number);
}

static void client_quick(void *client, int round) {
    get(client, "/quick/", round);
}

static void client_close(void *client) {
    struct answer *answer = client;
    curl_easy_cleanup(answer->curl);
    free(answer);
}

static void client_beside(void) {}

static void show(const char *what, struct answer *answer, CURLcode code) {
    long status = 0;
    curl_easy_getinfo(answer->curl, CURLINFO_RESPONSE_CODE, &status);
    printf("%s: %d, %s, status %ld, %zu bytes, digest %u\n", what, code, curl_easy_strerror(code), status, answer->size,
           answer->size ? answer->sum : 0);
}

/* Two transfers at once, by the multi interface. */
static void both(struct answer *one, struct answer *other) {
    CURLM *multi = curl_multi_init();
    int running = 1, left;
    CHECK(multi != NULL);
    one->size = other->size = 0;
    CHECK_EQ(curl_multi_add_handle(multi, one->curl), 0);
    CHECK_EQ(curl_multi_add_handle(multi, other->curl), 0);
    while (running) {
        CHECK_EQ(curl_multi_perform(multi, &running), 0);
        if (running) CHECK_EQ(curl_multi_poll(multi, NULL, 0, 1000, NULL), 0);
    }
    for (CURLMsg *message; (message = curl_multi_info_read(multi, &left)) != NULL;)
        printf("both: %d\n", message->data.result);
    curl_multi_remove_handle(multi, one->curl);
    curl_multi_remove_handle(multi, other->curl);
    curl_multi_cleanup(multi);
    printf("both: %zu and %zu bytes\n", one->size, other->size);
}

static void client_talk(void) {
    char *text = large_text();
    struct answer *answer = curl_open(), *other = curl_open();
    show("quick", answer, fetch(answer, client_args[0], "/quick/", 1));
    show("slow", answer, fetch(answer, client_args[0], "/slow/", 1));
    show("large", answer, fetch(answer, client_args[0], "/large?", 1));
    show("none", answer, fetch(answer, client_args[0], "/nothing/", 1));
    curl_easy_setopt(other->curl, CURLOPT_POSTFIELDS, text);
    curl_easy_setopt(other->curl, CURLOPT_POSTFIELDSIZE, (long)LARGE);
    show("post", other, fetch(other, client_args[0], "/length/", 1));
    printf("posted: %s", other->text);
    both(answer, other);
    curl_easy_setopt(answer->curl, CURLOPT_TIMEOUT_MS, 200L);
    show("too slow", answer, fetch(answer, client_args[0], "/slow/", 1));
    show("nobody listens", answer, fetch(answer, client_args[1], "/quick/", 1));
    client_close(answer);
    client_close(other);

    answer = curl_open();
    curl_easy_setopt(answer->curl, CURLOPT_CAINFO, "/dev/null");
    show("unknown certificate", answer, fetch(answer, client_args[0], "/quick/", 1));
    client_close(answer);
    free(text);
}

/* Not by the first of the coroutines: other threads might be at it as well. */
int main(int argc, char **argv) {
    CHECK_EQ(curl_global_init(CURL_GLOBAL_ALL), 0);
    return client_main(argc, (const char *const *)argv);
}
