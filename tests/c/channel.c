/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Channels: one message, in order on both sides, timeouts, bad arguments, outside coroutines and from other threads.
 */
#include "sync.h"

static dyco_channel *chan;

/* ---- One message, and the order of both sides ---- */

static void send_one(void *argument) {
    char byte = (char)(intptr_t)argument;
    CHECK_EQ(dyco_channel_send(chan, &byte, 1, -1), 1);
}

static void receive_one(void *argument) {
    char byte = 0;
    CHECK_EQ(dyco_channel_recv(chan, &byte, 1, -1), 1);
    note((char)(intptr_t)argument);
    note(byte);
}

static void order(void) {
    chan = dyco_channel_create(8);
    for (char c = 'a'; c <= 'f'; c++) spawn(send_one, (void *)(intptr_t)c);
    for (char c = '1'; c <= '6'; c++) spawn(receive_one, (void *)(intptr_t)c);
    run_all();
    CHECK_TRACE("1a2b3c4d5e6f");
    for (char c = '1'; c <= '6'; c++) spawn(receive_one, (void *)(intptr_t)c);
    for (char c = 'a'; c <= 'f'; c++) spawn(send_one, (void *)(intptr_t)c);
    run_all();
    CHECK_TRACE("1a2b3c4d5e6f");
    dyco_channel_destroy(&chan);
    CHECK(chan == NULL);
}

/* A newcomer gets nothing that has been promised to somebody who waited. */
static void no_overtaking_body(void *argument) {
    char byte;
    (void)argument;
    dyco_coroutine_sleep(1); /* a receiver waits */
    CHECK_EQ(dyco_channel_send(chan, "x", 1, 0), 1);
    CHECK_FAILS(dyco_channel_recv(chan, &byte, 1, 0), -1, ETIMEDOUT);
    dyco_coroutine_sleep(1);
    CHECK_EQ(dyco_channel_send(chan, "y", 1, 0), 1);
    spawn(send_one, (void *)(intptr_t)'z');
    dyco_coroutine_sleep(1); /* it waits */
    CHECK_EQ(dyco_channel_recv(chan, &byte, 1, 0), 1);
    CHECK_EQ(byte, 'y');
    CHECK_FAILS(dyco_channel_send(chan, "n", 1, 0), -1, ETIMEDOUT);
    CHECK_EQ(dyco_channel_recv(chan, &byte, 1, -1), 1);
    CHECK_EQ(byte, 'z');
}

static void no_overtaking(void) {
    chan = dyco_channel_create(1);
    spawn(receive_one, (void *)(intptr_t)'r');
    spawn(no_overtaking_body, NULL);
    run_all();
    CHECK_TRACE("rx");
    dyco_channel_destroy(&chan);
}

/* Many of both kinds: nothing is lost, nothing comes twice. */
static long sum;
static int finished;

static void producer(void *argument) {
    for (int i = 0; i < 200; i++) {
        long value = (long)(intptr_t)argument * 200 + i;
        CHECK_EQ(dyco_channel_send(chan, &value, sizeof value, -1), sizeof value);
        if (i % 7 == 0) dyco_coroutine_sleep(0);
    }
}

static void consumer(void *argument) {
    (void)argument;
    for (int i = 0; i < 100; i++) {
        long value = -1;
        CHECK_EQ(dyco_channel_recv(chan, &value, sizeof value, -1), sizeof value);
        sum += value;
    }
    finished++;
}

static void crowd(void) {
    chan = dyco_channel_create(sizeof(long));
    for (intptr_t i = 0; i < 50; i++) spawn(producer, (void *)i);
    for (intptr_t i = 0; i < 100; i++) spawn(consumer, NULL);
    run_all();
    CHECK_EQ(sum, 9999L * 10000 / 2);
    CHECK_EQ(finished, 100);
    dyco_channel_destroy(&chan);
}

/* ---- Messages that wait with their senders ---- */

/* On shared stacks, some of them not in place meanwhile, and on stacks of their own: what arrives is what was sent. */
static void send_local(void *argument) {
    char text[64];
    int number = (int)(intptr_t)argument;
    memset(text, 'A' + number, sizeof text);
    CHECK_EQ(dyco_channel_send(chan, text, (size_t)number + 1, -1), number + 1);
    memset(text, '!', sizeof text);
}

static void receive_all(void *argument) {
    char text[64], wanted[64];
    (void)argument;
    for (int number = 0; number < 50; number++) {
        memset(wanted, 'A' + number, sizeof wanted);
        CHECK_EQ(dyco_channel_recv(chan, text, sizeof text, -1), number + 1);
        CHECK_EQ(memcmp(text, wanted, (size_t)number + 1), 0);
    }
    CHECK_FAILS(dyco_channel_recv(chan, text, sizeof text, 0), -1, ETIMEDOUT);
}

static void from_all_stacks(void) {
    chan = dyco_channel_create(64);
    for (intptr_t number = 0; number < 50; number++) {
        int cid = spawn(send_local, (void *)number);
        if (number % 3 == 1) CHECK_EQ(dyco_coroutine_setStack(cid, NULL, DYCO_DEFAULT_STACKSIZE), 1);
        if (number % 3 == 2) CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 0), 0);
    }
    spawn(receive_all, NULL);
    run_all();
    dyco_channel_destroy(&chan);
}

/* A message that has been put for its sender is sent, whatever happens before the sender runs again. */
static void send_static(void *argument) {
    static const char text[] = "abcd";
    int number = (int)(intptr_t)argument;
    CHECK_EQ(dyco_channel_send(chan, text + number, 1, number ? 100 : -1), 1);
    note('s');
}

static void receives_late(void *argument) {
    char byte;
    (void)argument;
    CHECK_EQ(dyco_channel_recv(chan, &byte, 1, 0), 1); /* the first has sent, the others wait */
    note(byte);
    for (int64_t end = now_ns() + 150000000; now_ns() < end;) {}
    CHECK_EQ(dyco_channel_recv(chan, &byte, 1, 0), 1);
    note(byte);
    CHECK_EQ(dyco_channel_recv(chan, &byte, 1, 0), 1);
    note(byte);
    dyco_channel_destroy(&chan); /* with the last message in it */
}

static void put_for_them(void) {
    chan = dyco_channel_create(1);
    for (intptr_t number = 0; number < 4; number++) spawn(send_static, (void *)number);
    spawn(receives_late, NULL);
    run_all();
    CHECK_TRACE("sabcsss");
}

/* ---- Lengths ---- */

static void lengths(void *argument) {
    static char large[4096], buffer[4096];
    (void)argument;
    memset(large, 'L', sizeof large);
    CHECK((chan = dyco_channel_create(0)) != NULL);
    CHECK_EQ(dyco_channel_send(chan, large, DYCO_DEFAULT_CHANNELSIZE, -1), DYCO_DEFAULT_CHANNELSIZE);
    CHECK_EQ(dyco_channel_recv(chan, buffer, sizeof buffer, -1), DYCO_DEFAULT_CHANNELSIZE);
    CHECK_FAILS(dyco_channel_send(chan, large, DYCO_DEFAULT_CHANNELSIZE + 1, -1), -2, EMSGSIZE);
    dyco_channel_destroy(&chan);

    CHECK((chan = dyco_channel_create(sizeof large)) != NULL);
    CHECK_EQ(dyco_channel_send(chan, "abc", 3, -1), 3);
    memset(buffer, 0, sizeof buffer);
    CHECK_EQ(dyco_channel_recv(chan, buffer, 3, -1), 3); /* less room than the channel's size is enough */
    CHECK_STR(buffer, "abc");
    CHECK_EQ(dyco_channel_send(chan, large, sizeof large, -1), sizeof large);
    for (int i = 0; i < 3; i++) CHECK_FAILS(dyco_channel_recv(chan, buffer, 10, -1), -1, EMSGSIZE);
    CHECK_EQ(buffer[0], 'a'); /* untouched */
    CHECK_EQ(dyco_channel_recv(chan, buffer, sizeof buffer, 0), sizeof large);
    CHECK_EQ(memcmp(buffer, large, sizeof large), 0);
    CHECK_FAILS(dyco_channel_recv(chan, buffer, sizeof buffer, 0), -1, ETIMEDOUT);

    CHECK_FAILS(dyco_channel_send(NULL, "x", 1, -1), -2, EINVAL);
    CHECK_FAILS(dyco_channel_send(chan, NULL, 1, -1), -2, EINVAL);
    CHECK_FAILS(dyco_channel_send(chan, "x", 0, -1), -2, EINVAL);
    CHECK_FAILS(dyco_channel_recv(NULL, buffer, 1, -1), -2, EINVAL);
    CHECK_FAILS(dyco_channel_recv(chan, NULL, 1, -1), -2, EINVAL);
    CHECK_FAILS(dyco_channel_recv(chan, buffer, 0, -1), -2, EINVAL);
    dyco_channel_destroy(NULL);
    dyco_channel_destroy(&chan);
    dyco_channel_destroy(&chan);
    errno = 0;
    CHECK(dyco_channel_create(SIZE_MAX) == NULL);
    CHECK_EQ(errno, ENOMEM);
    CHECK(dyco_channel_create(SIZE_MAX / 2) == NULL);
}

/* A waiting receiver with too little room leaves the message to the next one. */
static void little_room(void *argument) {
    char byte;
    (void)argument;
    CHECK_FAILS(dyco_channel_recv(chan, &byte, 1, -1), -1, EMSGSIZE);
    note('s');
}

static void much_room(void *argument) {
    char text[8] = "";
    (void)argument;
    CHECK_EQ(dyco_channel_recv(chan, text, sizeof text, -1), 4);
    CHECK_STR(text, "long");
    note('l');
}

static void send_long(void *argument) {
    (void)argument;
    CHECK_EQ(dyco_channel_send(chan, "long", 4, -1), 4);
}

static void too_long(void) {
    chan = dyco_channel_create(8);
    spawn(little_room, NULL);
    spawn(little_room, NULL);
    spawn(much_room, NULL);
    spawn(send_long, NULL);
    run_all();
    CHECK_TRACE("ssl");
    dyco_channel_destroy(&chan);
}

/* ---- Timeouts ---- */

static void timeouts(void *argument) {
    char byte;
    (void)argument;
    CHECK_TAKES(30, CHECK_FAILS(dyco_channel_recv(chan, &byte, 1, 30), -1, ETIMEDOUT));
    CHECK_EQ(dyco_channel_send(chan, "1", 1, 0), 1);
    CHECK_TAKES(30, CHECK_FAILS(dyco_channel_send(chan, "2", 1, 30), -1, ETIMEDOUT));
    CHECK_FAILS(dyco_channel_send(chan, "2", 1, 0), -1, ETIMEDOUT);
    CHECK_EQ(dyco_channel_recv(chan, &byte, 1, 30), 1);
    CHECK_EQ(byte, '1');
    CHECK_FAILS(dyco_channel_recv(chan, &byte, 1, 1), -1, ETIMEDOUT);
}

/* Those who have given up are gone from the channel: the message goes to who still waits. */
static void gives_up(void *argument) {
    char byte;
    CHECK_FAILS(dyco_channel_recv(chan, &byte, 1, (int)(intptr_t)argument), -1, ETIMEDOUT);
    note('t');
}

static void sends_late(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(60);
    CHECK_EQ(dyco_channel_send(chan, "m", 1, 0), 1);
}

static void gone(void) {
    chan = dyco_channel_create(1);
    for (intptr_t i = 0; i < 5; i++) spawn(gives_up, (void *)(20 + i));
    spawn(receive_one, (void *)(intptr_t)'r');
    spawn(sends_late, NULL);
    run_all();
    CHECK_TRACE("tttttrm");
    in_coroutine(timeouts, NULL);
    dyco_channel_destroy(&chan);
}

/* ---- Outside coroutines, and other threads ---- */

static void *other_thread(void *argument) {
    char byte;
    (void)argument;
    CHECK_FAILS(dyco_channel_send(chan, "x", 1, 0), -1, EPERM);
    CHECK_FAILS(dyco_channel_send(chan, "x", 1, -1), -1, EPERM);
    CHECK_FAILS(dyco_channel_recv(chan, &byte, 1, -1), -1, EPERM);
    errno = 0;
    dyco_channel *copy = chan;
    dyco_channel_destroy(&copy);
    CHECK_EQ(errno, EPERM);
    CHECK(copy == chan);
    return NULL;
}

static void meanwhile(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(1); /* a receiver waits */
    in_thread(other_thread, NULL);
    CHECK_EQ(dyco_channel_send(chan, "h", 1, 0), 1);
}

static void stop(void *argument) {
    (void)argument;
    dyco_schedcall_stop();
}

static void outside(void) {
    char byte;
    chan = dyco_channel_create(1);
    CHECK_FAILS(dyco_channel_recv(chan, &byte, 1, -1), -1, EPERM);
    CHECK_FAILS(dyco_channel_recv(chan, &byte, 1, 0), -1, ETIMEDOUT);
    CHECK_EQ(dyco_channel_send(chan, "1", 1, -1), 1);
    CHECK_FAILS(dyco_channel_send(chan, "2", 1, -1), -1, EPERM);
    CHECK_FAILS(dyco_channel_send(chan, "2", 1, 5), -1, EPERM);
    CHECK_EQ(dyco_channel_recv(chan, &byte, 1, -1), 1);
    CHECK_EQ(byte, '1');

    /* Outside wakes inside. */
    spawn(receive_one, (void *)(intptr_t)'r');
    spawn(stop, NULL);
    CHECK_EQ(dyco_schedule_run(), 1);
    CHECK_EQ(dyco_channel_send(chan, "o", 1, -1), 1);
    run_all();
    CHECK_TRACE("ro");

    spawn(receive_one, (void *)(intptr_t)'r');
    spawn(meanwhile, NULL);
    run_all();
    CHECK_TRACE("rh");
    dyco_channel_destroy(&chan);
}

int main(void) {
    int fds = count_fds();
    order();
    no_overtaking();
    crowd();
    from_all_stacks();
    put_for_them();
    in_coroutine(lengths, NULL);
    too_long();
    gone();
    outside();
    CHECK_EQ(count_fds(), fds);
    return test_done();
}
