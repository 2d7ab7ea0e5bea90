/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Out of descriptors: accept, socket, dup and their kin fail with EMFILE, nothing is lost, and all goes on when there
 * is room again.
 */
#include "net.h"

#include <sys/resource.h>

static union address where;
static socklen_t length;
static int listening, blockers[256], blocker_count, accepted, waiting_for_data;

static void use_up(void) {
    int fd;
    while ((fd = open("/dev/null", O_RDONLY)) >= 0) {
        CHECK(blocker_count < 256);
        blockers[blocker_count++] = fd;
    }
    CHECK_EQ(errno, EMFILE);
}

static void give_back(int count) {
    while (count-- > 0) CHECK_EQ(close(blockers[--blocker_count]), 0);
}

static void server(void *argument) {
    (void)argument;
    int fd, failures = 0;
    while ((fd = accept(listening, NULL, NULL)) < 0) {
        CHECK_EQ(errno, EMFILE);
        failures++;
        dyco_coroutine_sleep(10);
        if (failures == 5) give_back(2);
    }
    CHECK(failures >= 5);
    CHECK_EQ(send(fd, "w", 1, 0), 1);
    CHECK_EQ(close(fd), 0);
    accepted++;
}

static void no_room(void *argument) {
    int pair[2], fd = (int)(intptr_t)argument;
    CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, 0), EMFILE);
    CHECK_ERRNO(dyco_socket(AF_INET, SOCK_STREAM, 0), EMFILE);
    CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), EMFILE);
    CHECK_ERRNO(dup(fd), EMFILE);
    CHECK_ERRNO(fcntl(fd, F_DUPFD, 0), EMFILE);
    CHECK_ERRNO(dup2(fd, 10000), EBADF);
    /* Waits need no descriptors. */
    struct pollfd entry = {fd, POLLIN, 0};
    CHECK_EQ(poll(&entry, 1, 20), 0);
    CHECK_EQ(dyco_coroutine_waitRead(fd, 20), 0);
    CHECK_EQ(select(0, NULL, NULL, NULL, &(struct timeval){0, 20000}), 0);
}

static void reader(void *argument) {
    char b;
    waiting_for_data = 1;
    CHECK_EQ(recv((int)(intptr_t)argument, &b, 1, 0), 1);
    CHECK_EQ(b, 'w');
    waiting_for_data = 0;
}

int main(void) {
    struct rlimit limit = {64, 64};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    warm_up();
    listening = listener(AF_INET, SOCK_STREAM, 8, &where, &length);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(fd, &where.any, length), 0);
    int delays = open("/proc/thread-self/schedstat", O_RDONLY);
    use_up();
    CHECK_EQ(close(delays), 0);
    spawn(no_room, (void *)(intptr_t)fd);
    run_with_ticker();
    use_up();
    spawn(reader, (void *)(intptr_t)fd);
    spawn(server, NULL);
    run_all();
    CHECK_EQ(accepted, 1);
    CHECK_EQ(waiting_for_data, 0);
    give_back(blocker_count);
    return test_done();
}
