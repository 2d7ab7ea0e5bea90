/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Far deadlines share one timer of the kernel's, which stays set across waits: deadlines that come before and after the
 * one that it is set for are kept, each once and never early, also where there is no descriptor for a timer, and in a child.
 */
#include "core.h"

static int ends[2], finished;

static void silent(void *argument) {
    int msecs = (int)(intptr_t)argument;
    int64_t begin = now_ns();
    CHECK_EQ(dyco_coroutine_waitRead(ends[0], msecs), 0);
    CHECK_TOOK(now_ns() - begin, msecs * 1000000LL, (msecs + 200) * 1000000LL);
    finished++;
}

/* Each wait has a deadline far off that does not come; the one that follows them is kept. */
static void answered(void *argument) {
    int *pair = argument;
    char byte;
    for (int i = 0; i < 300; i++) {
        CHECK(dyco_coroutine_waitRead(pair[0], 5000) > 0);
        CHECK_EQ(read(pair[0], &byte, 1), 1);
        CHECK_EQ(write(pair[0], "x", 1), 1);
    }
    int64_t begin = now_ns();
    CHECK_EQ(dyco_coroutine_waitRead(pair[0], 25), 0);
    CHECK_TOOK(now_ns() - begin, 25000000, 200000000);
    finished++;
}

static void *answers(void *argument) {
    int *pair = argument;
    char byte;
    for (int i = 0; i < 300; i++) {
        CHECK_EQ(write(pair[1], "x", 1), 1);
        CHECK_EQ(read(pair[1], &byte, 1), 1);
    }
    return NULL;
}

static void deadlines(void) {
    /* Set for the first one; then nearer and nearer ones come, too near for it, and farther ones. */
    const int times[] = {400, 200, 100, 50, 20, 11, 9, 2, 30, 150, 401, 600};
    finished = 0;
    for (size_t i = 0; i < COUNT(times); i++) spawn(silent, (void *)(intptr_t)times[i]);
    run_all();
    CHECK_EQ(finished, (int)COUNT(times));
}

static void conversation(void) {
    int pair[2];
    pthread_t thread;
    finished = 0;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CHECK_EQ(pthread_create(&thread, NULL, answers, pair), 0);
    spawn(answered, pair);
    run_all();
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(finished, 1);
    close(pair[0]);
    close(pair[1]);
}

static void *everything(void *argument) {
    deadlines();
    conversation();
    return argument;
}

static void in_forked_coroutine(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(30);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    /* The timer is the parent's and set by both if they share it. */
    for (int i = 0; i < 5; i++) silent((void *)(intptr_t)(child ? 60 : 35));
    if (child == 0) _exit(0);
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

/* Two descriptors are free: enough for a scheduler, but not for its timer. */
static void scarce(void) {
    struct rlimit none = {0, 0};
    int first = dup(0);
    CHECK(first >= 0);
    close(first);
    none.rlim_cur = none.rlim_max = (rlim_t)first + 2;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    deadlines();
    CHECK_EQ(dup(0), -1);
}

int main(void) {
    pthread_t thread;
    CHECK_EQ(pipe(ends), 0);
    CHECK_CHILD(scarce);
    everything(NULL);
    CHECK_EQ(pthread_create(&thread, NULL, everything, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    spawn(in_forked_coroutine, NULL);
    run_all();
    return test_done();
}
