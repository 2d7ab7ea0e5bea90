/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Without threads, descriptors or room: a function is not run and the caller is told; a look-up is made on the spot, as
 * without the library. And the environment's limits.
 */
// modes: shared fortify ring
#include "core.h"

#include <dlfcn.h>
#include <netdb.h>

static int refuse, refused, started;

/* The library's threads are made by this name, too. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*function)(void *), void *argument) {
    static int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (refuse) {
        refused++;
        return EAGAIN;
    }
    started++;
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "pthread_create");
    return next(thread, attr, function, argument);
}

static int ran;

static void runs(void *argument) {
    struct timespec time = {0, 20000000};
    (void)argument;
    syscall(SYS_nanosleep, &time, NULL);
    ran++;
}

static void looks_up(void) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list = NULL;
    CHECK_EQ(getaddrinfo("localhost", "80", &hints, &list), 0);
    CHECK_EQ(ntohl(((struct sockaddr_in *)list->ai_addr)->sin_addr.s_addr), INADDR_LOOPBACK);
    freeaddrinfo(list);
    CHECK(gethostbyname("localhost") != NULL);
}

static void without_threads(void *argument) {
    (void)argument;
    refuse = 1;
    CHECK_ERRNO(dyco_offload(runs, NULL, -1), EAGAIN);
    CHECK_EQ(ran, 0);
    looks_up();
    CHECK(refused >= 3);
    refuse = 0;
    CHECK_EQ(dyco_offload(runs, NULL, -1), 0);
    CHECK_EQ(ran, 1);
    looks_up();
}

static void one_of_two(void *argument) {
    (void)argument;
    CHECK_EQ(dyco_offload(runs, NULL, -1), 0);
}

/* With a thread at work, a further one is not needed. */
static void refuses(void *argument) {
    (void)argument;
    refuse = 1;
}

/* The first thing that waits in a thread opens its descriptors. */
static void without_descriptors(void *argument) {
    (void)argument;
    CHECK_ERRNO(dyco_offload(runs, NULL, -1), EMFILE);
    CHECK_EQ(ran, 0);
}

static void *scarce_descriptors(void *argument) {
    struct rlimit limit, none;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){3, limit.rlim_max};
    ran = 0;
    spawn(without_descriptors, NULL);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    run_all();
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    spawn(one_of_two, NULL);
    run_all();
    CHECK_EQ(ran, 1);
    return argument;
}

/* DYCO_OFFLOAD_THREADS=2, DYCO_OFFLOAD_IDLE=100. */
static void by_environment(void) {
    started = 0;
    int alone = count_threads();
    for (int i = 0; i < 6; i++) spawn(one_of_two, NULL);
    run_all();
    CHECK_EQ(started, 2);
    CHECK_EQ(count_threads(), alone + 2);
    for (int64_t until = now_ms() + 5000; count_threads() != alone && now_ms() < until;) usleep(10000);
    CHECK_EQ(count_threads(), alone);
}

int main(int argc, char **argv) {
    pthread_t thread;
    if (argc > 1) {
        by_environment();
        return test_done();
    }
    spawn(without_threads, NULL);
    run_all();
    ran = 0;
    for (int i = 0; i < 3; i++) spawn(one_of_two, NULL);
    dyco_coroutine_setUrgent(spawn(refuses, NULL));
    run_all();
    CHECK_EQ(ran, 3);
    refuse = 0;
    CHECK_EQ(pthread_create(&thread, NULL, scarce_descriptors, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    setenv("DYCO_OFFLOAD_THREADS", "2", 1);
    setenv("DYCO_OFFLOAD_IDLE", "100", 1);
    execl("/proc/self/exe", argv[0], "by-environment", NULL);
    return test_done(); /* an emulator cannot start itself anew */
}
