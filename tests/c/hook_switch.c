/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * dyco_hook_active says that we are reached. dyco_hook_enable switches the hooks off for the thread alone, and leaves the
 * dyco_* calls and closing as they are. DYCO_BLOCKED_MS tells of what holds the thread up.
 */
#include "net.h"

static int ends[2], ticks;

static void ticking(void *argument) {
    (void)argument;
    while (dyco_schedule_getCoroCount() > 1) {
        dyco_coroutine_sleep(5);
        ticks++;
    }
}

static void *other_thread(void *argument) {
    (void)argument;
    CHECK_EQ(dyco_hook_enable(1), 1);
    return NULL;
}

static void waits(void *argument) {
    char b;
    (void)argument;
    CHECK_EQ(dyco_hook_enable(1), 1);
    CHECK_EQ(usleep(100000), 0);
    CHECK(ticks > 2);
    CHECK_EQ(dyco_hook_enable(0), 1);
    CHECK_EQ(dyco_hook_enable(0), 0);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, other_thread, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    /* Now the thread waits. */
    ticks = 0;
    CHECK_EQ(usleep(100000), 0);
    CHECK_EQ(ticks, 0);
    set_timeout(ends[0], SO_RCVTIMEO, 100);
    CHECK_ERRNO(recv(ends[0], &b, 1, 0), EAGAIN);
    CHECK_EQ(ticks, 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0), reuse = 7;
    socklen_t length = sizeof reuse;
    CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, &length), 0);
    CHECK_EQ(reuse, 0);
    CHECK_EQ(close(fd), 0);
    dyco_coroutine_sleep(50);
    CHECK(ticks > 2);
    CHECK_ERRNO(dyco_recv(ends[0], &b, 1, 0), EAGAIN);
    CHECK(ticks > 10);
    CHECK_EQ(dyco_hook_enable(2), 0);
    ticks = 0;
    CHECK_EQ(usleep(100000), 0);
    CHECK(ticks > 2);
}

static void read_again(void *argument) {
    char b;
    (void)argument;
    CHECK_ERRNO(dyco_recv(ends[0], &b, 1, 0), EBADF);
}

static void close_off(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(20);
    dyco_hook_enable(0);
    CHECK_EQ(close(ends[0]), 0);
}

static void works(void *argument) {
    int64_t end = now_ms() + 120;
    (void)argument;
    while (now_ms() < end) continue;
    dyco_coroutine_sleep(1);
    dyco_hook_enable(0);
    usleep(120000);
    dyco_hook_enable(1);
    usleep(120000);
}

static void held_up(void) {
    spawn(works, NULL);
    usleep(120000);
    run_all();
    usleep(120000);
}

/* What DYCO_BLOCKED_MS is read from is the environment that the program starts with. */
static int tells(char **argv) {
    static char output[4096];
    int pipes[2], status;
    CHECK_EQ(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        setenv("DYCO_BLOCKED_MS", "100", 1);
        dup2(pipes[1], 2);
        execl("/proc/self/exe", argv[0], "held", NULL);
        _exit(127);
    }
    CHECK_EQ(close(pipes[1]), 0);
    size_t length = 0;
    for (ssize_t n; (n = read(pipes[0], output + length, sizeof output - 1 - length)) > 0;) length += (size_t)n;
    CHECK_EQ(close(pipes[0]), 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    if (count_lines(output) != 3) TEST_FAIL("not three lines: %s", output);
    CHECK(strstr(output, "libdyco: usleep() held up its thread for 1") != NULL);
    CHECK(strstr(output, "ms outside coroutines, of which there are 1\n") != NULL);
    CHECK(strstr(output, "ms in coroutine 1\n") != NULL);
    CHECK(strstr(output, "libdyco: coroutine 1 kept its thread for 1") != NULL);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1) {
        held_up();
        return 0;
    }
    const char *missing = dyco_hook_missing(0);
    if (missing) TEST_FAIL("%s is not ours", missing);
    CHECK_EQ(dyco_hook_active(), 1);
    CHECK(dyco_hook_missing(-1) == NULL && dyco_hook_missing(1000) == NULL);
    stream_pair(AF_UNIX, ends);
    spawn(waits, NULL);
    spawn(ticking, NULL);
    run_all();
    spawn(read_again, NULL);
    spawn(close_off, NULL);
    run_all();
    CHECK_EQ(close(ends[1]), 0);
    /* The switch outlives the scheduler. */
    dyco_schedule_free(NULL);
    CHECK_EQ(dyco_hook_enable(1), 0);
    CHECK_EQ(dyco_hook_enable(0), 1);
    stream_pair(AF_UNIX, ends);
    CHECK_EQ(dyco_hook_enable(1), 0);
    close_pair(ends);
#ifndef __aarch64__ /* under qemu-user, /proc/self/exe is the emulator */
    tells(argv);
#else
    (void)tells, (void)argv;
#endif
    return test_done();
}
