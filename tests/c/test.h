/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What every test program uses. A failed check prints where and what, and ends the program with 1.
 * A program passes when it exits with 0 after test_done(), so end main with `return test_done();`.
 *
 * The first lines of a program may hold directives for tests/c_programs.rs:
 *   // modes: shared archive static fortify    only these ways to link (fortify = shared, _FORTIFY_SOURCE=2; ring = shared,
 *                                              DYCO_POLLER=io_uring)
 *   // arch: x86_64                            only on this machine (default: also under qemu-aarch64)
 *   // timeout: 60                             seconds, instead of 30 (under qemu five times that)
 *   // needs: gdb valgrind                     skipped where a command is missing
 *   // nofile: 25000                           descriptors it needs (RLIMIT_NOFILE)
 *   // flags: -O0 -fno-inline                  added for the compiler
 *   // busy: much                              it keeps a processor busy: no more of these at a time than there are
 */
#ifndef DYCO_TEST_H
#define DYCO_TEST_H

#include "dyco_coroutine.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <sys/syscall.h>

/* How much slower than an idle machine everything may be, as the harness says: valgrind, sanitizers, emulators, load. Upper
 * bounds of time are multiplied by it, and delays that they must tell from others; lower bounds are not. */
static inline int patience(void) {
    const char *text = getenv("DYCO_TEST_PATIENCE");
    int factor = text ? atoi(text) : 1;
    return factor > 0 ? factor : 1;
}

/* What a program exits with that fails only because something took too long: worth another try with more patience. */
#define TEST_LATE 75

/* Says what failed and ends the program. Little stack and no stdio stream: it runs on small coroutine stacks too. */
#define TEST_FAIL(...) TEST_END(1, __VA_ARGS__)

#define TEST_END(test_code, ...) \
    do { \
        static char test_line[512]; \
        int test_length = snprintf(test_line, sizeof test_line - 1, __VA_ARGS__); \
        if (test_length < 0) test_length = 0; \
        if (test_length > (int)sizeof test_line - 2) test_length = (int)sizeof test_line - 2; \
        test_line[test_length] = '\n'; \
        if (syscall(SYS_write, 2, test_line, (size_t)test_length + 1) < 0) _exit(2); \
        _exit(test_code); \
    } while (0)

#define CHECK(cond) \
    do { \
        if (!(cond)) \
            TEST_FAIL("%s:%d: expected %s (errno %d, %s)", __FILE__, __LINE__, #cond, errno, strerror(errno)); \
    } while (0)

/* Both integers are printed. */
#define CHECK_EQ(a, b) \
    do { \
        long long test_a = (long long)(a), test_b = (long long)(b); \
        if (test_a != test_b) \
            TEST_FAIL("%s:%d: expected %s == %s, but %lld != %lld (errno %d, %s)", __FILE__, __LINE__, #a, #b, \
                      test_a, test_b, errno, strerror(errno)); \
    } while (0)

/* low <= value <= high. */
#define CHECK_BETWEEN(value, low, high) \
    do { \
        long long test_v = (long long)(value), test_l = (long long)(low), test_h = (long long)(high); \
        if (test_v < test_l || test_v > test_h) \
            TEST_FAIL("%s:%d: expected %s between %lld and %lld, but it is %lld", __FILE__, __LINE__, #value, \
                      test_l, test_h, test_v); \
    } while (0)

/* A time: low <= value <= high * patience(). The lower bound is a promise; the upper one is the machine's affair, too. */
#define CHECK_TOOK(value, low, high) \
    do { \
        long long test_v = (long long)(value), test_l = (long long)(low), test_h = (long long)(high) * patience(); \
        if (test_v < test_l || test_v > test_h) \
            TEST_END(test_v < test_l ? 1 : TEST_LATE, "%s:%d: expected %s between %lld and %lld, but it is %lld", \
                     __FILE__, __LINE__, #value, test_l, test_h, test_v); \
    } while (0)

/* The call returns -1 and leaves this errno. */
#define CHECK_ERRNO(expr, wanted) \
    do { \
        errno = 0; \
        long long test_r = (long long)(expr); \
        int test_e = errno; \
        if (test_r != -1 || test_e != (wanted)) \
            TEST_FAIL("%s:%d: expected %s == -1 with %s (%d), but it is %lld with errno %d (%s)", __FILE__, \
                      __LINE__, #expr, #wanted, (int)(wanted), test_r, test_e, strerror(test_e)); \
    } while (0)

#define CHECK_STR(a, b) \
    do { \
        const char *test_a = (a), *test_b = (b); \
        if (strcmp(test_a, test_b) != 0) \
            TEST_FAIL("%s:%d: expected %s == %s, but \"%s\" != \"%s\"", __FILE__, __LINE__, #a, #b, test_a, test_b); \
    } while (0)

/* Ends the program as skipped: what it needs is not here. */
#define TEST_SKIP(reason) \
    do { \
        printf("skipped: %s\n", reason); \
        fflush(stdout); \
        _exit(77); \
    } while (0)

static inline int64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* A difference of two of these is never less than the whole milliseconds that have passed. */
static inline int64_t now_ms(void) {
    return now_ns() / 1000000;
}

/* Open descriptors of the process. */
static inline int count_fds(void) {
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;
    if (!dir) TEST_FAIL("opendir /proc/self/fd: %s", strerror(errno));
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count - 1; /* without the directory's own */
}

/* Threads of the process. */
static inline int count_threads(void) {
    int count = 0;
    DIR *dir = opendir("/proc/self/task");
    if (!dir) TEST_FAIL("opendir /proc/self/task: %s", strerror(errno));
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* Resident memory of the process. */
static inline long rss_kb(void) {
    long total = 0, resident = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    if (!statm || fscanf(statm, "%ld %ld", &total, &resident) != 2)
        TEST_FAIL("cannot read /proc/self/statm: %s", strerror(errno));
    fclose(statm);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* The program got to its end: without this line the harness does not believe an exit code of 0. */
static inline int test_done(void) {
    puts("test_done");
    fflush(stdout);
    return 0;
}

#endif
