/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * dyco_epoll_*: one set per coroutine, errors of epoll_ctl(2), waits that park the coroutine only, and descriptors that
 * come back however a coroutine ends.
 */
#include "core.h"

static int pipes[2], ticks, done;

static struct epoll_event event_of(int fd, uint32_t events) {
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = events;
    event.data.fd = fd;
    return event;
}

static void errors(void *argument) {
    struct epoll_event event = event_of(pipes[0], EPOLLIN), got[4];
    (void)argument;
    CHECK_ERRNO(dyco_epoll_wait(got, 4, 0), EINVAL);
    CHECK_ERRNO(dyco_epoll_add(pipes[0], &event), EINVAL);
    CHECK_ERRNO(dyco_epoll_del(pipes[0], &event), EINVAL);
    dyco_epoll_destroy();
    CHECK_EQ(dyco_epoll_init(), 0);
    CHECK_ERRNO(dyco_epoll_init(), EEXIST);
    CHECK_ERRNO(dyco_epoll_add(-1, &event), EBADF);
    CHECK_ERRNO(dyco_epoll_add(999, &event), EBADF);
    CHECK_ERRNO(dyco_epoll_del(pipes[0], &event), ENOENT);
    int file = open("/proc/self/exe", O_RDONLY);
    CHECK_ERRNO(dyco_epoll_add(file, &event), EPERM);
    close(file);
    CHECK_EQ(dyco_epoll_add(pipes[0], &event), 0);
    CHECK_ERRNO(dyco_epoll_add(pipes[0], &event), EEXIST);
    CHECK_ERRNO(dyco_epoll_wait(got, 0, 0), EINVAL);
    CHECK_EQ(dyco_epoll_wait(got, 4, 0), 0);
    int64_t begin = now_ms();
    CHECK_EQ(dyco_epoll_wait(got, 4, 30), 0);
    CHECK_TOOK(now_ms() - begin, 30, 1000);
    CHECK_EQ(write(pipes[1], "x", 1), 1);
    CHECK_EQ(dyco_epoll_wait(got, 4, -1), 1);
    CHECK_EQ(got[0].data.fd, pipes[0]);
    CHECK_EQ(got[0].events, EPOLLIN);
    CHECK_EQ(dyco_epoll_wait(got, 1, 0), 1); /* level-triggered */
    char byte;
    CHECK_EQ(read(pipes[0], &byte, 1), 1);
    CHECK_EQ(dyco_epoll_del(pipes[0], NULL), 0);
    CHECK_EQ(dyco_epoll_wait(got, 4, 0), 0);
    dyco_epoll_destroy();
    CHECK_ERRNO(dyco_epoll_wait(got, 4, 0), EINVAL);
    CHECK_EQ(dyco_epoll_init(), 0);
    dyco_epoll_destroy();
    dyco_epoll_destroy();
}

static void ticker(void *argument) {
    (void)argument;
    while (!done) {
        ticks++;
        dyco_coroutine_sleep(1);
    }
}

/* Each waits on a set of its own; one byte at a time comes. */
static void waits(void *argument) {
    int *ends = argument;
    struct epoll_event event = event_of(ends[0], EPOLLIN), got[2];
    CHECK_EQ(dyco_epoll_init(), 0);
    CHECK_EQ(dyco_epoll_add(ends[0], &event), 0);
    for (int i = 0; i < 20; i++) {
        char byte;
        CHECK_EQ(dyco_epoll_wait(got, 2, -1), 1);
        CHECK_EQ(got[0].data.fd, ends[0]);
        CHECK_EQ(read(ends[0], &byte, 1), 1);
    }
    done++;
}

static void feeds(void *argument) {
    int(*ends)[2] = argument;
    for (int i = 0; i < 20; i++) {
        dyco_coroutine_sleep(1);
        for (int j = 0; j < 10; j++) CHECK_EQ(write(ends[j][1], "x", 1), 1);
    }
}

static void waits_for_ever(void *argument) {
    struct epoll_event event = event_of(pipes[0], EPOLLIN), got[2];
    CHECK_EQ(dyco_epoll_init(), 0);
    CHECK_EQ(dyco_epoll_add(pipes[0], &event), 0);
    if (argument) return;
    dyco_epoll_wait(got, 2, -1);
    CHECK(!"woken");
}

static void ends_itself(void *argument) {
    waits_for_ever((void *)1);
    if (argument) dyco_coroutine_abort();
    dyco_coroutine_sleep(2);
    dyco_schedcall_abort();
}

static void *in_thread(void *argument) {
    spawn(waits_for_ever, NULL);
    spawn(ends_itself, (void *)1);
    spawn(waits_for_ever, (void *)1);
    CHECK_EQ(dyco_schedule_create(0, 0), -1);
    if (argument) {
        spawn(ends_itself, NULL);
        CHECK_EQ(dyco_schedule_run(), -1);
    }
    return NULL;
}

static void asymmetric(void *argument) {
    waits_for_ever((void *)1);
    (void)argument;
}

static void resumes(void *argument) {
    (void)argument;
    int before = count_fds();
    int cid = dyco_asymcoro_create(asymmetric, NULL);
    CHECK(cid > 0);
    CHECK_EQ(dyco_asymcoro_resume(cid), 0);
    CHECK_EQ(count_fds(), before); /* it has ended, although nobody has freed it */
    dyco_asymcoro_free(cid);
}

int main(void) {
    struct epoll_event event = event_of(0, EPOLLIN), got[2];
    CHECK_EQ(pipe(pipes), 0);
    CHECK_ERRNO(dyco_epoll_init(), EPERM);
    CHECK_ERRNO(dyco_epoll_add(pipes[0], &event), EPERM);
    CHECK_ERRNO(dyco_epoll_wait(got, 2, 0), EPERM);
    dyco_epoll_destroy();

    spawn(errors, NULL);
    run_all();
    int fds = count_fds();

    int ends[10][2];
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(pipe(ends[i]), 0);
        spawn(waits, ends[i]);
    }
    spawn(feeds, ends);
    run_all();
    CHECK_EQ(done, 10);
    done = 0;
    for (int i = 0; i < 10; i++) close(ends[i][0]), close(ends[i][1]);
    CHECK_EQ(count_fds(), fds);

    spawn(resumes, NULL);
    run_all();

    for (int round = 0; round < 20; round++) {
        spawn(waits_for_ever, (void *)1);
        spawn(waits_for_ever, NULL);
        spawn(ends_itself, (void *)1);
        spawn(ends_itself, NULL);
        CHECK_EQ(dyco_schedule_run(), -1);
        CHECK_EQ(count_fds(), fds);
        pthread_t thread;
        pthread_create(&thread, NULL, in_thread, round % 2 ? &fds : NULL);
        pthread_join(thread, NULL);
        CHECK_EQ(count_fds(), fds);
    }
    dyco_schedule_free(NULL);
    CHECK_EQ(count_fds(), fds - 3); /* the scheduler's own: a set, an eventfd, a timerfd */
    spawn(ticker, NULL);
    done = 1;
    run_all();
    close(pipes[0]);
    close(pipes[1]);
    return test_done();
}
