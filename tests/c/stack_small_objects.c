// flags: -Wl,-z,now
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * As stack_small, of the calls on objects, sets, signals and children, of pools and asymmetric coroutines, and of the hooked
 * calls that wait: each works on a 4096-byte stack of the caller's, and the library's own frames use less than 1 KiB of it.
 */
#include "net.h"

#include <sys/eventfd.h>
#include <sys/wait.h>

#define SIZE 4096
#define PAINT 0x5A

static unsigned char stack[SIZE] __attribute__((aligned(16)));
static int ends[2], pipes[2], event, entered;
static dyco_channel *chan;
static dyco_pubsubchannel *ps;
static dyco_semaphore *sem;
static dyco_waitgroup *group;
static dyco_coropool *pool, *asymmetric_pool;
static char bytes[256];
static struct signalfd_siginfo info;
static sigset_t signals;
static fd_set set;
static union address address;
static socklen_t length;

/* What others do meanwhile stands on stacks of their own. */
static void (*later_action)(void);

static void acts(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(1);
    later_action();
}

static void later(void (*action)(void)) {
    later_action = action;
    CHECK(dyco_coroutine_create(acts, NULL) > 0);
}

static void sleeps(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(1);
}

/* --- objects */

static void send_now(void) { CHECK_EQ(dyco_channel_send(chan, "x", 1, -1), 1); }
static void receive_now(void) { CHECK_EQ(dyco_channel_recv(chan, bytes, 8, -1), 1); }
static void call_channel(void) {
    CHECK((chan = dyco_channel_create(8)) != NULL);
    CHECK_EQ(dyco_channel_recv(chan, bytes, 8, 1), -1);
    later(send_now);
    receive_now();
    send_now();
    CHECK_EQ(dyco_channel_send(chan, "y", 1, 1), -1);
    later(receive_now);
    send_now();
    dyco_channel_destroy(&chan);
}

static void publish_now(void) { CHECK_EQ(dyco_pubsub_publish(ps, "x", 1), 1); }
static void subscribe_now(void) { CHECK_EQ(dyco_pubsub_subscribe(ps, bytes, 8, -1), 1); }
static void subscribes(void *argument) {
    (void)argument;
    subscribe_now();
}
static void call_pubsub(void) {
    CHECK((ps = dyco_pubsub_create(8)) != NULL);
    CHECK_EQ(dyco_pubsub_publish(ps, "x", 1), 0);
    CHECK_EQ(dyco_pubsub_subscribe(ps, bytes, 8, 1), -1);
    later(publish_now);
    subscribe_now();
    CHECK(dyco_coroutine_create(subscribes, NULL) > 0);
    dyco_coroutine_sleep(1);
    publish_now();
    dyco_pubsub_destroy(&ps);
}

static void signal_now(void) { CHECK_EQ(dyco_semaphore_signal(sem), 0); }
static void call_semaphore(void) {
    CHECK((sem = dyco_semaphore_create(0)) != NULL);
    CHECK_EQ(dyco_semaphore_wait(sem, 1), -1);
    later(signal_now);
    CHECK_EQ(dyco_semaphore_wait(sem, -1), 0);
    signal_now();
    dyco_semaphore_destroy(&sem);
}

static void done_now(void) { CHECK_EQ(dyco_waitgroup_done(group), 1); }
static void call_waitgroup(void) {
    CHECK((group = dyco_waitgroup_create(1)) != NULL);
    later_action = done_now;
    int cid = dyco_coroutine_create(acts, NULL);
    CHECK_EQ(dyco_waitgroup_add(group, cid), 1);
    CHECK_EQ(dyco_waitgroup_wait(group, 1, 0), 0);
    CHECK_EQ(dyco_waitgroup_wait(group, 1, -1), 1);
    dyco_waitgroup_destroy(&group);
}

/* --- coroutines */

static void call_pool(void) {
    CHECK((pool = dyco_coropool_create(1, 0)) != NULL);
    CHECK(dyco_coropool_obtain(pool, sleeps, NULL, -1) > 0);
    CHECK_EQ(dyco_coropool_obtain(pool, nothing, NULL, 0), 0);
    CHECK(dyco_coropool_obtain_urgent(pool, sleeps, NULL, -1) > 0);
    CHECK(dyco_coropool_resize(pool, 2) == pool);
    CHECK_EQ(dyco_coropool_available(pool), 1);
    dyco_coroutine_sleep(5);
    CHECK_EQ(dyco_coropool_destroy(&pool), 0);
}

static void yields(void *argument) {
    (void)argument;
    dyco_asymcoro_yield();
    dyco_coroutine_sleep(1);
}

static void call_asymmetric(void) {
    int cid = dyco_asymcoro_create(yields, NULL);
    CHECK_EQ(dyco_coroutine_isasymmetric(cid), 1);
    CHECK_EQ(dyco_asymcoro_resume(cid), cid);
    CHECK_EQ(dyco_asymcoro_resume(cid), 0);
    dyco_asymcoro_free(cid);
    CHECK((asymmetric_pool = dyco_asymcpool_create(1, 0)) != NULL);
    CHECK((cid = dyco_asymcpool_obtain(asymmetric_pool, yields, NULL, -1)) > 0);
    CHECK_EQ(dyco_asymcoro_resume(cid), cid);
    dyco_asymcpool_return(cid);
    CHECK_EQ(dyco_asymcpool_destroy(&asymmetric_pool), 0);
}

/* To start a thread takes libc more than there is. */
static void call_offload_in_vain(void) { CHECK_ERRNO(dyco_offload(nothing, NULL, -1), EAGAIN); }
static void call_offload(void) { CHECK_EQ(dyco_offload(nothing, NULL, -1), 0); }

/* --- sets, signals, children */

static void call_epoll(void) {
    static struct epoll_event event;
    event.events = EPOLLIN;
    CHECK_EQ(dyco_epoll_init(), 0);
    CHECK_EQ(dyco_epoll_add(ends[0], &event), 0);
    CHECK_EQ(dyco_epoll_wait(&event, 1, 1), 0);
    CHECK_EQ(dyco_epoll_del(ends[0], NULL), 0);
    dyco_epoll_destroy();
}

static void call_signal(void) {
    CHECK_EQ(dyco_signal_init(&signals), 0);
    CHECK_EQ(dyco_signal_wait(&info, 1), -1);
    CHECK_EQ(syscall(SYS_kill, getpid(), SIGUSR1), 0);
    CHECK_EQ(dyco_signal_wait(&info, -1), sizeof info);
    dyco_signal_destroy();
}

static pid_t children[3];
static void call_waitchild(void) { CHECK_EQ(dyco_signal_waitchild(children[0], NULL, -1), children[0]); }
static void call_wait_any(void) { CHECK_EQ(dyco_signal_waitchild(-1, NULL, -1), children[2]); }
static void call_waitpid(void) { CHECK_EQ(waitpid(children[1], NULL, 0), children[1]); }

/* --- sockets and hooked names that wait; AF_INET's deadlines */

static void write_pipe(void) { CHECK_EQ(write(pipes[1], "x", 1), 1); }
static void write_event(void) { CHECK_EQ(write(event, &(uint64_t){1}, 8), 8); }
static void send_stream(void) { CHECK_EQ(send(ends[1], "x", 1, 0), 1); }
static void drain_stream(void) { drain(ends[1]); }
static void call_pipe(void) {
    later(write_pipe);
    CHECK_EQ(read(pipes[0], bytes, 8), 1);
}
static void call_eventfd(void) {
    later(write_event);
    CHECK_EQ(read(event, bytes, 8), 8);
}
static void call_recvmsg(void) {
    static struct iovec piece = {bytes, 8};
    static struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    later(send_stream);
    CHECK_EQ(recvmsg(ends[0], &message, 0), 1);
    later(send_stream);
    CHECK_EQ(readv(ends[0], &piece, 1), 1);
}
static void call_send(void) {
    fill(ends[0]);
    later(drain_stream);
    CHECK_EQ(dyco_send(ends[0], bytes, sizeof bytes, 0), sizeof bytes);
    fill(ends[0]);
    later(drain_stream);
    CHECK_EQ(write(ends[0], bytes, sizeof bytes), sizeof bytes);
    drain(ends[1]);
}
static void call_recvfrom(void) {
    later(send_stream);
    CHECK_EQ(dyco_recvfrom(ends[0], bytes, 8, 0, NULL, NULL), 1);
}
static void call_select(void) {
    static struct timeval limit;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    limit.tv_usec = 1000;
    CHECK_EQ(select(ends[0] + 1, &set, NULL, NULL, &limit), 0);
}
static int listening, connecting;
static void connects(void) {
    CHECK((connecting = socket(AF_INET, SOCK_STREAM, 0)) >= 0);
    CHECK_EQ(connect(connecting, &address.any, length), 0);
}
static void call_accept(void) {
    later(connects);
    int fd = dyco_accept(listening, NULL, NULL);
    CHECK(fd >= 0);
    CHECK_EQ(dyco_close(fd), 0);
    dyco_coroutine_sleep(1);
    CHECK_EQ(dyco_close(connecting), 0);
}
static void call_connect(void) {
    connects();
    CHECK_EQ(dyco_close(connecting), 0);
    int fd = dyco_accept(listening, NULL, NULL);
    CHECK_EQ(dyco_close(fd), 0);
}

static void call_nothing(void) {}

static void enter(void *argument) {
    void (*const *call)(void) = argument;
    (*call)();
    entered = 1;
}

/* Bytes of the stack that were written to. */
static int usage(void (*call)(void)) {
    memset(stack, PAINT, SIZE);
    entered = 0;
    int cid = spawn(enter, &call);
    CHECK_EQ(dyco_coroutine_setStack(cid, stack, SIZE), 1);
    run_all();
    CHECK_EQ(entered, 1);
    int lowest = 16; /* the mark at the bottom */
    while (lowest < SIZE && stack[lowest] == PAINT) lowest++;
    return SIZE - lowest;
}

int main(void) {
    static const struct { void (*call)(void); const char *name; } calls[] = {
        {call_channel, "channel"}, {call_pubsub, "pubsub"}, {call_semaphore, "semaphore"}, {call_waitgroup, "waitgroup"},
        {call_pool, "coropool"}, {call_asymmetric, "asymcoro"}, {call_offload, "offload"}, {call_epoll, "epoll"},
        {call_signal, "signal"}, {call_waitchild, "waitchild"}, {call_waitpid, "waitpid"}, {call_wait_any, "waitchild(-1)"}, {call_pipe, "read of a pipe"},
        {call_eventfd, "read of an eventfd"}, {call_recvmsg, "recvmsg"}, {call_send, "send that waits"},
        {call_recvfrom, "recvfrom"}, {call_select, "select"}, {call_accept, "accept"}, {call_connect, "connect"},
    };
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CHECK_EQ(pipe(pipes), 0);
    CHECK((event = eventfd(0, 0)) >= 0);
    listening = listener(AF_INET, SOCK_STREAM, 8, &address, &length);
    usage(call_offload_in_vain);
    /* Others have a helper thread started. */
    later_action = call_offload;
    spawn(acts, NULL);
    run_all();
    int base = 0;
    /* The first round is not measured: lazy binding uses stack of its own, and so does what is done once. */
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3; i++) {
            CHECK((children[i] = fork()) >= 0);
            if (children[i] == 0) {
                usleep(i < 2 ? 20000 : 60000);
                _exit(0);
            }
        }
        base = usage(call_nothing);
        for (size_t i = 0; i < COUNT(calls); i++) {
            int used = usage(calls[i].call) - base;
            if (round == 1 && used >= 1024) TEST_FAIL("%s uses %d bytes of stack", calls[i].name, used);
            if (getenv("USAGE")) printf("%-20s %d\n", calls[i].name, used);
        }
    }
    return test_done();
}
