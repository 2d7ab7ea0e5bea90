/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Publish and subscribe: each message reaches everybody who waits, in order, and nobody twice.
 */
#include "sync.h"

static dyco_pubsubchannel *ps;

/* ---- A publisher in a loop loses no subscriber in a loop ---- */

enum { ROUNDS = 200, SUBSCRIBERS = 30 };
static int received;

static void subscriber(void *argument) {
    (void)argument;
    for (int i = 0; i < ROUNDS; i++) {
        int value = -1;
        CHECK_EQ(dyco_pubsub_subscribe(ps, &value, sizeof value, -1), sizeof value);
        CHECK_EQ(value, i);
        received++;
    }
}

static void publisher(void *argument) {
    (void)argument;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_EQ(dyco_pubsub_publish(ps, &i, sizeof i), sizeof i);
        CHECK_EQ(received, (i + 1) * SUBSCRIBERS); /* everybody has taken its copy */
    }
    CHECK_EQ(dyco_pubsub_publish(ps, "none", 4), 0);
}

static void starts_publisher(void *argument) {
    CHECK((argument ? dyco_coroutine_create_urgent : dyco_coroutine_create)(publisher, NULL) > 0);
}

static void loops(int urgent) {
    received = 0;
    ps = dyco_pubsub_create(16);
    for (int i = 0; i < SUBSCRIBERS; i++) spawn(subscriber, NULL);
    spawn(starts_publisher, urgent ? &ps : NULL);
    run_all();
    CHECK_EQ(received, ROUNDS * SUBSCRIBERS);
    dyco_pubsub_destroy(&ps);
    CHECK(ps == NULL);
}

/* ---- Several publishers take turns, in order ---- */

static void takes_four(void *argument) {
    for (int i = 0; i < 4; i++) {
        char byte;
        CHECK_EQ(dyco_pubsub_subscribe(ps, &byte, 1, -1), 1);
        if (argument) note(byte);
    }
}

static void publishes(void *argument) {
    char byte = (char)(intptr_t)argument;
    CHECK_EQ(dyco_pubsub_publish(ps, &byte, 1), 1);
}

static void publishes_to_nobody(void *argument) {
    (void)argument;
    CHECK_EQ(dyco_pubsub_publish(ps, "n", 1), 0);
    note('0');
}

static void turns(void) {
    ps = dyco_pubsub_create(1);
    spawn(takes_four, NULL);
    spawn(takes_four, &ps);
    for (char c = 'a'; c <= 'd'; c++) spawn(publishes, (void *)(intptr_t)c);
    /* Those who waited for their turn and find nobody return, one after the other. */
    for (int i = 0; i < 3; i++) spawn(publishes_to_nobody, NULL);
    run_all();
    CHECK_TRACE("abcd000");
    dyco_pubsub_destroy(&ps);
}

/* ---- Lengths and bad arguments ---- */

static void little_room(void *argument) {
    char text[4];
    (void)argument;
    CHECK_FAILS(dyco_pubsub_subscribe(ps, text, sizeof text, -1), -1, EMSGSIZE);
    note('l');
}

static void much_room(void *argument) {
    char text[8] = "";
    (void)argument;
    CHECK_EQ(dyco_pubsub_subscribe(ps, text, sizeof text, -1), 5);
    CHECK_STR(text, "fiver");
    note('m');
}

static void publish_five(void *argument) {
    (void)argument;
    CHECK_EQ(dyco_pubsub_publish(ps, "fiver", 5), 5);
    note('p');
}

static void bad_arguments(void *argument) {
    char text[300] = "";
    (void)argument;
    CHECK_FAILS(dyco_pubsub_publish(NULL, "x", 1), -2, EINVAL);
    CHECK_FAILS(dyco_pubsub_publish(ps, NULL, 1), -2, EINVAL);
    CHECK_FAILS(dyco_pubsub_publish(ps, "x", 0), -2, EINVAL);
    CHECK_FAILS(dyco_pubsub_publish(ps, text, 9), -2, EMSGSIZE);
    CHECK_FAILS(dyco_pubsub_subscribe(NULL, text, 1, -1), -2, EINVAL);
    CHECK_FAILS(dyco_pubsub_subscribe(ps, NULL, 1, -1), -2, EINVAL);
    CHECK_FAILS(dyco_pubsub_subscribe(ps, text, 0, -1), -2, EINVAL);
    CHECK_FAILS(dyco_pubsub_subscribe(ps, text, 1, 0), -1, ETIMEDOUT);
    CHECK_TAKES(30, CHECK_FAILS(dyco_pubsub_subscribe(ps, text, 1, 30), -1, ETIMEDOUT));
    CHECK_EQ(dyco_pubsub_publish(ps, "x", 1), 0); /* who timed out is gone */
    dyco_pubsub_destroy(NULL);

    dyco_pubsubchannel *usual = dyco_pubsub_create(0);
    CHECK_EQ(dyco_pubsub_publish(usual, text, DYCO_DEFAULT_CHANNELSIZE), 0);
    CHECK_FAILS(dyco_pubsub_publish(usual, text, DYCO_DEFAULT_CHANNELSIZE + 1), -2, EMSGSIZE);
    dyco_pubsub_destroy(&usual);
    dyco_pubsub_destroy(&usual);
    CHECK(dyco_pubsub_create(SIZE_MAX) == NULL);
    CHECK_EQ(errno, ENOMEM);
}

static void lengths(void) {
    ps = dyco_pubsub_create(8);
    spawn(little_room, NULL);
    spawn(much_room, NULL);
    spawn(little_room, NULL);
    spawn(publish_five, NULL);
    run_all();
    CHECK_TRACE("lmlp");
    in_coroutine(bad_arguments, NULL);
    dyco_pubsub_destroy(&ps);
}

/* ---- Destroyed ---- */

static void waits_for_end(void *argument) {
    char byte;
    CHECK_FAILS(dyco_pubsub_subscribe(ps, &byte, 1, (int)(intptr_t)argument), -1, EIDRM);
    note('e');
}

static void destroy(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(1);
    dyco_pubsub_destroy(&ps);
    CHECK(ps == NULL);
    note('d');
}

/* The last subscriber does not get an old message again. */
static void message_then_end(void *argument) {
    dyco_pubsubchannel *mine = ps;
    char byte;
    (void)argument;
    CHECK_EQ(dyco_pubsub_subscribe(mine, &byte, 1, -1), 1);
    note(byte);
    CHECK_FAILS(dyco_pubsub_subscribe(mine, &byte, 1, -1), -1, EIDRM);
    note('e');
}

static void publish_and_destroy(void *argument) {
    (void)argument;
    CHECK_EQ(dyco_pubsub_publish(ps, "m", 1), 1);
    dyco_pubsub_destroy(&ps);
    note('d');
}

static void takes_one(void *argument) {
    char byte;
    (void)argument;
    CHECK_EQ(dyco_pubsub_subscribe(ps, &byte, 1, -1), 1);
    note(byte);
}

static void publisher_gets_end(void *argument) {
    (void)argument;
    CHECK_FAILS(dyco_pubsub_publish(ps, "x", 1), -1, EIDRM);
    note('p');
}

/* One subscriber has copied and destroys while another one and two publishers are between wake and return. */
static void takes_one_and_destroys(void *argument) {
    takes_one(argument);
    dyco_pubsub_destroy(&ps);
    note('d');
}

static void destroyed(void) {
    ps = dyco_pubsub_create(1);
    for (int i = 0; i < 3; i++) spawn(waits_for_end, (void *)(intptr_t)(i == 1 ? 1000 : -1));
    spawn(destroy, NULL);
    run_all();
    CHECK_TRACE("deee");

    ps = dyco_pubsub_create(1);
    for (int i = 0; i < 2; i++) spawn(message_then_end, NULL);
    spawn(publish_and_destroy, NULL);
    run_all();
    CHECK_TRACE("mmdee");

    ps = dyco_pubsub_create(1);
    spawn(takes_one_and_destroys, NULL);
    spawn(takes_one, NULL);
    spawn(publisher_gets_end, NULL); /* its message was on its way */
    spawn(publisher_gets_end, NULL);
    run_all();
    CHECK_TRACE("xdxpp");

    /* The one whose turn it is finds it destroyed. */
    ps = dyco_pubsub_create(1);
    spawn(takes_one, NULL);
    spawn(publish_and_destroy, NULL);
    spawn(publisher_gets_end, NULL);
    run_all();
    CHECK_TRACE("mdp");
}

/* ---- Outside coroutines, other threads, aborts ---- */

static void stop(void *argument) {
    (void)argument;
    dyco_schedcall_stop();
}

static void *other_thread(void *argument) {
    char byte;
    (void)argument;
    CHECK_FAILS(dyco_pubsub_publish(ps, "x", 1), -1, EPERM);
    CHECK_FAILS(dyco_pubsub_subscribe(ps, &byte, 1, -1), -1, EPERM);
    dyco_pubsubchannel *copy = ps;
    errno = 0;
    dyco_pubsub_destroy(&copy);
    CHECK_EQ(errno, EPERM);
    CHECK(copy == ps);
    return NULL;
}

static void outside(void) {
    char byte;
    ps = dyco_pubsub_create(1);
    CHECK_FAILS(dyco_pubsub_subscribe(ps, &byte, 1, -1), -1, EPERM);
    CHECK_EQ(dyco_pubsub_publish(ps, "x", 1), 0);
    spawn(takes_one, NULL);
    spawn(takes_one, NULL);
    spawn(stop, NULL);
    CHECK_EQ(dyco_schedule_run(), 1);
    in_thread(other_thread, NULL);
    CHECK_EQ(dyco_pubsub_publish(ps, "o", 1), 1);
    CHECK_FAILS(dyco_pubsub_publish(ps, "p", 1), -1, EAGAIN);
    run_all();
    CHECK_TRACE("oo");

    /* Destroyed by the main program while messages are on their way. */
    spawn(takes_one, NULL);
    spawn(stop, NULL);
    CHECK_EQ(dyco_schedule_run(), 1);
    CHECK_EQ(dyco_pubsub_publish(ps, "o", 1), 1);
    dyco_pubsub_destroy(&ps);
    run_all();
    CHECK_TRACE("o");

    /* And they never come, because all is freed. */
    for (int i = 0; i < 10; i++) {
        ps = dyco_pubsub_create(1000);
        spawn(takes_one, NULL);
        spawn(stop, NULL);
        CHECK_EQ(dyco_schedule_run(), 1);
        CHECK_EQ(dyco_pubsub_publish(ps, "o", 1), 1);
        if (i % 2) dyco_pubsub_destroy(&ps);
        dyco_schedule_free(NULL);
        if (i % 2) continue;
        CHECK_EQ(dyco_pubsub_publish(ps, "o", 1), 0); /* usable: nobody is waited for */
        dyco_pubsub_destroy(&ps);
    }
}

int main(void) {
    int fds = count_fds();
    loops(0);
    loops(1);
    turns();
    lengths();
    destroyed();
    outside();
    CHECK_EQ(count_fds(), fds);
    return test_done();
}
