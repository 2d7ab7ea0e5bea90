/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Looking names up through a DNS server that takes 300 ms: only the coroutine waits, as many at a time as there are
 * helpers; answers belong to the coroutine; one that is ended does not wait for its answer.
 *
 * An archive leaves these names to libc.
 */
// modes: shared fortify ring
// timeout: 60
#include "control.h"
#include "dns.h"
#include "heap.h"


#define DELAY (300 * patience())
#define COROUTINES 200
#define HELPERS 20

static int finished;
static long slack;

static void expect_host(const char *name, unsigned number) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list = NULL;
    CHECK_EQ(getaddrinfo(name, "4711", &hints, &list), 0);
    const struct sockaddr_in *address = (const struct sockaddr_in *)list->ai_addr;
    CHECK_EQ(ntohl(address->sin_addr.s_addr), 0x0a090000 + number);
    CHECK_EQ(ntohs(address->sin_port), 4711);
    CHECK(list->ai_next == NULL);
    freeaddrinfo(list);
    finished++;
}

/* The name, the hints and the place for the result are in the frame, whose stack others use meanwhile. */
static void looks_up(void *argument) {
    unsigned number = (unsigned)(intptr_t)argument;
    char name[64];
    snprintf(name, sizeof name, "host%u.example.test.", number);
    expect_host(name, number);
}

/* --- while the helpers are busy */

static void literals(void *argument) {
    struct addrinfo *list = NULL;
    char host[64], service[32];
    (void)argument;
    dyco_coroutine_sleep(50);
    int64_t began = now_ms();
    CHECK_EQ(getaddrinfo("192.0.2.1", "80", NULL, &list), 0);
    CHECK_EQ(getnameinfo(list->ai_addr, list->ai_addrlen, host, sizeof host, service, sizeof service,
                         NI_NUMERICHOST | NI_NUMERICSERV), 0);
    CHECK_STR(host, "192.0.2.1");
    CHECK_STR(service, "80");
    freeaddrinfo(list);
    CHECK_EQ(getaddrinfo("::1", NULL, NULL, &list), 0);
    freeaddrinfo(list);
    CHECK(gethostbyname("192.0.2.1") != NULL);
    CHECK_TOOK(now_ms() - began, 0, 200);
}

/* In the time that the pool allows, and the ticker is never late by more than 50 ms; but for what the machine does to a
 * plain thread that only sleeps, and under tools that slow everything down. */
static void crowd(int strict) {
    CHECK_EQ(dyco_offload_setPool(HELPERS, 10000), 0);
    finished = 0;
    control_begin();
    int64_t began = now_ms();
    for (int i = 0; i < COROUTINES; i++) spawn(looks_up, (void *)(intptr_t)i);
    spawn(literals, NULL);
    run_with_control();
    int64_t took = now_ms() - began, late = machine_late_ns() / 1000000, rounds = COROUTINES / HELPERS;
    control_end();
    CHECK_EQ(finished, COROUTINES);
    CHECK_STRICT(took, rounds * DELAY, (rounds + 1) * DELAY - 1 + (strict ? late : 5000 * patience()));
    CHECK_STRICT(ticker_late_forgiven / 1000000, 0, strict ? 50 : 50 * patience());
}

/* --- answers of one's own */

static void keeps_answer(void *argument) {
    unsigned number = (unsigned)(intptr_t)argument;
    char name[64];
    snprintf(name, sizeof name, "host%u.example.test.", number);
    struct hostent *host = gethostbyname(name), *other;
    CHECK(host != NULL);
    unsigned char address[4] = {10, 9, 0, (unsigned char)number};
    dyco_coroutine_sleep(20);
    snprintf(name, sizeof name, "missing%u.test.", number);
    CHECK(gethostbyname2(name, AF_INET) == NULL);
    CHECK_EQ(h_errno, HOST_NOT_FOUND);
    /* The answer of another function is another one, as libc's are. */
    CHECK(memcmp(host->h_addr_list[0], address, 4) == 0);
    dyco_coroutine_sleep((uint32_t)(number % 3 * 10));
    CHECK_EQ(h_errno, HOST_NOT_FOUND);
    CHECK((other = gethostbyaddr(host->h_addr_list[0], 4, AF_INET)) != NULL);
    snprintf(name, sizeof name, "host%u.example.test", number);
    CHECK_STR(other->h_name, name);
    CHECK(memcmp(host->h_addr_list[0], address, 4) == 0);
    h_errno = (int)number + 1000;
    dyco_coroutine_sleep(10);
    CHECK_EQ(h_errno, (int)number + 1000);
    finished++;
}

/* The thread's h_errno is not the coroutines'. */
static void own_answers(void) {
    finished = 0;
    h_errno = 4;
    for (int i = 0; i < 12; i++) spawn(keeps_answer, (void *)(intptr_t)i);
    run_with_ticker();
    CHECK_EQ(finished, 12);
}

/* --- ended from outside */

static void aborts(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(20);
    dyco_schedcall_abort();
}

static void ended(int jobs) {
    CHECK_EQ(dyco_offload_setPool(2, 10000), 0);
    finished = 0;
    for (int i = 0; i < jobs; i++) spawn(looks_up, (void *)(intptr_t)i);
    spawn(aborts, NULL);
    int64_t began = now_ms();
    CHECK_EQ(dyco_schedule_run(), -1);
    CHECK_TOOK(now_ms() - began, 20, 220);
    CHECK_EQ(finished, 0);
}

static void pause_ms(int ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    syscall(SYS_nanosleep, &time, NULL);
}

static void literal_host(void *argument) {
    CHECK(gethostbyname("192.0.2.1") != NULL);
    CHECK(gethostbyname2("2001:db8::1", AF_INET6) != NULL);
    (void)argument;
}

static void answers_come_back(void) {
    size_t before = 0;
    for (int round = 0; round < 200; round++) {
        if (round == 10) before = heap();
        spawn(literal_host, NULL);
        run_all();
    }
    CHECK_BETWEEN((long)(heap() - before), LONG_MIN, slack);
}

static void come_back(void) {
    size_t before = 0;
    long grown = LONG_MAX;
    int fds = count_fds();
    /* Something may come to stay once; a lookup that is lost costs something each time. */
    for (int turn = 0; turn < 6 && grown > slack; turn++) {
        for (int round = 0; round < 2; round++) {
            ended(4);
            pause_ms(DELAY + 100);
        }
        if (turn > 0) grown = (long)(heap() - before);
        before = heap();
    }
    CHECK_BETWEEN(grown, LONG_MIN, slack);
    CHECK_EQ(count_fds(), fds);
    ended(3);
    dyco_schedule_free(NULL);
    pause_ms(DELAY + 100);
    warm_up();
}

/* --- other places to stand on */

static void computes(void *argument) {
    pause_ms(4 * DELAY);
    __atomic_store_n((int *)argument, 1, __ATOMIC_SEQ_CST);
}

static void offloads(void *argument) {
    CHECK_EQ(dyco_offload(computes, argument, -1), 0);
}

static void looks_up_meanwhile(void *argument) {
    int64_t began = now_ms();
    dyco_coroutine_sleep(20);
    looks_up((void *)1);
    CHECK_TOOK(now_ms() - began, DELAY, 4 * 300 - 50);
    CHECK_EQ(__atomic_load_n((int *)argument, __ATOMIC_SEQ_CST), 0);
}

/* Functions of the program's do not hold up look-ups. */
static void other_kinds(void) {
    static int done;
    CHECK_EQ(dyco_offload_setPool(1, 10000), 0);
    spawn(offloads, &done);
    spawn(looks_up_meanwhile, &done);
    run_all();
    CHECK_EQ(done, 1);
    CHECK_EQ(dyco_offload_setPool(HELPERS, 10000), 0);
}

static void *in_a_thread(void *argument) {
    spawn(looks_up, (void *)7);
    spawn(looks_up, (void *)8);
    run_all();
    return argument;
}

static void looks_up_twice(void *argument) {
    struct addrinfo *list = NULL;
    looks_up(argument);
    /* There is no room for libc's function here, so a helper does it. */
    CHECK_EQ(getaddrinfo("192.0.2.1", "80", NULL, &list), 0);
    freeaddrinfo(list);
}

static void places(void) {
    static char stack[4096] __attribute__((aligned(16)));
    pthread_t thread;
    finished = 0;
    CHECK_EQ(dyco_coroutine_setStack(spawn(looks_up_twice, (void *)9), stack, sizeof stack), 1);
    run_all();
    CHECK_EQ(pthread_create(&thread, NULL, in_a_thread, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(finished, 3);
    /* Without a coroutine: libc's own. */
    expect_host("host5.example.test.", 5);
}

#ifndef __aarch64__ /* the emulator cannot fork with threads */
static void forks(void *argument) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        looks_up(argument);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}
#endif

/* With an argument for checkers of memory, which do not like children of threads, nor threads at the end. */
int main(int argc, char **argv) {
    slack = (long)heap_start(argv);
    dns_world();
    dns_start(DELAY);
    warm_up();
    int threads = count_threads();
    in_coroutine(literals, NULL);
    CHECK_EQ(count_threads(), threads); /* nothing was looked up */
    crowd(argc == 1);
#ifndef __aarch64__
    CHECK_EQ(count_threads(), threads + HELPERS);
#endif
    own_answers();
    other_kinds();
    places();
#ifndef __aarch64__
    if (argc == 1) in_coroutine(forks, (void *)3);
#endif
    answers_come_back();
    come_back();
    if (argc > 1) {
        pause_ms(DELAY + 100);
        helpers_end();
        return test_done();
    }
    ended(3); /* and the process ends while helpers wait for their answers */
    return test_done();
}
