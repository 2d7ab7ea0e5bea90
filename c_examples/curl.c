/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Many transfers at once by libcurl's blocking interface, a coroutine each: together they take as long as the slowest.
 *
 *   gcc curl.c -ldyco -lcurl -o curl
 *   ./curl http://localhost/ https://example.com/
 *
 * libcurl knows nothing of coroutines. Its name look-ups, poll, send and recv are libc's names, which wait in their
 * coroutine only. The same goes for the client libraries of databases: one connection a coroutine, plain blocking calls.
 */
#include "dyco_coroutine.h"

#include <curl/curl.h>

/* What a transfer uses of the stack, and room to spare: pages that are never touched cost nothing. */
#define STACK_SIZE (64 * 1024)

static size_t count(char *data, size_t size, size_t items, void *sum)
{
    (void)data;
    *(size_t *)sum += size * items;
    return size * items;
}

/* The address of `sum` is given to libcurl: the stack is the coroutine's own, so that it may be. */
static void fetches(void *url)
{
    size_t sum = 0;
    long status = 0;
    CURL *curl = curl_easy_init();
    if (curl == NULL) {
        printf("failed: out of memory  %s\n", (char *)url);
        return;
    }
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, count);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &sum);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 30L);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK)
        printf("%ld %5zu bytes  %s\n", status, sum, (char *)url);
    else
        printf("failed: %s  %s\n", curl_easy_strerror(code), (char *)url);
    curl_easy_cleanup(curl);
}

int main(int argc, char **argv)
{
    struct timespec begin, end;
    curl_global_init(CURL_GLOBAL_ALL);
    for (int i = 1; i < argc; i++) {
        int cid = dyco_coroutine_create(fetches, argv[i]);
        if (cid < 0 || dyco_coroutine_setStack(cid, NULL, STACK_SIZE) != 1) {
            perror("coroutine");
            return 1;
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (dyco_schedule_run() < 0) {
        perror("run");
        return 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%d transfers in %ld ms, in one thread\n", argc - 1,
           (long)(end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000);
    curl_global_cleanup();
    return 0;
}
