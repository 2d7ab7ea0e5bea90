/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Bad input to every call: NULL, cids of nobody, of the dead and of another thread, closed numbers, absurd sizes. Each fails
 * with an errno and changes nothing; nothing ends the program. Inside coroutines, outside, and in a thread without any.
 */
#include "sync.h"

#include <limits.h>

static int live, dead, foreign;

/* The call fails with a negative result, or NULL, and this errno. */
#define FAILS(error, call) \
    do { \
        errno = 0; \
        long long fails_r = (long long)(intptr_t)(call); \
        int fails_e = errno; \
        if (fails_r >= 0 || fails_e != (error)) \
            TEST_FAIL("%s:%d: expected %s < 0 with %s, but it is %lld with errno %d (%s)", __FILE__, __LINE__, #call, \
                      #error, fails_r, fails_e, strerror(fails_e)); \
    } while (0)

#define FAILS_NULL(error, call) \
    do { \
        errno = 0; \
        const void *fails_p = (call); \
        int fails_e = errno; \
        if (fails_p != NULL || fails_e != (error)) \
            TEST_FAIL("%s:%d: expected NULL from %s with %s, but it is %p with errno %d (%s)", __FILE__, __LINE__, #call, \
                      #error, fails_p, fails_e, strerror(fails_e)); \
    } while (0)

static void bad_cids(void) {
    const int cids[] = {0, -1, INT_MIN, INT_MAX, dead, foreign};
    void *pointer = &live;
    size_t size = 77;
    dyco_waitgroup *group = dyco_waitgroup_create(1);
    CHECK(group != NULL);
    for (size_t i = 0; i < COUNT(cids); i++) {
        int cid = cids[i];
        FAILS(ESRCH, dyco_coroutine_setStack(cid, NULL, 16384));
        FAILS(ESRCH, dyco_coroutine_setStack(cid, NULL, 0));
        FAILS(ESRCH, dyco_coroutine_getStack(cid, &pointer, &size));
        FAILS(ESRCH, dyco_coroutine_getStack(cid, NULL, NULL));
        FAILS(ESRCH, dyco_coroutine_setUdata(cid, NULL));
        FAILS(ESRCH, dyco_coroutine_getUdata(cid, &pointer));
        FAILS(ESRCH, dyco_coroutine_getSchedCount(cid));
        FAILS(ESRCH, dyco_coroutine_setUrgent(cid));
        FAILS(ESRCH, dyco_coroutine_unsetUrgent(cid));
        FAILS(ESRCH, dyco_coroutine_isasymmetric(cid));
        FAILS(ESRCH, dyco_asymcoro_resume(cid));
        FAILS(ESRCH, dyco_asymcororesume(cid));
        FAILS(ESRCH, dyco_asymcoro_setStack(cid, NULL, 16384));
        FAILS(ESRCH, dyco_asymcoro_getStack(cid, &pointer, &size));
        FAILS(ESRCH, dyco_asymcoro_setUdata(cid, NULL));
        FAILS(ESRCH, dyco_asymcoro_getUdata(cid, &pointer));
        FAILS(ESRCH, dyco_waitgroup_add(group, cid));
        dyco_asymcoro_free(cid);
        dyco_asymcpool_return(cid);
    }
    CHECK(pointer == &live && size == 77);
    dyco_waitgroup_destroy(&group);
}

static void no_objects(void) {
    char byte = 0;
    dyco_coropool *pool = NULL;
    dyco_channel *chan = NULL;
    dyco_pubsubchannel *ps = NULL;
    dyco_waitgroup *group = NULL;
    dyco_semaphore *sem = NULL;
    FAILS(EINVAL, dyco_coroutine_create(NULL, NULL));
    FAILS(EINVAL, dyco_coroutine_create_urgent(NULL, NULL));
    FAILS(EINVAL, dyco_asymcoro_create(NULL, NULL));

    FAILS_NULL(EINVAL, dyco_coropool_create(0, 0));
    FAILS_NULL(EINVAL, dyco_coropool_create(-1, 0));
    FAILS_NULL(EINVAL, dyco_coropool_create(1, SIZE_MAX));
    FAILS_NULL(EINVAL, dyco_asymcpool_create(INT_MIN, 0));
    FAILS_NULL(EINVAL, dyco_coropool_resize(NULL, 3));
    FAILS_NULL(EINVAL, dyco_asymcpool_resize(NULL, 3));
    FAILS(EINVAL, dyco_coropool_available(NULL));
    FAILS(EINVAL, dyco_asymcpool_available(NULL));
    FAILS(EINVAL, dyco_coropool_obtain(NULL, nothing, NULL, -1));
    FAILS(EINVAL, dyco_coropool_obtain_urgent(NULL, nothing, NULL, 0));
    FAILS(EINVAL, dyco_asymcpool_obtain(NULL, nothing, NULL, 0));
    FAILS(EINVAL, dyco_coropool_destroy(NULL));
    FAILS(EINVAL, dyco_coropool_destroy(&pool));
    FAILS(EINVAL, dyco_asymcpool_destroy(&pool));
    CHECK((pool = dyco_coropool_create(1, 0)) != NULL);
    FAILS(EINVAL, dyco_coropool_obtain(pool, NULL, NULL, 0));
    FAILS_NULL(EINVAL, dyco_coropool_resize(pool, 0));
    FAILS_NULL(EINVAL, dyco_coropool_resize(pool, -7));
    CHECK_EQ(dyco_coropool_available(pool), 1);
    CHECK_EQ(dyco_coropool_destroy(&pool), 0);
    CHECK(pool == NULL);

    CHECK_FAILS(dyco_channel_send(NULL, &byte, 1, -1), -2, EINVAL);
    CHECK_FAILS(dyco_channel_recv(NULL, &byte, 1, INT_MIN), -2, EINVAL);
    dyco_channel_destroy(&chan);
    dyco_channel_destroy(NULL);
    CHECK_FAILS(dyco_pubsub_publish(NULL, &byte, 1), -2, EINVAL);
    CHECK_FAILS(dyco_pubsub_subscribe(NULL, &byte, 1, -1), -2, EINVAL);
    dyco_pubsub_destroy(&ps);
    dyco_pubsub_destroy(NULL);
    FAILS(EINVAL, dyco_waitgroup_add(NULL, live));
    FAILS(EINVAL, dyco_waitgroup_done(NULL));
    FAILS(EINVAL, dyco_waitgroup_wait(NULL, 0, -1));
    dyco_waitgroup_destroy(&group);
    dyco_waitgroup_destroy(NULL);
    FAILS_NULL(EINVAL, dyco_semaphore_create((size_t)INT_MAX + 1));
    FAILS_NULL(EINVAL, dyco_semaphore_create(SIZE_MAX));
    FAILS(EINVAL, dyco_semaphore_wait(NULL, -1));
    FAILS(EINVAL, dyco_semaphore_signal(NULL));
    dyco_semaphore_destroy(&sem);
    dyco_semaphore_destroy(NULL);
}

static void bad_numbers(void) {
    const int fds[] = {-1, INT_MIN, INT_MAX, 1 << 20, 900};
    struct epoll_event event = {.events = EPOLLIN};
    char byte = 0;
    for (size_t i = 0; i < COUNT(fds); i++) {
        int fd = fds[i];
        FAILS(EBADF, dyco_coroutine_waitRead(fd, -1));
        FAILS(EBADF, dyco_coroutine_waitWrite(fd, INT_MIN));
        FAILS(EBADF, dyco_coroutine_waitRW(fd, 1000));
        FAILS(EBADF, dyco_close(fd));
        FAILS(EBADF, dyco_accept(fd, NULL, NULL));
        FAILS(EBADF, dyco_send(fd, &byte, 1, 0));
        FAILS(EBADF, dyco_recv(fd, &byte, 1, 0));
        FAILS(EBADF, dyco_sendto(fd, &byte, 1, 0, NULL, 0));
        FAILS(EBADF, dyco_recvfrom(fd, &byte, 1, 0, NULL, NULL));
    }
    errno = 0;
    CHECK(dyco_epoll_add(0, &event) < 0 && errno != 0);
    CHECK(dyco_epoll_del(0, &event) < 0 && errno != 0);
    CHECK(dyco_epoll_wait(&event, 1, 0) < 0 && errno != 0);
    CHECK(dyco_signal_wait(NULL, -1) < 0 && errno != 0);
    CHECK(dyco_signal_init(NULL) < 0 && errno != 0);
    FAILS(ECHILD, dyco_signal_waitchild(getpid(), NULL, -1));
}

static void all(void *argument) {
    (void)argument;
    live = dyco_coroutine_coroID();
    bad_cids();
    no_objects();
    bad_numbers();
}

static void *in_other_thread(void *argument) {
    /* Nothing of this thread exists. */
    FAILS(ESRCH, dyco_coroutine_getSchedCount(live));
    CHECK_EQ(dyco_coroutine_coroID(), -1);
    CHECK_EQ(dyco_asymcoro_coroID(), -1);
    CHECK_EQ(dyco_schedule_schedID(), -1);
    CHECK_EQ(dyco_schedule_getCoroCount(), -1);
    CHECK_EQ(dyco_schedule_run(), -2);
    CHECK_EQ(dyco_schedule_setUdata(argument), -1);
    CHECK_EQ(dyco_schedule_getUdata(NULL), -1);
    dyco_schedcall_stop();
    dyco_schedcall_abort();
    dyco_schedule_free(NULL);
    dyco_coroutine_abort();
    dyco_asymcoro_yield();
    dyco_asymcoroyield();
    dyco_epoll_destroy();
    dyco_signal_destroy();
    CHECK_EQ(dyco_coroutine_checkStack() <= 0, 1);
    all(NULL);
    return NULL;
}

static void *makes_foreign(void *argument) {
    foreign = spawn(nothing, NULL);
    in_thread(in_other_thread, argument);
    FAILS(ESRCH, dyco_coroutine_getSchedCount(live));
    return NULL;
}

static int entered;

static void *keeps_foreign(void *argument) {
    int *ends = argument;
    char byte;
    foreign = spawn(nothing, NULL);
    __atomic_store_n(&entered, 1, __ATOMIC_RELEASE);
    CHECK_EQ(read(ends[0], &byte, 1), 1);
    run_all();
    return NULL;
}

int main(void) {
    pthread_t thread;
    int ends[2];
    dead = spawn(nothing, NULL);
    run_all();
    in_thread(makes_foreign, NULL);
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(pthread_create(&thread, NULL, keeps_foreign, ends), 0);
    while (!__atomic_load_n(&entered, __ATOMIC_ACQUIRE)) usleep(1000);
    in_coroutine(all, NULL);
    spawn_own(all, NULL, 65536);
    run_all();
    all(NULL);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    return test_done();
}
