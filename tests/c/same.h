/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Runs a scenario twice, in a plain thread, where every hooked name is libc's own, and in a coroutine, and compares
 * what its calls returned, down to errno. Peers that act later are plain threads both times.
 */
#ifndef DYCO_TEST_SAME_H
#define DYCO_TEST_SAME_H

#include "net.h"

#include <stdarg.h>

#define TRANSCRIPT_SIZE 32768

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
        int64_t takes_least = dyco_coroutine_coroID() > 0 ? (ms) * 1000000LL : (ms) * 500000LL; \
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

/* One scenario both ways; the descriptors are back afterwards. */
static inline void same_named(const char *name, void (*scenario)(void)) {
    pthread_t thread;
    int fds = fds_left();
    alarm(30 * (unsigned)patience());
    transcripts[0][0] = transcripts[1][0] = 0;
    transcript = transcripts[0];
    CHECK_EQ(pthread_create(&thread, NULL, same_thread, &scenario), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    join_later();
    CHECK_EQ(fds_left(), fds);
    transcript = transcripts[1];
    in_coroutine(same_coroutine, &scenario);
    join_later();
    CHECK_EQ(fds_left(), fds);
    if (getenv("TRANSCRIPT")) fputs(transcripts[0], stderr);
    CHECK(transcripts[0][0] != 0);
    char *plain = transcripts[0], *hooked = transcripts[1];
    while (*plain || *hooked) {
        size_t plain_length = strcspn(plain, "\n"), hooked_length = strcspn(hooked, "\n");
        if (plain_length != hooked_length || memcmp(plain, hooked, plain_length) != 0)
            TEST_FAIL("%s: libc says    %.*s\n%s: coroutine says %.*s", name, (int)plain_length, plain, name,
                      (int)hooked_length, hooked);
        plain += plain_length + (plain[plain_length] == '\n');
        hooked += hooked_length + (hooked[hooked_length] == '\n');
    }
}

#define SAME(scenario) same_named(#scenario, scenario)

static inline void same_start(void) {
    warm_up();
    signal(SIGALRM, same_hangs);
}

#endif
