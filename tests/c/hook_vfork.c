/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A vfork child runs in its parent's memory: what it closes, duplicates and asks there is done by libc, and the parent's
 * coroutines, who wait on the same numbers, notice nothing.
 */
#include "net.h"

#include <spawn.h>

static int ends[2], received, waiting_until, watching;
static pid_t parent_pid;

static void receives(void *argument) {
    char b;
    (void)argument;
    CHECK_EQ(recv(ends[0], &b, 1, 0), 1);
    CHECK_EQ(b, 'p');
    received++;
    CHECK_EQ(read(ends[0], &b, 1), 1);
    received++;
    CHECK_ERRNO(recv(ends[0], &b, 1, MSG_DONTWAIT), EAGAIN);
}

static void waits(void *argument) {
    (void)argument;
    CHECK_EQ(dyco_coroutine_waitRead(waiting_until, -1) > 0, 1);
    received++;
}

/* Is always soon ready to run: in the parent only. */
static void watches(void *argument) {
    (void)argument;
    while (watching) {
        CHECK_EQ(syscall(SYS_getpid), parent_pid);
        dyco_coroutine_sleep(2);
    }
}

/* Closes and replaces all that the parent waits for, then becomes another program. */
static void child_work(int out) {
    struct pollfd entry = {ends[0], POLLIN, 0};
    if (dyco_coroutine_create(watches, NULL) >= 0 || errno != EPERM) _exit(10);
    if (dyco_coroutine_coroID() != -1) _exit(10);
    if (dup2(out, 1) != 1) _exit(11);
    if (fcntl(ends[0], F_GETFL) != O_RDWR) _exit(12);
    if (poll(&entry, 1, 20) != 0) _exit(13);
    if (close(ends[0]) != 0) _exit(14);
    if (dup2(1, ends[0]) != ends[0]) _exit(15);
    if (close(waiting_until) != 0) _exit(16);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || close(fd) != 0) _exit(17);
    if (usleep(20000) != 0) _exit(18);
    if (write(1, "child ", 6) != 6) _exit(19);
    execl("/bin/echo", "echo", "-n", "done", (char *)NULL);
    _exit(127);
}

static void by_vfork(int pipes[2]) {
    errno = 77;
    pid_t child = vfork();
    if (child == 0) child_work(pipes[1]);
    CHECK(child > 0);
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

static void by_spawn(int pipes[2]) {
    posix_spawn_file_actions_t actions;
    char *arguments[] = {"echo", "-n", "child done", NULL}, *environment[] = {NULL};
    pid_t child;
    CHECK_EQ(posix_spawn_file_actions_init(&actions), 0);
    CHECK_EQ(posix_spawn_file_actions_adddup2(&actions, pipes[1], 1), 0);
    CHECK_EQ(posix_spawn_file_actions_addclose(&actions, ends[0]), 0);
    CHECK_EQ(posix_spawn(&child, "/bin/echo", &actions, NULL, arguments, environment), 0);
    CHECK_EQ(posix_spawn_file_actions_destroy(&actions), 0);
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

static void parent(void *argument) {
    char text[32] = "";
    int pipes[2];
    size_t total = 0;
    ssize_t n;
    dyco_coroutine_sleep(20);
    CHECK_EQ(pipe(pipes), 0);
    if (argument == NULL) by_vfork(pipes);
    else by_spawn(pipes);
    CHECK_EQ(close(pipes[1]), 0);
    while ((n = read(pipes[0], text + total, sizeof text - 1 - total)) > 0) total += (size_t)n;
    CHECK_EQ(n, 0);
    CHECK_STR(text, "child done");
    CHECK_EQ(close(pipes[0]), 0);
    /* Still inside a coroutine. */
    CHECK(dyco_coroutine_coroID() > 0);
    CHECK_EQ(flags_of(ends[0]), O_RDWR);
    CHECK_EQ(send(ends[1], "p", 1, 0), 1);
    dyco_coroutine_sleep(20);
    CHECK_EQ(received, 1);
    CHECK_EQ(send(ends[1], "q", 1, 0), 1);
    CHECK_EQ(eventfd_write(waiting_until, 1), 0);
    watching = 0;
}

static void round_of(void *how) {
    received = 0;
    stream_pair(AF_UNIX, ends);
    CHECK((waiting_until = eventfd(0, 0)) >= 0);
    spawn(receives, NULL);
    spawn(waits, NULL);
    watching = 1;
    spawn(watches, NULL);
    spawn(parent, how);
    run_all();
    CHECK_EQ(received, 3);
    close_pair(ends);
    CHECK_EQ(close(waiting_until), 0);
}

/* Descriptors are shared with the child: what it sets of them is set for the parent, whose calls follow. */
static void child_sets(void *argument) {
    char b;
    (void)argument;
    stream_pair(AF_UNIX, ends);
    CHECK_ERRNO(recv(ends[0], &b, 1, MSG_DONTWAIT), EAGAIN);
    pid_t child = vfork();
    if (child == 0) {
        set_nonblock(ends[0], 1);
        set_timeout(ends[1], SO_RCVTIMEO, 60);
        _exit(0);
    }
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_ERRNO(recv(ends[0], &b, 1, 0), EAGAIN);
    int64_t begin = now_ns();
    CHECK_ERRNO(recv(ends[1], &b, 1, 0), EAGAIN);
    CHECK_TOOK(now_ns() - begin, 60000000, 5000000000);
    close_pair(ends);
}

/* A child that ends at once, many times, from several coroutines. */
static void vforks_often(void *argument) {
    (void)argument;
    for (int i = 0; i < 20; i++) {
        int status = -1;
        pid_t child = vfork();
        if (child == 0) _exit(7);
        CHECK(child > 0);
        dyco_coroutine_sleep(1);
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK_EQ(WEXITSTATUS(status), 7);
    }
}

int main(void) {
    warm_up();
    parent_pid = getpid();
    int fds = count_fds();
    round_of(NULL);
    round_of(parent);
    in_coroutine(child_sets, NULL);
    for (int i = 0; i < 5; i++) spawn(vforks_often, NULL);
    run_all();
    /* Outside a coroutine, too. */
    pid_t child = vfork();
    if (child == 0) _exit(3);
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(WEXITSTATUS(status), 3);
    CHECK_EQ(count_fds(), fds);
    return test_done();
}
