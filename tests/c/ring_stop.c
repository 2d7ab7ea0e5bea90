/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A loop that has been stopped: what its coroutines have begun to send is sent, and once however many sides of a fork go on;
 * other threads get the connections that come meanwhile. Run again, each coroutine goes on where it was.
 */
#include "net.h"

#include <sys/wait.h>

static int pair[2], listening, accepted;
static union address address;
static socklen_t length;

static void stops(void *argument) {
    (void)argument;
    dyco_schedcall_stop();
}

static void sends(void *argument) {
    (void)argument;
    CHECK_EQ(send(pair[0], "hello", 5, 0), 5);
}

static void writes(void *argument) {
    (void)argument;
    CHECK_EQ(write(pair[1], "hello", 5), 5);
}

/* Has been sent when the loop has been stopped, and is not again, here or in a child. */
static void sent_once(proc_coroutine function, int from) {
    char b[16];
    spawn_own(function, NULL, 0x4000);
    spawn_own(stops, NULL, 0x4000);
    CHECK_EQ(dyco_schedule_run(), 1);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        run_all();
        _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(read(from, b, sizeof b), 5);
    run_all();
    CHECK_EQ(poll(&(struct pollfd){.fd = from, .events = POLLIN}, 1, 0), 0);
    close_pair(pair);
}

static void accepts(void *argument) {
    (void)argument;
    int fd = accept(listening, NULL, NULL);
    CHECK(fd >= 0);
    CHECK_EQ(close(fd), 0);
    accepted++;
}

static int connects(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(fd, &address.any, length), 0);
    return fd;
}

static void *accepts_meanwhile(void *argument) {
    (void)argument;
    int fd = accept(listening, NULL, NULL);
    CHECK(fd >= 0);
    CHECK_EQ(close(fd), 0);
    return NULL;
}

static void connections_are_others(void) {
    pthread_t thread;
    listening = listener(AF_INET, SOCK_STREAM, 8, &address, &length);
    for (int i = 0; i < 3; i++) spawn_own(accepts, NULL, 0x4000);
    run_a_while();
    CHECK_EQ(pthread_create(&thread, NULL, accepts_meanwhile, NULL), 0);
    usleep(50000);
    int fd = connects();
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(accepted, 0);
    for (int i = 0; i < 3; i++) CHECK_EQ(close(connects()), 0);
    run_all();
    CHECK_EQ(accepted, 3);
    CHECK_EQ(close(listening), 0);
}

static void receives(void *argument) {
    char b;
    (void)argument;
    CHECK_EQ(recv(pair[0], &b, 1, 0), 1);
    CHECK_EQ(b, 'x');
}

static void waits_go_on(void) {
    stream_pair(AF_INET, pair);
    spawn(receives, NULL);
    run_a_while();
    run_a_while();
    CHECK_EQ(send(pair[1], "x", 1, 0), 1);
    run_all();
    close_pair(pair);
}

int main(void) {
    CHECK_EQ(setenv("DYCO_POLLER", "io_uring", 1), 0);
    warm_up();
    stream_pair(AF_INET, pair);
    sent_once(sends, pair[1]);
    CHECK_EQ(pipe(pair), 0);
    sent_once(writes, pair[0]);
    connections_are_others();
    waits_go_on();
    return test_done();
}
