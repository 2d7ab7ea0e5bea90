// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Publish and subscribe: what is published goes to everybody who waits at that moment. The publisher goes on when each
 * of them has its copy, so subscribers in a loop miss nothing.
 */
#include "dyco_coroutine.h"

static dyco_pubsubchannel *news;

static void reader(void *name)
{
    dyco_pubsubchannel *mine = news;
    char text[64];
    while (dyco_pubsub_subscribe(mine, text, sizeof text, -1) > 0)
        printf("%s reads: %s\n", (char *)name, text);
    printf("%s: no more news\n", (char *)name); // -1 and EIDRM: it was destroyed
}

static void hurried_reader(void *name)
{
    char text[64];
    // Takes the first message only, and would not wait for it longer than a second.
    if (dyco_pubsub_subscribe(news, text, sizeof text, 1000) > 0)
        printf("%s reads: %s, and has no more time\n", (char *)name, text);
}

static void newspaper(void *arg)
{
    static const char *const headlines[] = {"rain", "still rain", "sun"};
    (void)arg;
    for (size_t i = 0; i < sizeof headlines / sizeof headlines[0]; i++) {
        if (dyco_pubsub_publish(news, headlines[i], strlen(headlines[i]) + 1) <= 0)
            printf("nobody reads\n");
        dyco_coroutine_sleep(10);
    }
    dyco_pubsub_destroy(&news);
}

int main(void)
{
    news = dyco_pubsub_create(64);
    if (news == NULL || dyco_coroutine_create(reader, "Ann") < 0 || dyco_coroutine_create(hurried_reader, "Bob") < 0 ||
        dyco_coroutine_create(reader, "Cid") < 0 || dyco_coroutine_create(newspaper, NULL) < 0) {
        perror("create");
        return 1;
    }
    return dyco_schedule_run() < 0;
}
