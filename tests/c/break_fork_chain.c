/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fork inside an asymmetric coroutine: those that have resumed it go on in the child, too, and generators still can be
 * resumed there. What other coroutines were promised by objects is free again.
 */
#include "core.h"

static int forker, generator, is_child, reached, went;
static dyco_channel *channel;

static void generates(void *argument) {
    for (int *at = argument;; (*at)++) dyco_asymcoro_yield();
}

static void forks(void *argument) {
    (void)argument;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        is_child = 1;
        dyco_coroutine_sleep(3);
        return;
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

static void sleeps(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(50);
    CHECK(!is_child || reached);
}

static void receives(void *argument) {
    char byte;
    (void)argument;
    CHECK_EQ(dyco_channel_recv(channel, &byte, 1, -1), 1);
    CHECK(!is_child);
}

static void middle(void *argument) {
    (void)argument;
    CHECK_EQ(dyco_asymcoro_resume(forker), 0);
    went = 1;
}

static void resumes(void *argument) {
    volatile char block[200];
    int chain = dyco_asymcoro_create(middle, NULL);
    (void)argument;
    memset((void *)block, 7, sizeof block);
    CHECK_EQ(dyco_asymcoro_resume(generator), generator);
    dyco_coroutine_sleep(1);
    CHECK_EQ(dyco_channel_send(channel, "x", 1, 0), 1); /* promised to the receiver, who has not looked yet */
    CHECK_EQ(dyco_asymcoro_resume(chain), 0);
    if (is_child) {
        CHECK_EQ(dyco_schedule_getCoroCount(), 4);
        for (int i = 0; i < 20; i++) spawn(sleeps, NULL);
        char byte;
        CHECK_EQ(dyco_channel_recv(channel, &byte, 1, 100), 1);
        CHECK_EQ(dyco_channel_send(channel, "y", 1, 100), 1);
    }
    for (size_t i = 0; i < sizeof block; i++) CHECK_EQ(block[i], 7);
    CHECK_EQ(dyco_asymcoro_resume(generator), generator);
    dyco_asymcoro_free(chain);
    dyco_asymcoro_free(forker);
    dyco_asymcoro_free(generator);
    reached++;
    CHECK_EQ(went, 1);
    went = 0;
}

int main(void) {
    for (int own = 0; own < 2; own++) {
        int count = 0;
        channel = dyco_channel_create(1);
        generator = dyco_asymcoro_create(generates, &count);
        forker = dyco_asymcoro_create(forks, NULL);
        for (int i = 0; i < 30; i++) spawn(sleeps, NULL);
        spawn(receives, NULL);
        reached = 0;
        int cid = spawn(resumes, NULL);
        if (own) CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 65536), 1);
        CHECK_EQ(dyco_schedule_run(), 0);
        CHECK_EQ(reached, 1);
        CHECK_EQ(count, 1);
        if (is_child) _exit(0);
        dyco_channel_destroy(&channel);
    }
    return test_done();
}
