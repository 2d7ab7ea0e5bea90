/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A fork while another thread makes the first scheduler of the process: the child's own works. To hit that moment libc's
 * function that registers what is to be done at a fork, which the library calls then, is held up.
 */
// modes: shared ring
#define _GNU_SOURCE
#include "core.h"

#include <dlfcn.h>
#include <pthread.h>

static int is_registering, may_go_on;

int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *handle) {
    int (*next)(void (*)(void), void (*)(void), void (*)(void), void *);
    *(void **)&next = dlsym(RTLD_NEXT, "__register_atfork");
    __atomic_store_n(&is_registering, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&may_go_on, __ATOMIC_ACQUIRE)) usleep(1000);
    return next(prepare, parent, child, handle);
}

static int finished;

static void finish(void *argument) {
    dyco_coroutine_sleep(1);
    finished++;
    (void)argument;
}

static void work(void) {
    spawn(finish, NULL);
    run_all();
    CHECK_EQ(finished, 1);
}

static void *thread(void *argument) {
    work();
    return argument;
}

/* Of a child: how it has ended, by a call that takes no lock of the library's. */
static int status_of(pid_t child) {
    int status = -1;
    CHECK_EQ(syscall(SYS_wait4, child, &status, 0, NULL), child);
    return status;
}

static void in_child_of(void (*body)(void)) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(5 * (unsigned)patience());
        finished = 0;
        body();
        _exit(0);
    }
    CHECK_EQ(status_of(child), 0);
}

/* What the library does at a fork it does in the child's, too. */
static void work_and_fork(void) {
    may_go_on = 1;
    work();
    in_child_of(work);
}

int main(void) {
    pthread_t first;
    CHECK_EQ(pthread_create(&first, NULL, thread, NULL), 0);
    while (!__atomic_load_n(&is_registering, __ATOMIC_ACQUIRE)) usleep(1000);
    in_child_of(work_and_fork);
    __atomic_store_n(&may_go_on, 1, __ATOMIC_RELEASE);
    CHECK_EQ(pthread_join(first, NULL), 0);
    return test_done();
}
