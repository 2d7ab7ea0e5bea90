/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A destroyed channel: all who wait return 0, also those who have been woken and have not run yet; none touches it again.
 * A sender whose message is in the channel has sent it, though it may not have run yet.
 */
#include "sync.h"

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { SHARED_STACKS = 0 }; /* all are the coroutines' own there */
#else
enum { SHARED_STACKS = 1 };
#endif

static dyco_channel *chan;

static void receiver(void *argument) {
    char byte;
    CHECK_EQ(dyco_channel_recv(chan, &byte, 1, (int)(intptr_t)argument), 0);
    note('r');
}

static void sender(void *argument) {
    CHECK_EQ(dyco_channel_send(chan, "x", 1, (int)(intptr_t)argument), 0);
    note('s');
}

static void has_sent(void *argument) {
    (void)argument;
    CHECK_EQ(dyco_channel_send(chan, "x", 1, -1), 1);
    note('S');
}

/* Its message is on a shared stack: it has to put it itself. */
static void send_local(void *argument) {
    char byte = 'x';
    (void)argument;
    CHECK_EQ(dyco_channel_send(chan, &byte, 1, -1), 0);
    note('s');
}

static void destroy(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(1);
    dyco_channel_destroy(&chan);
    CHECK(chan == NULL);
    note('d');
}

static void waiting(void) {
    chan = dyco_channel_create(1);
    for (int i = 0; i < 3; i++) spawn(receiver, (void *)(intptr_t)(i == 1 ? 500 : -1));
    spawn(destroy, NULL);
    run_all();
    CHECK_TRACE("drrr");

    chan = dyco_channel_create(1);
    CHECK_EQ(dyco_channel_send(chan, "f", 1, 0), 1);
    for (int i = 0; i < 3; i++) spawn(sender, (void *)(intptr_t)(i == 1 ? 500 : -1));
    spawn(destroy, NULL);
    run_all();
    CHECK_TRACE("dsss");
}

/* The last message is on its way when the channel goes. */
static void last_message(void *argument) {
    char byte = 0;
    (void)argument;
    CHECK_EQ(dyco_channel_recv(chan, &byte, 1, -1), 1);
    note(byte);
}

static void send_and_destroy(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(1);
    CHECK_EQ(dyco_channel_send(chan, "m", 1, 0), 1);
    dyco_channel_destroy(&chan);
    note('d');
}

static void takes_and_destroys(void *argument) {
    char byte;
    (void)argument;
    dyco_coroutine_sleep(1);
    CHECK_EQ(dyco_channel_recv(chan, &byte, 1, 0), 1);
    dyco_channel_destroy(&chan);
    note('d');
}

static void woken(void) {
    chan = dyco_channel_create(1);
    spawn(last_message, NULL);
    spawn(receiver, (void *)(intptr_t)-1);
    spawn(send_and_destroy, NULL);
    run_all();
    CHECK_TRACE("dmr");

    chan = dyco_channel_create(1);
    CHECK_EQ(dyco_channel_send(chan, "f", 1, 0), 1);
    spawn(has_sent, NULL);
    spawn(sender, (void *)(intptr_t)-1);
    spawn(takes_and_destroys, NULL);
    run_all();
    CHECK_TRACE("dSs");

    chan = dyco_channel_create(1);
    CHECK_EQ(dyco_channel_send(chan, "f", 1, 0), 1);
    spawn_shared(SHARED_STACKS ? send_local : has_sent, NULL);
    spawn_shared(send_local, NULL);
    spawn(takes_and_destroys, NULL);
    run_all();
    CHECK_TRACE(SHARED_STACKS ? "dss" : "dSs");
}

/* Who was woken is ended before it can look. */
static void destroy_and_abort(void *argument) {
    send_and_destroy(argument);
    dyco_schedcall_abort();
}

static void destroy_and_stop(void *argument) {
    send_and_destroy(argument);
    dyco_schedcall_stop();
}

static void ended(void) {
    for (int i = 0; i < 100; i++) {
        chan = dyco_channel_create(1000);
        spawn(last_message, NULL);
        spawn(receiver, (void *)(intptr_t)-1);
        spawn(destroy_and_abort, NULL);
        CHECK_EQ(dyco_schedule_run(), -1);
        CHECK_TRACE("d");

        chan = dyco_channel_create(1000);
        spawn(last_message, NULL);
        spawn(destroy_and_stop, NULL);
        CHECK_EQ(dyco_schedule_run(), 1);
        dyco_schedule_free(NULL);
        CHECK_TRACE("d");
    }
}

/* A promise that an abort broke is void: the channel works on. */
static void send_and_abort(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(1);
    CHECK_EQ(dyco_channel_send(chan, "m", 1, 0), 1);
    dyco_schedcall_abort();
}

static void take_and_abort(void *argument) {
    char byte;
    (void)argument;
    dyco_coroutine_sleep(1);
    CHECK_EQ(dyco_channel_recv(chan, &byte, 1, 0), 1);
    dyco_schedcall_abort();
}

static void broken_promises(void) {
    char byte = 0;
    chan = dyco_channel_create(1);
    spawn(last_message, NULL);
    spawn(send_and_abort, NULL);
    CHECK_EQ(dyco_schedule_run(), -1);
    CHECK_EQ(dyco_channel_recv(chan, &byte, 1, 0), 1);
    CHECK_EQ(byte, 'm');

    CHECK_EQ(dyco_channel_send(chan, "f", 1, 0), 1);
    spawn_shared(send_local, NULL);
    spawn(take_and_abort, NULL);
    CHECK_EQ(dyco_schedule_run(), -1);
    if (SHARED_STACKS) CHECK_EQ(dyco_channel_send(chan, "g", 1, 0), 1);
    CHECK_EQ(dyco_channel_recv(chan, &byte, 1, 0), 1);
    CHECK_EQ(byte, SHARED_STACKS ? 'g' : 'x'); /* sent by the one that was ended */
    dyco_channel_destroy(&chan);
}

int main(void) {
    int fds = count_fds();
    waiting();
    woken();
    ended();
    broken_promises();
    dyco_schedule_free(NULL);
    CHECK_EQ(count_fds(), fds);
    return test_done();
}
