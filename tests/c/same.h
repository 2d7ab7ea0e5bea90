/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Runs a scenario in a plain thread, where every hooked name is to be libc's own, and in a coroutine, and compares what its
 * calls returned, down to errno. Peers that act later are plain threads both times.
 *
 * The same source is also compiled with -DPLAIN and linked without the library: then it runs its scenarios in plain threads
 * only, and leaves what libc itself has said in the file that SAME_TRANSCRIPT names (without it, on stdout). The program
 * with the library reads that file, where there is one, and its thread and its coroutine must have said the same. By hand:
 *   SAME_TRANSCRIPT=said ./plain && SAME_TRANSCRIPT=said ./shared
 */
#ifndef DYCO_TEST_SAME_H
#define DYCO_TEST_SAME_H

#include "net.h"

#include <stdarg.h>

/* 1 in the program without the library, whose parts that are about coroutines are left out. */
#ifndef PLAIN
#define PLAIN 0
#endif

#define TRANSCRIPT_SIZE 32768
/* Before the name of a scenario, in the file. */
#define SAME_MARK "== "

static char transcripts[2][TRANSCRIPT_SIZE], *transcript;

static inline void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline void say(const char *format, ...) {
    size_t used = strlen(transcript);
    va_list list;
    va_start(list, format);
    vsnprintf(transcript + used, TRANSCRIPT_SIZE - used, format, list);
    va_end(list);
    CHECK(strlen(transcript) < TRANSCRIPT_SIZE - 200);
}

static inline int in_a_coroutine(void) {
    return !PLAIN && dyco_coroutine_coroID() > 0;
}

/* Makes a call and records its result and errno: a success leaves errno alone. */
#define TRY(call) \
    ({ \
        errno = 77; \
        long long try_result = (long long)(call); \
        int try_errno = errno; \
        say("%d: %s = %lld", __LINE__, #call, try_result); \
        say(" (errno %d)\n", try_errno == 77 ? 0 : try_errno); \
        try_result; \
    })

/* As TRY, for a call whose result is a new descriptor. */
#define TRY_FD(call) \
    ({ \
        errno = 77; \
        int try_fd = (call); \
        int try_errno = errno; \
        say("%d: %s = %s", __LINE__, #call, try_fd >= 0 ? "fd" : "-1"); \
        say(" (errno %d)\n", try_errno == 77 ? 0 : try_errno); \
        try_fd; \
    })

/* The call's own time limit ends it: in a coroutine never early. The kernel counts the limits of blocking sockets and
 * terminals in ticks, and makes up for ticks that a virtual machine has missed in a hurry: libc's own are let off. */
#define TAKES(ms, statement) \
    do { \
        int64_t takes_begin = now_ns(); \
        statement; \
        int64_t takes_least = in_a_coroutine() ? (ms) * 1000000LL : (ms) * 500000LL; \
        CHECK_TOOK(now_ns() - takes_begin, takes_least, ((ms) + 4000) * 1000000LL); \
    } while (0)

/* What the last `after` does ends the call, so long after `after` was called: the call itself may begin late. */
#define COMES(ms, statement) \
    do { \
        statement; \
        CHECK_TOOK(now_ns() - after_called, (ms) * 1000000LL, ((ms) + 4000) * 1000000LL); \
    } while (0)

static inline void *same_thread(void *p) {
    void (*scenario)(void) = *(void (**)(void))p;
    scenario();
    CHECK(transcript[0] != 0);
    say("\n");
    return NULL;
}

static inline void same_coroutine(void *p) {
    same_thread(p);
}

/* A call that does not come back is named, too. */
static inline void same_hangs(int signal) {
    const char *last = transcript;
    (void)signal;
    for (const char *at = transcript; *at; at++)
        if (at[0] == '\n' && at[1]) last = at + 1;
    TEST_FAIL("%s hangs after    %s", transcript == transcripts[0] ? "libc" : "coroutine", last);
}

/* Open descriptors; not counted under emulation, because qemu-user opens some of its own. */
static inline int fds_left(void) {
#ifdef __aarch64__
    return 0;
#else
    return count_fds();
#endif
}

static inline void same_in_thread(void (*scenario)(void)) {
    pthread_t thread;
    int fds = fds_left();
    transcript = transcripts[0];
    transcript[0] = 0;
    CHECK_EQ(pthread_create(&thread, NULL, same_thread, &scenario), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    join_later();
    CHECK_EQ(fds_left(), fds);
}

static inline void same_in_coroutine(void (*scenario)(void)) {
    int fds = fds_left();
    transcript = transcripts[1];
    transcript[0] = 0;
    in_coroutine(same_coroutine, &scenario);
    join_later();
    CHECK_EQ(fds_left(), fds);
}

/* What the program without the library has said, from the next scenario on; NULL: it has not been run. */
static char *same_plain;

static inline void same_read(void) {
    const char *path = getenv("SAME_TRANSCRIPT");
    if (!path) return;
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    CHECK_EQ(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    CHECK((same_plain = calloc(1, (size_t)size + 1)) != NULL);
    rewind(file);
    CHECK_EQ(fread(same_plain, 1, (size_t)size, file), size);
    CHECK_EQ(fclose(file), 0);
}

static inline void same_write(const char *name) {
    const char *path = getenv("SAME_TRANSCRIPT");
    FILE *file = path ? fopen(path, "a") : stdout;
    CHECK(file != NULL);
    CHECK(fprintf(file, SAME_MARK "%s\n%s", name, transcript) > 0);
    CHECK_EQ(path ? fclose(file) : fflush(file), 0);
}

/* A transcript ends with the string, or where the next scenario begins. */
static inline size_t same_line(const char *at) {
    return strncmp(at, SAME_MARK, strlen(SAME_MARK)) == 0 ? 0 : strcspn(at, "\n") + (strchr(at, '\n') != NULL);
}

/* The first line in which they differ is named. Returns where `wanted` ends. */
static inline char *same_lines(const char *name, const char *who, char *wanted, char *said) {
    for (;;) {
        size_t length = same_line(wanted), said_length = same_line(said);
        if (length != said_length || memcmp(wanted, said, length) != 0)
            TEST_FAIL("%s: libc says    %.*s%s: %s says %.*s", name, (int)length, wanted, name, who, (int)said_length, said);
        if (length == 0) return wanted;
        wanted += length;
        said += said_length;
    }
}

/* One scenario each way; the descriptors are back afterwards. */
static inline void same_each(const char *name, void (*scenario)(void), int inside) {
    alarm(30 * (unsigned)patience());
    same_in_thread(scenario);
    if (getenv("TRANSCRIPT")) fputs(transcript, stderr);
    if (PLAIN) return same_write(name);
    if (inside) same_in_coroutine(scenario);
    if (same_plain) {
        size_t length = strlen(name);
        char *plain = same_plain + strlen(SAME_MARK);
        if (*same_plain == 0 || strncmp(plain, name, length) != 0 || plain[length] != '\n')
            TEST_FAIL("%s: the program without the library has run %.60s", name, same_plain);
        plain += length + 1;
        same_plain = same_lines(name, "thread   ", plain, transcripts[0]);
        if (inside) same_lines(name, "coroutine", plain, transcripts[1]);
    }
    if (inside) same_lines(name, "coroutine", transcripts[0], transcripts[1]);
}

static inline void same_named(const char *name, void (*scenario)(void)) {
    same_each(name, scenario, 1);
}

#define SAME(scenario) same_named(#scenario, scenario)
/* For what is meant to be different inside: outside coroutines only. */
#define SAME_OUTSIDE(scenario) same_each(#scenario, scenario, 0)

#if PLAIN
#pragma weak dyco_version
#endif

static inline void same_start(void) {
    signal(SIGALRM, same_hangs);
#if PLAIN
    /* The library is not there, by whatever way. */
    CHECK(dyco_version == NULL);
#else
    same_read();
    warm_up();
#endif
}

/* The program without the library has run nothing else. */
static inline int same_done(void) {
    if (same_plain && *same_plain) TEST_FAIL("only the program without the library has run %.60s", same_plain);
    return test_done();
}

#define test_done() same_done()

#endif
