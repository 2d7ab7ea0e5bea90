// timeout: 60
// nofile: 2000
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Reads and writes of pipes by io_uring: all bytes arrive once and in order, also where several read one pipe; the end of the
 * stream, a lost reader with one SIGPIPE each, closes by this thread and by another, dup2, ends from outside and forks.
 * Nothing is written to a buffer whose read has ended, and O_NONBLOCK does not wait.
 */
#include "net.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#define PIPES 100
#define ROUNDS 30
#define ROOM 600

static int pipes[PIPES][2], ended, gave_way, company, expected_errno;
static ssize_t expected;
static unsigned char buffers[PIPES][ROOM];
static char over[PIPES];
static volatile sig_atomic_t signals;

static void on_signal(int number) {
    (void)number;
    signals++;
}

static void companion(void *argument) {
    (void)argument;
    while (company) dyco_coroutine_sleep(0);
}

static void begin_company(void) {
    company = 1;
    spawn_own(companion, NULL, 0x4000);
}

static void open_pipes(void) {
    ended = gave_way = 0;
    for (int i = 0; i < PIPES; i++) CHECK_EQ(pipe(pipes[i]), 0);
}

static void close_ends(int end) {
    for (int i = 0; i < PIPES; i++) CHECK_EQ(close(pipes[i][end]), 0);
}

static void spawn_all(proc_coroutine function) {
    for (int i = 0; i < PIPES; i++) {
        if (i % 3) spawn_shared(function, (void *)(intptr_t)i);
        else spawn_own(function, (void *)(intptr_t)i, 0x8000);
    }
}

static void all_end(int count) {
    for (int i = 0; i < 2000 && ended < count; i++) dyco_coroutine_sleep(5);
    CHECK_EQ(ended, count);
}

/* Writes go by the ring where the kernel can keep SIGPIPE back (Linux 6.18). */
static int keeps_signals_back(void) {
    struct iovec piece = {"x", 1};
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    int kept = syscall(SYS_pwritev2, ends[1], &piece, 1, -1L, 0L, 0x108) == 1;
    close_pair(ends);
    return kept && has_ring();
}

static unsigned char byte_of(int i, long at) {
    return (unsigned char)(i * 7 + (at * 31 >> 3));
}

/* Pieces of many lengths, in frames and on the heap; some too long for a copy. */
static void writer(void *argument) {
    int i = (int)(intptr_t)argument, me = dyco_coroutine_coroID();
    unsigned char local[ROOM], *buffer = i % 2 ? local : buffers[i];
    long at = 0;
    for (int round = 1; round <= ROUNDS; round++) {
        size_t length = (size_t)(i * 7 + round * 23) % ROOM + 1;
        for (size_t k = 0; k < length; k++) buffer[k] = byte_of(i, at++);
        int before = dyco_coroutine_getSchedCount(me);
        CHECK_EQ(write(pipes[i][1], buffer, length), (ssize_t)length);
        gave_way += dyco_coroutine_getSchedCount(me) > before;
    }
    CHECK_EQ(close(pipes[i][1]), 0);
}

static void reader(void *argument) {
    int i = (int)(intptr_t)argument;
    volatile char frame[100];
    unsigned char local[ROOM], *heap = malloc(ROOM), *buffer = i % 4 < 2 ? local : heap;
    long at = 0, all = 0;
    ssize_t got;
    CHECK(heap != NULL);
    memset((void *)frame, i, sizeof frame);
    for (int round = 1; round <= ROUNDS; round++) all += (i * 7 + round * 23) % ROOM + 1;
    while ((got = read(pipes[i][0], buffer, (size_t)i % ROOM + 1)) > 0) {
        for (ssize_t k = 0; k < got; k++) CHECK_EQ(buffer[k], byte_of(i, at++));
        for (size_t k = 0; k < sizeof frame; k++) CHECK_EQ(frame[k], i);
    }
    CHECK_EQ(got, 0);
    CHECK_EQ(at, all);
    free(heap);
    ended++;
}

static void all_arrives(void) {
    open_pipes();
    spawn_all(reader);
    spawn_all(writer);
    all_end(PIPES);
    if (keeps_signals_back()) CHECK(gave_way > PIPES * ROUNDS / 6);
    close_ends(0);
}

#define LARGE 300000

static void large_writer(void *argument) {
    int i = (int)(intptr_t)argument;
    unsigned char *large = malloc(LARGE);
    CHECK(large != NULL);
    for (int at = 0; at < LARGE; at++) large[at] = byte_of(i, at);
    CHECK_EQ(write(pipes[i][1], large, LARGE), LARGE);
    CHECK_EQ(close(pipes[i][1]), 0);
    free(large);
}

static void slow_reader(void *argument) {
    int i = (int)(intptr_t)argument;
    unsigned char part[3000];
    long at = 0;
    ssize_t got;
    while ((got = read(pipes[i][0], part, sizeof part)) > 0) {
        for (ssize_t k = 0; k < got; k++) CHECK_EQ(part[k], byte_of(i, at++));
        if (at % 7 == 0) dyco_coroutine_sleep(1);
    }
    CHECK_EQ(at, LARGE);
    ended++;
}

static void large_arrives(void) {
    open_pipes();
    spawn_all(large_writer);
    spawn_all(slow_reader);
    all_end(PIPES);
    close_ends(0);
}

static long taken[PIPES];

static void one_of_several(void *argument) {
    unsigned char b;
    (void)argument;
    while (read(pipes[0][0], &b, 1) == 1) taken[b]++;
    ended++;
}

/* Several readers of one pipe: each byte is somebody's, and no thread of the kernel's waits for one of them. */
static void several_readers(void) {
    int threads = count_threads();
    open_pipes();
    memset(taken, 0, sizeof taken);
    spawn_all(one_of_several);
    spawn_all(one_of_several);
    dyco_coroutine_sleep(5);
    for (int i = 0; i < 5 * PIPES; i++) {
        unsigned char b = (unsigned char)(i % PIPES);
        CHECK_EQ(syscall(SYS_write, pipes[0][1], &b, 1), 1);
        dyco_coroutine_sleep(1);
    }
    CHECK_EQ(count_threads(), threads);
    CHECK_EQ(close(pipes[0][1]), 0);
    all_end(2 * PIPES);
    for (int i = 0; i < PIPES; i++) CHECK_EQ(taken[i], 5);
    CHECK_EQ(dup(pipes[1][1]), pipes[0][1]);
    close_ends(0);
    close_ends(1);
}

static void loser(void *argument) {
    int i = (int)(intptr_t)argument;
    CHECK_ERRNO(write(pipes[i][1], "hello", 5), EPIPE);
    ended++;
}

static void lost_readers(void) {
    open_pipes();
    close_ends(0);
    signals = 0;
    spawn_all(loser);
    all_end(PIPES);
    CHECK_EQ(signals, PIPES);
    close_ends(1);
}

/* The signal is that of the coroutine's call: its thread's mask decides. */
static void masked_loser(void *argument) {
    sigset_t pipe_only, pending;
    struct timespec none = {0, 0};
    int i = (int)(intptr_t)argument;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    CHECK_ERRNO(write(pipes[i][1], "hello", 5), EPIPE);
    CHECK_EQ(sigpending(&pending), 0);
    CHECK_EQ(sigismember(&pending, SIGPIPE), 1);
    CHECK_EQ(sigtimedwait(&pipe_only, NULL, &none), SIGPIPE);
    ended++;
}

static void lost_readers_masked(void) {
    sigset_t pipe_only, old;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &pipe_only, &old), 0);
    open_pipes();
    close_ends(0);
    spawn_all(masked_loser);
    all_end(PIPES);
    close_ends(1);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
}

static void waiting_reader(void *argument) {
    int i = (int)(intptr_t)argument;
    errno = 0;
    CHECK_EQ(read(pipes[i][0], buffers[i], ROOM), expected);
    if (expected < 0) CHECK_EQ(errno, expected_errno);
    over[i] = 1;
    ended++;
}

/* Frames on own and on shared stacks. */
static void waiting_in_frame(void *argument) {
    char local[64];
    errno = 0;
    CHECK_EQ(read(pipes[(intptr_t)argument][0], local, sizeof local), expected);
    if (expected < 0) CHECK_EQ(errno, expected_errno);
    ended++;
}

static void all_wait(proc_coroutine function, ssize_t result, int error) {
    expected = result;
    expected_errno = error;
    memset(buffers, 0x5a, sizeof buffers);
    memset(over, 0, sizeof over);
    open_pipes();
    spawn_all(function);
    /* Longer than what is known of a number is trusted. */
    dyco_coroutine_sleep(150);
    CHECK_EQ(ended, 0);
}

static void untouched(void) {
    for (int i = 0; i < PIPES; i++)
        for (int at = 0; at < ROOM; at++) CHECK_EQ(buffers[i][at], 0x5a);
}

static void writers_go(void) {
    all_wait(waiting_reader, 0, 0);
    close_ends(1);
    all_end(PIPES);
    close_ends(0);
    all_wait(waiting_in_frame, 0, 0);
    close_ends(1);
    all_end(PIPES);
    close_ends(0);
    untouched();
}

/* The writer learns of it at once, with no switch in between. */
static void closed_here(void) {
    all_wait(waiting_reader, -1, EBADF);
    for (int i = 0; i < PIPES; i++) {
        CHECK_EQ(close(pipes[i][0]), 0);
        CHECK_ERRNO(syscall(SYS_write, pipes[i][1], "x", 1), EPIPE);
    }
    CHECK_EQ(ended, 0);
    all_end(PIPES);
    close_ends(1);
    untouched();
}

static void *close_readers(void *argument) {
    close_ends(0);
    return argument;
}

static void closed_by_another_thread(void) {
    pthread_t thread;
    all_wait(waiting_in_frame, -1, EBADF);
    CHECK_EQ(pthread_create(&thread, NULL, close_readers, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    all_end(PIPES);
    for (int i = 0; i < PIPES; i++) CHECK_ERRNO(syscall(SYS_write, pipes[i][1], "x", 1), EPIPE);
    close_ends(1);
}

static void replaced(void) {
    int other[2];
    all_wait(waiting_reader, -1, EBADF);
    CHECK_EQ(pipe(other), 0);
    CHECK_EQ(write(other[1], "other", 5), 5);
    for (int i = 0; i < PIPES; i++) CHECK_EQ(dup2(other[0], pipes[i][0]), pipes[i][0]);
    all_end(PIPES);
    untouched();
    CHECK_EQ(read(pipes[PIPES - 1][0], buffers[0], ROOM), 5);
    close_pair(other);
    close_ends(0);
    close_ends(1);
}

/* Of two numbers of one pipe, one is closed: the other's reader goes on waiting. */
static void duplicated(void) {
    all_wait(waiting_reader, 1, 0);
    for (int i = 0; i < PIPES; i++) {
        int copy = dup(pipes[i][0]);
        CHECK(copy >= 0);
        CHECK_EQ(close(copy), 0);
    }
    dyco_coroutine_sleep(10);
    CHECK_EQ(ended, 0);
    for (int i = 0; i < PIPES; i++) CHECK_EQ(syscall(SYS_write, pipes[i][1], "x", 1), 1);
    all_end(PIPES);
    close_ends(0);
    close_ends(1);
}

/* Behind our back the numbers mean something else: another pipe, and a socket with a time limit. */
static void replaced_unseen(void) {
    int other[2], sockets[2];
    all_wait(waiting_reader, 1, 0);
    for (int i = 0; i < PIPES; i++) CHECK_EQ(syscall(SYS_write, pipes[i][1], "x", 1), 1);
    all_end(PIPES);
    CHECK_EQ(pipe(other), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    set_timeout(sockets[0], SO_RCVTIMEO, 200);
    begin_company();
    CHECK_EQ(syscall(SYS_dup3, other[0], pipes[0][0], 0), pipes[0][0]);
    CHECK_EQ(syscall(SYS_dup3, sockets[0], pipes[1][0], 0), pipes[1][0]);
    CHECK_EQ(write(other[1], "other", 5), 5);
    CHECK_EQ(read(pipes[0][0], buffers[0], ROOM), 5);
    CHECK_EQ(memcmp(buffers[0], "other", 5), 0);
    int64_t begin = now_ms();
    CHECK_ERRNO(read(pipes[1][0], buffers[0], ROOM), EAGAIN);
    CHECK_TOOK(now_ms() - begin, 199, 2000);
    company = 0;
    close_pair(other);
    close_pair(sockets);
    close_ends(0);
    close_ends(1);
}

static void at_once(void *argument) {
    int i = (int)(intptr_t)argument, me = dyco_coroutine_coroID();
    char b[8];
    set_nonblock(pipes[i][0], 1);
    set_nonblock(pipes[i][1], 1);
    int before = dyco_coroutine_getSchedCount(me);
    CHECK_ERRNO(read(pipes[i][0], b, sizeof b), EAGAIN);
    CHECK_EQ(write(pipes[i][1], "hello", 5), 5);
    CHECK_EQ(read(pipes[i][0], b, sizeof b), 5);
    CHECK_ERRNO(read(pipes[i][0], b, sizeof b), EAGAIN);
    CHECK_EQ(dyco_coroutine_getSchedCount(me), before);
    ended++;
}

static void nonblocking(void) {
    open_pipes();
    begin_company();
    spawn_all(at_once);
    all_end(PIPES);
    company = 0;
    close_ends(0);
    close_ends(1);
}

/* Bytes that have come for a reader are in its buffer before it runs: so the kernel has put them there. Now and then others
 * have their turn before an urgent one looks. */
static void by_ring(void *argument) {
    int seen = 0;
    (void)argument;
    dyco_coroutine_setUrgent(dyco_coroutine_coroID());
    all_wait(waiting_reader, 5, 0);
    for (int i = 0; i < PIPES; i++) {
        CHECK_EQ(syscall(SYS_write, pipes[i][1], "hello", 5), 5);
        for (int k = 0; k < 5000 && buffers[i][0] == 0x5a; k++) {
            syscall(SYS_nanosleep, &(struct timespec){0, 1000}, NULL);
            dyco_coroutine_sleep(0);
        }
        seen += !over[i];
        CHECK_EQ(memcmp(buffers[i], "hello", 5), 0);
    }
    if (has_ring()) CHECK(seen > PIPES / 2);
    all_end(PIPES);
    close_ends(0);
    close_ends(1);
}

static void all(void *argument) {
    all_arrives();
    large_arrives();
    several_readers();
    lost_readers();
    lost_readers_masked();
    writers_go();
    closed_here();
    closed_by_another_thread();
    replaced();
    duplicated();
    replaced_unseen();
    nonblocking();
    by_ring(argument);
}

static void any_reader(void *argument) {
    int i = (int)(intptr_t)argument;
    while (read(pipes[i][0], buffers[i], ROOM) > 0) continue;
}

static void endless_writer(void *argument) {
    int i = (int)(intptr_t)argument;
    while (write(pipes[i][1], buffers[i], 10) == 10) continue;
}

/* Some wait, and of others the kernel has not got the write yet; then all end. */
static void last_ones(void) {
    open_pipes();
    begin_company();
    spawn_all(any_reader);
    dyco_coroutine_sleep(10);
    spawn_all(endless_writer);
    dyco_coroutine_sleep(0);
    company = 0;
}

static void abort_all(void *argument) {
    (void)argument;
    last_ones();
    dyco_schedcall_abort();
}

static void stop_all(void *argument) {
    (void)argument;
    all_wait(waiting_reader, -1, EBADF);
    dyco_schedcall_stop();
}

static void exit_thread(void *argument) {
    (void)argument;
    all_wait(waiting_in_frame, -1, EBADF);
    pthread_exit(NULL);
}

/* Only the caller goes on in the child; what comes is the parent's alone. */
static void fork_inside(void *argument) {
    int status;
    (void)argument;
    all_wait(waiting_reader, 5, 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(20);
        dyco_coroutine_sleep(50);
        CHECK_EQ(ended, 0);
        untouched();
        CHECK_EQ(dyco_schedule_getCoroCount(), 1);
        _exit(0);
    }
    for (int i = 0; i < PIPES; i++) CHECK_EQ(write(pipes[i][1], "hello", 5), 5);
    all_end(PIPES);
    CHECK_EQ(syscall(SYS_wait4, child, &status, 0, NULL), child);
    CHECK_EQ(status, 0);
}

static void *thread(void *end) {
    spawn_own(*(proc_coroutine *)end, NULL, 0x8000);
    dyco_schedule_run();
    if (*(proc_coroutine *)end == stop_all) dyco_schedule_free(NULL);
    return NULL;
}

/* Nobody reads any more: what is written afterwards stays in the pipe. */
static void with_thread(proc_coroutine end) {
    pthread_t id;
    int before = count_fds();
    CHECK_EQ(pthread_create(&id, NULL, thread, &end), 0);
    CHECK_EQ(pthread_join(id, NULL), 0);
    for (int i = 0; i < PIPES; i++) {
        int there;
        if (end == stop_all || end == exit_thread) CHECK_EQ(syscall(SYS_write, pipes[i][1], "hello", 5), 5);
        CHECK_EQ(ioctl(pipes[i][0], FIONREAD, &there), 0);
        if (end == stop_all || end == exit_thread) CHECK_EQ(there, 5);
    }
    if (end == stop_all || end == exit_thread) untouched();
    close_ends(0);
    close_ends(1);
    CHECK_EQ(count_fds(), before);
}

/* Outside coroutines: the child has them all, and each waits anew. */
static void fork_outside(void) {
    int status;
    expected = 5;
    open_pipes();
    spawn_all(waiting_reader);
    run_a_while();
    CHECK_EQ(ended, 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) alarm(20);
    else CHECK_EQ(syscall(SYS_wait4, child, &status, 0, NULL), child);
    if (child != 0) CHECK_EQ(status, 0);
    for (int i = 0; i < PIPES; i++) CHECK_EQ(syscall(SYS_write, pipes[i][1], "hello", 5), 5);
    run_all();
    CHECK_EQ(ended, PIPES);
    if (child == 0) _exit(0);
    close_ends(0);
    close_ends(1);
}

int main(void) {
    CHECK_EQ(setenv("DYCO_POLLER", "io_uring", 1), 0);
    signal(SIGPIPE, on_signal);
    warm_up();
    int before = count_fds();
    spawn_own(all, NULL, 0x10000);
    run_all();
    CHECK_EQ(count_fds(), before);
    with_thread(abort_all);
    with_thread(stop_all);
    with_thread(exit_thread);
    with_thread(fork_inside);
    fork_outside();
    CHECK_EQ(count_fds(), before);
    return test_done();
}
