// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A channel between coroutines: it holds one message, so a sender that is faster than the receivers waits for them.
 * Messages are copied: locals may be sent. Destroying the channel ends everybody who waits for it.
 */
#include "dyco_coroutine.h"

static dyco_channel *channel;

static void producer(void *arg)
{
    (void)arg;
    for (int number = 1; number <= 6; number++) {
        char text[32];
        int length = snprintf(text, sizeof text, "message %d", number);
        ssize_t sent = dyco_channel_send(channel, text, (size_t)length + 1, -1); // waits while the channel is full
        if (sent < 0)
            perror("dyco_channel_send");
    }

    // Everything has been taken when nobody has sent for a while; a timeout is no end.
    char text[32];
    if (dyco_channel_recv(channel, text, sizeof text, 50) < 0 && errno == ETIMEDOUT)
        printf("producer: nobody sends anything to me\n");
    dyco_channel_destroy(&channel);
}

static void consumer(void *name)
{
    dyco_channel *mine = channel; // the variable is NULL once the channel is destroyed
    char text[32];
    ssize_t length;
    while ((length = dyco_channel_recv(mine, text, sizeof text, -1)) > 0) {
        printf("%s: %s\n", (char *)name, text);
        dyco_coroutine_sleep(5);
    }
    if (length == 0)
        printf("%s: the channel is closed\n", (char *)name);
    else
        perror("dyco_channel_recv");
}

int main(void)
{
    channel = dyco_channel_create(0); // messages of at most DYCO_DEFAULT_CHANNELSIZE bytes
    if (channel == NULL || dyco_coroutine_create(consumer, "consumer A") < 0 ||
        dyco_coroutine_create(consumer, "consumer B") < 0 || dyco_coroutine_create(producer, NULL) < 0) {
        perror("create");
        return 1;
    }
    return dyco_schedule_run() < 0;
}
