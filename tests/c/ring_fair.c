// modes: shared static
// arch: x86_64
// busy: much
// timeout: 60
// nofile: 13000
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Receives by io_uring among thousands of busy connections: all are served alike, however many of them wait to be begun.
 */
#include "net.h"

#include <sys/epoll.h>

enum { CONNECTIONS = 6000, TURNS = 20, WORK_NS = 10000 };

static int served[CONNECTIONS][2], most, fewest;

/* So that the server, not its client, is what takes long. */
static void work(void) {
    int64_t begin = now_ns();
    while (now_ns() < begin + WORK_NS) continue;
}

static void serve(void *argument) {
    int fd = served[(intptr_t)argument][0];
    char b[64];
    ssize_t got;
    while ((got = recv(fd, b, sizeof b, 0)) > 0 && send(fd, b, (size_t)got, MSG_NOSIGNAL) == got) work();
    CHECK_EQ(close(fd), 0);
}

/* Each connection always has one message under way, until they have been answered so often on average. */
static void *ask(void *argument) {
    static int answers[CONNECTIONS];
    static struct epoll_event events[256];
    int set = epoll_create1(0);
    memset(answers, 0, sizeof answers);
    for (int i = 0; i < CONNECTIONS; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        CHECK_EQ(epoll_ctl(set, EPOLL_CTL_ADD, served[i][1], &event), 0);
        CHECK_EQ(write(served[i][1], "message", 7), 7);
    }
    for (int all = 0; all < TURNS * CONNECTIONS;) {
        int count = epoll_wait(set, events, 256, 10000);
        CHECK(count > 0);
        for (int i = 0; i < count; i++) {
            char b[64];
            int me = (int)events[i].data.u32;
            CHECK_EQ(read(served[me][1], b, sizeof b), 7);
            CHECK_EQ(write(served[me][1], "message", 7), 7);
            answers[me]++;
            all++;
        }
    }
    most = 0;
    fewest = TURNS;
    for (int i = 0; i < CONNECTIONS; i++) {
        if (answers[i] > most) most = answers[i];
        if (answers[i] < fewest) fewest = answers[i];
        CHECK_EQ(close(served[i][1]), 0);
    }
    CHECK_EQ(close(set), 0);
    return argument;
}

/* Of one listener, and reset in the end: thousands of ports that wait for stragglers would be missed by other tests. */
static void connect_all(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct linger at_once = {.l_onoff = 1};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_EQ(listen(listener, 16), 0);
    CHECK_EQ(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    for (int i = 0; i < CONNECTIONS; i++) {
        served[i][1] = socket(AF_INET, SOCK_STREAM, 0);
        CHECK_EQ(setsockopt(served[i][1], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
        CHECK_EQ(connect(served[i][1], (struct sockaddr *)&address, sizeof address), 0);
        served[i][0] = accept(listener, NULL, NULL);
        CHECK(served[i][0] >= 0);
    }
    CHECK_EQ(close(listener), 0);
}

static void start(void *own) {
    pthread_t thread;
    connect_all();
    for (int i = 0; i < CONNECTIONS; i++) {
        if (own)
            spawn_own(serve, (void *)(intptr_t)i, 0x4000);
        else
            CHECK(dyco_coroutine_create(serve, (void *)(intptr_t)i) > 0);
    }
    CHECK_EQ(pthread_create(&thread, NULL, ask, NULL), 0);
    CHECK_EQ(pthread_detach(thread), 0);
}

static void all(void *argument) {
    for (int own = 0; own < 2; own++) {
        start(own ? &most : NULL);
        while (dyco_schedule_getCoroCount() > 1) dyco_coroutine_sleep(5);
        CHECK(fewest * 3 >= most);
    }
    (void)argument;
}

int main(void) {
    run_by_ring(all);
    return test_done();
}
