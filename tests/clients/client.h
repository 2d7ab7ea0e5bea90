/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the programs with real client libraries share. Each defines the functions below and ends with CLIENT_MAIN. The
 * same program is also linked without the library, where it knows its plain modes only.
 *
 *   coroutines   CLIENTS coroutines on one thread wait for the server at the same time, beside a ticker
 *   threads      the same in as many threads, outside coroutines
 *   talk         client_talk in a thread: its lines are the same with and without the library
 *   talk-inside  client_talk in a coroutine: the same lines again
 *   rate         nanoseconds that a quick call takes in a thread
 */
#ifndef DYCO_TEST_CLIENT_H
#define DYCO_TEST_CLIENT_H

#include "control.h"

#include <stdarg.h>

#define CLIENTS 50
#define WAIT_MS 500 /* how long the server takes for client_wait */
#define LATE_MS 50  /* how late the ticker may be */
#ifndef STACK_SIZE
#define STACK_SIZE (64 * 1024)
#endif
#ifndef QUICK_CALLS
#define QUICK_CALLS 1000
#endif
#define BATCHES 20

/* Connects the client with this number. */
static void *client_open(int number);
/* A blocking call that takes the server WAIT_MS; its answer is checked. */
static void client_wait(void *client, int number);
/* A blocking call that the server answers at once. */
static void client_quick(void *client, int round);
static void client_close(void *client);
/* All sorts of calls, errors and timeouts among them, and what came of them, to stdout. */
static void client_talk(void);
/* Runs beside the waiting clients, from when they begin. */
static void client_beside(void);

/* The command line behind the mode. */
static const char *const *client_args;

/* A library's call went wrong. */
#define CHECK_SAYS(cond, says) \
    do { \
        if (!(cond)) TEST_FAIL("%s:%d: expected %s, but: %s", __FILE__, __LINE__, #cond, says); \
    } while (0)

/* When the first call could begin and the last one was answered, and how late the control was in all by then. */
static int64_t begun_at, ended_at, late_before, late_after;
static int done;

static void all_begin(void) {
    late_before = machine_late_ns();
    begun_at = now_ms();
}

static void one_done(void) {
    if (__atomic_add_fetch(&done, 1, __ATOMIC_RELAXED) < CLIENTS) return;
    ended_at = now_ms();
    late_after = machine_late_ns();
}

/* All together wait for less than two of them would one after the other. What the machine has kept a thread waiting that
 * did nothing is forgiven. */
static void check_calls(void) {
    CHECK_STRICT(ended_at - begun_at, WAIT_MS - 10, 2 * WAIT_MS - 1 + (late_after - late_before) / 1000000);
}

#ifndef PLAIN
static dyco_semaphore *begin;
static int64_t opened_at;
static size_t stack_used;
static int opened;

/* Own stacks are fresh from the system here: what has never been touched is zero. */
static void measure_stack(void) {
    void *stack;
    size_t size, free_bytes = 0;
    CHECK_EQ(dyco_coroutine_getStack(dyco_coroutine_coroID(), &stack, &size), 1);
    while (free_bytes < size && ((volatile char *)stack)[free_bytes] == 0) free_bytes++;
    if (size - free_bytes > stack_used) stack_used = size - free_bytes;
}

static void beside_coroutine(void *argument) {
    (void)argument;
    client_beside();
}

static void coroutine(void *argument) {
    int number = (int)(intptr_t)argument;
    void *client = client_open(number);
    if (++opened == CLIENTS) {
        all_begin();
        spawn_own(beside_coroutine, NULL, STACK_SIZE);
        for (int i = 0; i < CLIENTS; i++) CHECK_EQ(dyco_semaphore_signal(begin), 0);
    }
    CHECK_EQ(dyco_semaphore_wait(begin, -1), 0);
    client_wait(client, number);
    one_done();
    client_close(client);
    measure_stack();
}

static void run_coroutines(void) {
    warm_up();
    int fds = count_fds();
    CHECK((begin = dyco_semaphore_create(0)) != NULL);
    opened_at = now_ms();
    control_begin();
    for (int i = 0; i < CLIENTS; i++) spawn_own(coroutine, (void *)(intptr_t)i, STACK_SIZE);
    run_with_control();
    control_end();
    CHECK_EQ(done, CLIENTS);
    CHECK_EQ(count_fds(), fds);
    dyco_semaphore_destroy(&begin);
    printf("%d coroutines: set-up %d ms, calls %d ms, ticker at most %.1f ms late; a thread %d ms in all; "
           "%zu bytes of stack\n", CLIENTS, (int)(begun_at - opened_at), (int)(ended_at - begun_at), (double)ticker_late / 1e6,
           (int)((late_after - late_before) / 1000000), stack_used);
    fflush(stdout);
    check_calls();
    CHECK_STRICT(ticker_late_forgiven / 1000000, 0, LATE_MS);
    CHECK(stack_used < STACK_SIZE * 3 / 4);
}

static void talk_coroutine(void *argument) {
    (void)argument;
    client_talk();
    measure_stack();
    CHECK(stack_used < STACK_SIZE * 3 / 4);
}
#endif

static pthread_barrier_t barrier;

static void *beside_thread(void *argument) {
    pthread_barrier_wait(&barrier);
    client_beside();
    return argument;
}

static void *thread(void *argument) {
    void *client = client_open((int)(intptr_t)argument);
    pthread_barrier_wait(&barrier);
    client_wait(client, (int)(intptr_t)argument);
    one_done();
    client_close(client);
    return NULL;
}

static void run_threads(void) {
    pthread_t threads[CLIENTS + 1];
    CHECK_EQ(pthread_barrier_init(&barrier, NULL, CLIENTS + 2), 0);
    for (int i = 0; i < CLIENTS; i++) CHECK_EQ(pthread_create(&threads[i], NULL, thread, (void *)(intptr_t)i), 0);
    CHECK_EQ(pthread_create(&threads[CLIENTS], NULL, beside_thread, NULL), 0);
    control_begin();
    pthread_barrier_wait(&barrier);
    all_begin();
    for (int i = 0; i <= CLIENTS; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
    control_end();
    printf("%d threads: calls %d ms\n", CLIENTS, (int)(ended_at - begun_at));
    check_calls();
}

static void *talk_thread(void *argument) {
    client_talk();
    return argument;
}

static void *rate_thread(void *argument) {
    void *client = client_open(0);
    int64_t best = INT64_MAX;
    /* A batch is short, so that on a busy machine some have the processor to themselves. */
    for (int batch = 0; batch < 5 * BATCHES; batch++) {
        int64_t began = now_ns();
        for (int i = 0; i < QUICK_CALLS / BATCHES; i++) client_quick(client, i);
        if (now_ns() - began < best) best = now_ns() - began;
    }
    client_close(client);
    printf("%lld ns a call\n", (long long)(best / (QUICK_CALLS / BATCHES)));
    return argument;
}

static void in_thread(void *(*function)(void *)) {
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, function, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* 1 MB that looks like nothing else, and a number that tells whether it has come back. */
#define LARGE 1000000

static inline char *large_text(void) {
    char *text = malloc(LARGE + 1);
    CHECK(text != NULL);
    for (unsigned i = 0; i < LARGE; i++) text[i] = (char)('a' + (i * i / 7 + i) % 26);
    text[LARGE] = 0;
    return text;
}

static inline unsigned digest(const void *data, size_t size) {
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++) sum = sum * 31 + ((const unsigned char *)data)[i];
    return sum;
}

static inline int client_main(int argc, const char *const *argv) {
    CHECK(argc >= 2);
    const char *mode = argv[1];
    client_args = argv + 2;
    setvbuf(stdout, NULL, _IOFBF, 65536);
    if (strcmp(mode, "threads") == 0) run_threads();
    else if (strcmp(mode, "talk") == 0) in_thread(talk_thread);
    else if (strcmp(mode, "rate") == 0) in_thread(rate_thread);
#ifndef PLAIN
    else if (strcmp(mode, "coroutines") == 0) run_coroutines();
    else if (strcmp(mode, "talk-inside") == 0) {
        spawn_own(talk_coroutine, NULL, STACK_SIZE);
        run_with_ticker();
    }
#endif
    else TEST_FAIL("no mode %s", mode);
    return test_done();
}

#define CLIENT_MAIN \
    int main(int argc, char **argv) { return client_main(argc, (const char *const *)argv); }

#endif
