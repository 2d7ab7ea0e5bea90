/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Outside coroutines every hooked name is libc's own: in the main program, in a thread without a scheduler while another
 * thread's coroutines run, between two runs, in a signal handler, in a thread-exit destructor after the scheduler is
 * gone. Signals end a wait there with EINTR.
 */
#include "net.h"

static int ends[2];
static volatile int handled, destroyed;

static void send_x(void *argument) {
    (void)argument;
    CHECK_EQ(send(ends[1], "x", 1, 0), 1);
}

static void *all_calls(void *argument) {
    char b;
    struct pollfd entry;
    struct epoll_event event = {.events = EPOLLIN};
    stream_pair(AF_UNIX, ends);
    CHECK_EQ(flags_of(ends[0]), O_RDWR);
    after(40, send_x, NULL);
    CHECK_EQ(recv(ends[0], &b, 1, 0), 1);
    CHECK_TOOK(now_ns() - after_called, 40000000, 5000000000);
    after(40, send_x, NULL);
    CHECK_EQ(read(ends[0], &b, 1), 1);
    set_nonblock(ends[0], 1);
    CHECK_ERRNO(read(ends[0], &b, 1), EAGAIN);
    CHECK_ERRNO(recv(ends[0], &b, 1, 0), EAGAIN);
    set_nonblock(ends[0], 0);
    set_timeout(ends[0], SO_RCVTIMEO, 60);
    int64_t begin = now_ms();
    CHECK_ERRNO(recv(ends[0], &b, 1, 0), EAGAIN);
    CHECK_TOOK(now_ms() - begin, 30, 5000); /* the kernel counts in ticks */
    entry = (struct pollfd){ends[0], POLLIN, 0};
    begin = now_ms();
    CHECK_EQ(poll(&entry, 1, 60), 0);
    CHECK_EQ(usleep(20000), 0);
    CHECK_EQ(nanosleep(&(struct timespec){0, 20000000}, NULL), 0);
    CHECK_TOOK(now_ms() - begin, 100, 5000);
    int set = epoll_create1(0);
    CHECK_EQ(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event), 0);
    CHECK_EQ(epoll_wait(set, &event, 1, 20), 0);
    after(40, send_x, NULL);
    CHECK_EQ(epoll_wait(set, &event, 1, -1), 1);
    CHECK_EQ(close(set), 0);
    CHECK_ERRNO(recv(-1, &b, 1, 0), EBADF);
    close_pair(ends);
    return argument;
}

static void handler(int signal) {
    struct timespec pause = {0, 1000000};
    (void)signal;
    int saved = errno;
    CHECK_EQ(nanosleep(&pause, NULL), 0);
    CHECK_EQ(syscall(SYS_getpid), getpid());
    handled++;
    errno = saved;
}

static void *interrupt(void *argument) {
    for (int i = 0; i < 4; i++) {
        usleep(60000);
        pthread_kill(*(pthread_t *)argument, SIGUSR1);
    }
    return NULL;
}

/* A thread, unlike a coroutine, is interrupted. */
static void interrupted(void) {
    pthread_t self = pthread_self(), other;
    struct sigaction action = {.sa_handler = handler};
    char b;
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    stream_pair(AF_UNIX, ends);
    CHECK_EQ(pthread_create(&other, NULL, interrupt, &self), 0);
    CHECK_ERRNO(recv(ends[0], &b, 1, 0), EINTR);
    CHECK_ERRNO(poll(&(struct pollfd){ends[0], POLLIN, 0}, 1, 5000), EINTR);
    CHECK_ERRNO(nanosleep(&(struct timespec){5, 0}, NULL), EINTR);
    CHECK_BETWEEN(sleep(5), 4, 5);
    CHECK_EQ(pthread_join(other, NULL), 0);
    CHECK_EQ(handled, 4);
    close_pair(ends);
}

static volatile int finished;

static void *calls_then_finish(void *argument) {
    all_calls(argument);
    finished = 1;
    return argument;
}

static void runs_until_finished(void *argument) {
    (void)argument;
    while (!finished) dyco_coroutine_sleep(1);
}

static void destructor(void *argument) {
    char b;
    int pair[2];
    (void)argument;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CHECK_EQ(write(pair[1], "x", 1), 1);
    CHECK_EQ(read(pair[0], &b, 1), 1);
    CHECK_ERRNO(recv(pair[0], &b, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(poll(&(struct pollfd){pair[0], POLLIN, 0}, 1, 10), 0);
    CHECK_EQ(usleep(1000), 0);
    CHECK_EQ(close(pair[0]), 0);
    CHECK_EQ(close(pair[1]), 0);
    destroyed++;
}

static pthread_key_t key;

static void *thread_with_scheduler(void *argument) {
    CHECK_EQ(pthread_setspecific(key, &key), 0);
    warm_up();
    return argument;
}

static void stop_here(void *argument) {
    (void)argument;
    dyco_schedcall_stop();
    dyco_coroutine_sleep(0);
}

int main(void) {
    pthread_t thread;
    all_calls(NULL);
    interrupted();
    CHECK_EQ(pthread_key_create(&key, destructor), 0);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(pthread_create(&thread, NULL, thread_with_scheduler, NULL), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
    }
    CHECK_EQ(destroyed, 5);
    spawn(stop_here, NULL);
    CHECK_EQ(dyco_schedule_run(), 1);
    all_calls(NULL);
    CHECK_EQ(pthread_create(&thread, NULL, calls_then_finish, NULL), 0);
    spawn(runs_until_finished, NULL);
    run_with_ticker();
    CHECK_EQ(pthread_join(thread, NULL), 0);
    dyco_schedule_free(NULL);
    all_calls(NULL);
    join_later();
    return test_done();
}
