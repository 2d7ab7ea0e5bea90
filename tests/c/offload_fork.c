/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fork while helpers are at work: the child has none, starts its own, and does not wait for what the parent's do.
 */
/* The emulator cannot fork with threads. */
// arch: x86_64
#include "core.h"

static int done[4];

static void pause_ms(int ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    syscall(SYS_nanosleep, &time, NULL);
}

static void slow(void *argument) {
    pause_ms(150);
    __atomic_store_n((int *)argument, 1, __ATOMIC_SEQ_CST);
}

static void quick(void *argument) {
    *(int *)argument = 1;
}

/* Waits for its turn at a pool of one. */
static int results[4], errors[4];

static void waits(void *argument) {
    int i = (int)(intptr_t)argument;
    results[i] = dyco_offload(slow, &done[i], -1);
    errors[i] = errno;
}

static void reap(pid_t child) {
    int status = 0;
    CHECK(child > 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

/* Only the caller goes on in the child, with helpers of its own. */
static void forks(void *argument) {
    int flag = 0;
    static int quickly;
    (void)argument;
    dyco_coroutine_sleep(30);
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        CHECK_EQ(dyco_schedule_getCoroCount(), 1);
        CHECK_EQ(dyco_offload(quick, &quickly, 5000), 0);
        CHECK_EQ(quickly, 1);
        _exit(flag);
    }
    reap(child);
}

static void stops(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(30);
    dyco_schedcall_stop();
}

/* All of them are in the child, and wait for what is the parent's affair. */
static void outside(void) {
    memset(done, 0, sizeof done);
    spawn(waits, (void *)0);
    spawn(waits, (void *)1);
    spawn(stops, NULL);
    CHECK_EQ(dyco_schedule_run(), 1);
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        run_all();
        for (int i = 0; i < 2; i++) {
            CHECK_EQ(results[i], -1);
            CHECK_EQ(errors[i], ECANCELED);
            CHECK_EQ(done[i], 0);
        }
        spawn(waits, (void *)2);
        run_all();
        CHECK_EQ(results[2], 0);
        CHECK_EQ(done[2], 1);
        _exit(0);
    }
    run_all();
    CHECK_EQ(results[0] | results[1], 0);
    CHECK_EQ(done[0] & done[1], 1);
    reap(child);
}

/* The parent's helper has done a job just before the fork: the child knows. */
static void finished_before(void) {
    done[0] = 0;
    spawn(waits, (void *)0);
    spawn(stops, NULL);
    CHECK_EQ(dyco_schedule_run(), 1);
    while (!__atomic_load_n(&done[0], __ATOMIC_SEQ_CST)) pause_ms(5);
    pause_ms(20);
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        run_all();
        CHECK_EQ(results[0], 0);
        _exit(0);
    }
    run_all();
    CHECK_EQ(results[0], 0);
    reap(child);
}

/* A function that forks: in the child it goes on, and with it the process ends. */
static int pipe_ends[2];

static void forks_itself(void *argument) {
    *(pid_t *)argument = fork();
    if (*(pid_t *)argument == 0) {
        alarm(20);
        if (write(pipe_ends[1], "c", 1) != 1) _exit(3);
    }
}

static void offloads_fork(void *argument) {
    static pid_t child;
    char byte = 0;
    (void)argument;
    CHECK_EQ(pipe(pipe_ends), 0);
    CHECK_EQ(dyco_offload(forks_itself, &child, -1), 0);
    reap(child);
    CHECK_EQ(read(pipe_ends[0], &byte, 1), 1);
    CHECK_EQ(byte, 'c');
    static int again;
    CHECK_EQ(dyco_offload(quick, &again, -1), 0);
    CHECK_EQ(again, 1);
}

/* A vfork child is not us: there is no coroutine in it. */
static void vforks(void *argument) {
    (void)argument;
    pid_t child = vfork();
    if (child == 0) _exit(dyco_offload(quick, &done[3], -1));
    reap(child);
}

int main(void) {
    CHECK_EQ(dyco_offload_setPool(1, 10000), 0);
    spawn(waits, (void *)0);
    spawn(waits, (void *)1);
    spawn(forks, NULL);
    run_all();
    CHECK_EQ(done[0] & done[1], 1);
    outside();
    finished_before();
    spawn(offloads_fork, NULL);
    run_all();
    spawn(vforks, NULL);
    run_all();
    return test_done();
}
