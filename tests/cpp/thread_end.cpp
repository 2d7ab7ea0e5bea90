/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A thread ends inside a coroutine, by pthread_exit or by cancellation: destructors of thread-local objects are then
 * outside coroutines, may wait, and may use the scheduler as any other code of the thread.
 */
#include "../c/core.h"

#include <stdexcept>

static pthread_key_t key;
static int ends[2];
static int locals, cleaned, destroyed, keyed, others;

static void count(int *counter) {
    __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

/* What waits, by libc's names and by ours, outside of coroutines. */
static void wait_outside(void) {
    int64_t began = now_ms();
    struct timespec two_ms = {0, 2000000};
    CHECK_EQ(nanosleep(&two_ms, NULL), 0);
    CHECK(now_ms() - began >= 2);
    char byte;
    int pair[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct timeval one_ms = {0, 1000};
    CHECK_EQ(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &one_ms, sizeof one_ms), 0);
    CHECK_ERRNO(recv(pair[0], &byte, 1, 0), EAGAIN);
    CHECK_EQ(write(pair[1], "x", 1), 1);
    CHECK_EQ(read(pair[0], &byte, 1), 1);
    close(pair[0]);
    close(pair[1]);
    CHECK_ERRNO(dyco_coroutine_coroID(), EPERM);
    dyco_coroutine_sleep(1);
}

struct Last {
    bool used = false;
    bool runs_others = false;
    ~Last() {
        if (!used) return;
        wait_outside();
        if (runs_others) {
            /* Others can still run, and the one that has ended is gone. */
            spawn([](void *) {
                dyco_coroutine_sleep(1);
                count(&others);
            }, nullptr);
            CHECK_EQ(dyco_schedule_run(), 0);
        }
        count(&destroyed);
    }
};

static thread_local Last last;

struct Local {
    ~Local() {
        /* Still inside: may wait as ever. */
        CHECK(dyco_coroutine_coroID() > 0);
        dyco_coroutine_sleep(1);
        usleep(1000);
        count(&locals);
    }
};

static void on_key(void *) {
    wait_outside();
    count(&keyed);
}

static void clean(void *) {
    count(&cleaned);
}

__attribute__((noinline)) static void leave(bool cancel) {
    Local local;
    if (cancel) {
        CHECK_EQ(pthread_cancel(pthread_self()), 0);
        dyco_coroutine_sleep(1); /* no cancellation point */
        pthread_testcancel();
    } else {
        pthread_exit(nullptr);
    }
}

static void leaves(void *cancel) {
    Local local;
    pthread_cleanup_push(clean, nullptr);
    dyco_coroutine_sleep(1);
    try {
        throw std::runtime_error("in the middle of one");
    } catch (const std::runtime_error &) {
        leave(cancel != nullptr);
    }
    pthread_cleanup_pop(0);
    TEST_FAIL("came back");
}

/* Nothing of it is unwound. */
static void resumes(void *cancel) {
    Local local;
    int cid = dyco_asymcoro_create(leaves, cancel);
    CHECK(cid > 0);
    dyco_asymcoro_resume(cid);
    TEST_FAIL("came back");
}

static void resumes_twice(void *cancel) {
    int cid = dyco_asymcoro_create(resumes, cancel);
    CHECK(cid > 0);
    dyco_asymcoro_resume(cid);
    TEST_FAIL("came back");
}

static void parks(void *) {
    dyco_coroutine_waitRead(ends[0], -1);
    TEST_FAIL("woke");
}

/* How it ends, on which stack; who has resumed the coroutine; whom the scheduler still has, and what is done with it. */
enum { CANCEL = 1, OWN = 2, RESUMED = 4, TWICE = 8, MAIN = 16, CROWD = 32, RUNS = 64, KINDS = 128 };

static void *ends_inside(void *argument) {
    int kind = (int)(intptr_t)argument;
    void *cancel = kind & CANCEL ? argument : nullptr;
    last.used = true;
    last.runs_others = kind & RUNS;
    CHECK_EQ(pthread_setspecific(key, argument), 0);
    if (kind & CROWD) {
        /* With them dyco_schedule_run() in a destructor would not end. */
        for (int i = 0; i < 20; i++) i % 2 ? spawn(parks, nullptr) : spawn_own(parks, nullptr, 65536);
    }
    proc_coroutine body = kind & TWICE ? resumes_twice : kind & RESUMED ? resumes : leaves;
    if (kind & MAIN) {
        dyco_asymcoro_resume(dyco_asymcoro_create(body, cancel));
    } else {
        kind & OWN ? spawn_own(body, cancel, 65536) : spawn_shared(body, cancel);
        dyco_schedule_run();
    }
    TEST_FAIL("came back");
}

static bool is_possible(int kind) {
    bool both = (kind & RESUMED) && (kind & TWICE);
    bool without_loop = (kind & MAIN) && (kind & OWN); /* the same as without OWN */
    return !both && !without_loop && !((kind & CROWD) && (kind & RUNS));
}

/* All kinds at a time; how many threads that were. */
static int all(void) {
    static pthread_t threads[KINDS];
    int count = 0;
    for (int kind = 0; kind < KINDS; kind++)
        if (is_possible(kind)) {
            void *argument = (void *)(intptr_t)(kind | KINDS);
            CHECK_EQ(pthread_create(&threads[kind], NULL, ends_inside, argument), 0);
        }
    for (int kind = 0; kind < KINDS; kind++)
        if (is_possible(kind)) {
            void *result;
            CHECK_EQ(pthread_join(threads[kind], &result), 0);
            CHECK(result == (kind & CANCEL ? PTHREAD_CANCELED : nullptr));
            count++;
        }
    return count;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 20, threads = 0, fds = 0;
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(pthread_key_create(&key, on_key), 0);
    for (int round = 0; round < rounds; round++) {
        threads += all();
        if (round == 0) fds = count_fds();
    }
    CHECK_EQ(count_fds(), fds);
    CHECK_EQ(destroyed, threads);
    CHECK_EQ(keyed, threads);
    CHECK_EQ(cleaned, threads);
    CHECK_EQ(locals, 2 * threads);
    CHECK(others > 0);
    return test_done();
}
