/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * dyco_offload runs a blocking function elsewhere while only the coroutine waits.
 */
// modes: shared fortify archive static ring
#include "net.h"

struct call {
    int ms, seen_errno, cid, result;
    pid_t thread;
    sigset_t mask;
};

static pid_t thread_id(void) {
    return (pid_t)syscall(SYS_gettid);
}

static void pause_ms(int ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    syscall(SYS_nanosleep, &time, NULL);
}

static void block(void *argument) {
    struct call *call = argument;
    call->seen_errno = errno;
    call->thread = thread_id();
    call->cid = dyco_coroutine_coroID();
    pthread_sigmask(SIG_SETMASK, NULL, &call->mask);
    pause_ms(call->ms);
    errno = 4711;
    __atomic_store_n(&call->result, 42, __ATOMIC_SEQ_CST);
}

static void runs_elsewhere(void *argument) {
    static struct call call;
    (void)argument;
    call.ms = 100;
    errno = 815;
    int64_t began = now_ms();
    CHECK_EQ(dyco_offload(block, &call, -1), 0);
    CHECK_EQ(errno, 4711);
    CHECK_TOOK(now_ms() - began, 100, 3000);
    CHECK_EQ(call.result, 42);
    CHECK_EQ(call.seen_errno, 815);
    CHECK_EQ(call.cid, -1);
    CHECK(call.thread != thread_id());
    CHECK_EQ(sigismember(&call.mask, SIGTERM), 1);
    CHECK_EQ(sigismember(&call.mask, SIGINT), 1);
    CHECK_EQ(sigismember(&call.mask, SIGSEGV), 0);
    CHECK_ERRNO(dyco_offload(NULL, &call, -1), EINVAL);
    call.result = 0;
    CHECK_ERRNO(dyco_offload(block, &call, 0), EAGAIN);
    CHECK_EQ(call.result, 0);
}

static void outside(void) {
    struct call call = {.ms = 1};
    errno = 815;
    CHECK_EQ(dyco_offload(block, &call, 0), 0);
    CHECK_EQ(errno, 4711);
    CHECK_EQ(call.seen_errno, 815);
    CHECK_EQ(call.thread, thread_id());
    CHECK_ERRNO(dyco_offload(NULL, &call, -1), EINVAL);
}

static int done(struct call *call) {
    return __atomic_load_n(&call->result, __ATOMIC_SEQ_CST) == 42;
}

/* --- order and limits */

static int running, most, order[64], ordered;

static void count(void *argument) {
    int now = __atomic_add_fetch(&running, 1, __ATOMIC_SEQ_CST), seen = __atomic_load_n(&most, __ATOMIC_SEQ_CST);
    while (now > seen && !__atomic_compare_exchange_n(&most, &seen, now, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) continue;
    order[__atomic_fetch_add(&ordered, 1, __ATOMIC_SEQ_CST)] = (int)(intptr_t)argument;
    pause_ms(20 * patience());
    __atomic_sub_fetch(&running, 1, __ATOMIC_SEQ_CST);
}

static void hand_over(void *argument) {
    CHECK_EQ(dyco_offload(count, argument, -1), 0);
}

static void many(int threads, int jobs) {
    CHECK_EQ(dyco_offload_setPool(threads, 10000), 0);
    most = ordered = 0;
    int64_t began = now_ms();
    for (int i = 0; i < jobs; i++) spawn(hand_over, (void *)(intptr_t)i);
    run_with_ticker();
    CHECK_EQ(ordered, jobs);
    CHECK_BETWEEN(most, (threads + 1) / 2, threads); /* on a busy machine some come too late */
    CHECK_TOOK(now_ms() - began, 20 * jobs / threads, 20 * jobs / threads + 4000);
    if (threads == 1)
        for (int i = 0; i < jobs; i++) CHECK_EQ(order[i], i);
}

static void expect_threads(int wanted) {
    int64_t until = now_ms() + 5000;
    while (count_threads() != wanted && now_ms() < until) pause_ms(5);
    CHECK_EQ(count_threads(), wanted);
}

static void limits(void) {
    CHECK_EQ(dyco_offload_setPool(1, 0), 0);
    pause_ms(300);
    int alone = count_threads(); /* emulators and sanitizers have some of their own */
    CHECK_ERRNO(dyco_offload_setPool(0, 0), EINVAL);
    CHECK_ERRNO(dyco_offload_setPool(-1, 0), EINVAL);
    CHECK_ERRNO(dyco_offload_setPool(1025, 0), EINVAL);
    many(1, 10);
    CHECK_EQ(count_threads(), alone + 1);
    many(8, 40);
    CHECK_EQ(count_threads(), alone + 8);
    pause_ms(100);
    CHECK_EQ(count_threads(), alone + 8); /* not yet */
    CHECK_EQ(dyco_offload_setPool(3, 10000), 0);
    expect_threads(alone + 3);
    CHECK_EQ(dyco_offload_setPool(3, 50), 0);
    expect_threads(alone);
    many(2, 2);
    CHECK_EQ(dyco_offload_setPool(2, 0), 0);
    expect_threads(alone);
    CHECK_EQ(dyco_offload_setPool(2, -1), 0);
    in_coroutine(hand_over, NULL);
    pause_ms(50);
    CHECK_EQ(count_threads(), alone + 1);
    CHECK_EQ(dyco_offload_setPool(16, 10000), 0);
}

/* A higher limit helps those that are in the queue already. */
static void raise_limit(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(5);
    CHECK_EQ(dyco_offload_setPool(8, 10000), 0);
}

static void raised(void) {
    CHECK_EQ(dyco_offload_setPool(1, 10000), 0);
    most = ordered = 0;
    for (int i = 0; i < 16; i++) spawn(hand_over, (void *)(intptr_t)i);
    spawn(raise_limit, NULL);
    run_all();
    CHECK_BETWEEN(most, 3, 8); /* on a busy machine some come too late */
}

/* --- deadlines */

static struct call late[3];

static void times_out(void *argument) {
    (void)argument;
    late[0].ms = 1000 * patience();
    int64_t began = now_ms();
    CHECK_ERRNO(dyco_offload(block, &late[0], 50), ETIMEDOUT);
    CHECK_TOOK(now_ms() - began, 50, 900);
    CHECK_EQ(done(&late[0]), 0);
    while (!done(&late[0])) dyco_coroutine_sleep(5);
    /* The coroutine can wait anew, for this and for other things. */
    CHECK_EQ(dyco_offload(block, &late[1], 3000 * patience()), 0);
    CHECK_EQ(late[1].result, 42);
}

static void never_begins(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(10);
    late[2].ms = 0;
    CHECK_ERRNO(dyco_offload(block, &late[2], 50), EAGAIN);
    dyco_coroutine_sleep(300);
    CHECK_EQ(done(&late[2]), 0);
}

/* --- ended from outside */

static struct call left[3];

static void is_left(void *argument) {
    dyco_offload(block, argument, -1);
    TEST_FAIL("came back");
}

static void aborts(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(30);
    dyco_schedcall_abort();
}

static void ended_outside(void) {
    CHECK_EQ(dyco_offload_setPool(1, 10000), 0);
    left[0].ms = 500 * patience();
    spawn(is_left, &left[0]);
    spawn(is_left, &left[1]);
    spawn(aborts, NULL);
    CHECK_EQ(dyco_schedule_run(), -1);
    CHECK_EQ(done(&left[0]), 0);
    while (!done(&left[0])) pause_ms(5);
    pause_ms(50);
    CHECK_EQ(done(&left[1]), 0); /* it had not begun */
    left[2].ms = 100;
    spawn(is_left, &left[2]);
    spawn(aborts, NULL);
    CHECK_EQ(dyco_schedule_run(), -1);
    dyco_schedule_free(NULL);
    while (!done(&left[2])) pause_ms(5);
    CHECK_EQ(dyco_offload_setPool(16, 10000), 0);
}

/* --- what functions may do to their helper */

static void exits(void *argument) {
    *(int *)argument = 1;
    pthread_exit(NULL);
}

static void ignored(int signal) {
    (void)signal;
}

static void leaves_traces(void *argument) {
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    CHECK_EQ(dyco_coroutine_create(nothing, NULL) > 0, 1);
    *(int *)argument = dyco_schedule_schedID();
}

static void runs_coroutines(void *argument) {
    CHECK(dyco_schedule_current() == NULL);
    CHECK(dyco_coroutine_create(nothing, NULL) > 0);
    CHECK_EQ(dyco_schedule_run(), 0);
    *(int *)argument = 1;
}

static void misbehaves(void *argument) {
    static int done;
    static struct call call;
    (void)argument;
    CHECK_EQ(dyco_offload_setPool(1, 10000), 0);
    for (int i = 0; i < 3; i++) {
        done = 0;
        CHECK_EQ(dyco_offload(exits, &done, -1), 0);
        CHECK_EQ(done, 1);
        CHECK_EQ(dyco_offload(leaves_traces, &done, -1), 0);
        CHECK(done > 0);
        CHECK_EQ(dyco_offload(block, &call, -1), 0);
        CHECK_EQ(sigismember(&call.mask, SIGTERM), 1);
        done = 0;
        CHECK_EQ(dyco_offload(runs_coroutines, &done, -1), 0);
        CHECK_EQ(done, 1);
    }
    CHECK_EQ(dyco_offload_setPool(16, 10000), 0);
}

/* --- no deadlock, other threads, asymmetric coroutines, small stacks */

static void alone_waits(void *argument) {
    static struct call call = {.ms = 60};
    (void)argument;
    CHECK_EQ(dyco_offload(block, &call, -1), 0);
    CHECK_EQ(call.result, 42);
}

static void *other_thread(void *argument) {
    for (int i = 0; i < 20; i++) spawn(hand_over, NULL);
    run_all();
    return argument;
}

static void in_threads(void) {
    pthread_t threads[4];
    ordered = 0;
    for (int i = 0; i < 3; i++) CHECK_EQ(pthread_create(&threads[i], NULL, other_thread, NULL), 0);
    for (int i = 0; i < 3; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(ordered, 60);
}

static void resumes(void *argument) {
    int cid = dyco_asymcoro_create(hand_over, argument);
    CHECK(cid > 0);
    CHECK_EQ(dyco_asymcoro_resume(cid), 0);
    dyco_asymcoro_free(cid);
}

static int handled;

static void handler(int signal) {
    static struct call call;
    (void)signal;
    CHECK_EQ(dyco_offload(block, &call, -1), 0);
    handled = call.result;
}

static void is_interrupted(void *argument) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    static char stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack}, before;
    (void)argument;
    CHECK_EQ(sigaltstack(&alternate, &before), 0);
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(handled, 42);
    CHECK_EQ(sigaltstack(&before, NULL), 0);
}

int main(void) {
    signal(SIGALRM, ignored);
    warm_up();
    outside();
    in_coroutine(runs_elsewhere, NULL);
    in_coroutine(alone_waits, NULL);
    spawn(alone_waits, NULL);
    run_all(); /* nobody else waits, and that is no deadlock */
    limits();
    raised();
    in_coroutine(times_out, NULL);
    CHECK_EQ(dyco_offload_setPool(1, 10000), 0);
    late[0] = (struct call){0};
    spawn(times_out, NULL);
    in_coroutine(never_begins, NULL);
    ended_outside();
    warm_up();
    in_coroutine(misbehaves, NULL);
    ordered = 0;
    in_threads();
    in_coroutine(resumes, NULL);
    in_coroutine(is_interrupted, NULL);
    static char stack[4096] __attribute__((aligned(16)));
    CHECK_EQ(dyco_coroutine_setStack(spawn(hand_over, NULL), stack, sizeof stack), 1);
    run_all();
    /* Ends while helpers are there, and one is at work. */
    left[0] = (struct call){.ms = 5000};
    spawn(is_left, &left[0]);
    spawn(aborts, NULL);
    CHECK_EQ(dyco_schedule_run(), -1);
    return test_done();
}
