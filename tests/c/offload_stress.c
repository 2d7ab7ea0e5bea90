/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Threads, coroutines and helpers in every mixture: functions with and without time limits, look-ups, files, limits that
 * change, schedulers that are aborted and freed in the middle. What began has ended in the end, and nothing is left.
 */
// timeout: 60
#include "core.h"

#include <netdb.h>
#include <sys/stat.h>

#define THREADS 3
#define COROUTINES 24

/* Of the function, of who waits for it; the last one frees. */
struct work {
    int users, ms;
};

static long begun, ended, handed_over, never_begun, kept;
/* What a coroutine has left behind is no leak for checkers of memory. */
static struct work *volatile known[1 << 16];
static int rounds = 100;
static char path[] = "/tmp/dyco-stress-XXXXXX";
static __thread unsigned seed;

static unsigned any(unsigned below) {
    seed = seed * 1103515245 + 12345;
    return (seed >> 16) % below;
}

static void add(long *counter, long by) {
    __atomic_add_fetch(counter, by, __ATOMIC_SEQ_CST);
}

static void release(struct work *work) {
    if (__atomic_sub_fetch(&work->users, 1, __ATOMIC_SEQ_CST) == 0) {
        add(&kept, -1);
        free(work);
    }
}

static void function(void *argument) {
    struct work *work = argument;
    struct timespec time = {0, work->ms * 1000000L};
    add(&begun, 1);
    if (work->ms > 0) syscall(SYS_nanosleep, &time, NULL);
    release(work);
    add(&ended, 1);
}

/* A coroutine that is ended cannot release what it waits with: the test does not count these. */
static void hands_over(int may_end) {
    struct work *work = malloc(sizeof *work);
    CHECK(work != NULL);
    *work = (struct work){may_end ? 1 : 2, (int)any(4)};
    add(&kept, 1);
    known[__atomic_fetch_add(&handed_over, 1, __ATOMIC_SEQ_CST) % COUNT(known)] = work;
    int limit = any(2) ? -1 : (int)any(4), result = dyco_offload(function, work, limit);
    if (result == 0) {
        if (!may_end) release(work);
        return;
    }
    CHECK_EQ(result, -1);
    if (errno == EAGAIN) {
        add(&never_begun, 1);
        release(work);
    } else {
        CHECK_EQ(errno, ETIMEDOUT);
    }
    if (!may_end) release(work);
}

static void looks_up(void) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list = NULL;
    CHECK_EQ(getaddrinfo(any(2) ? "localhost" : "192.0.2.1", "80", &hints, &list), 0);
    freeaddrinfo(list);
    CHECK(gethostbyname("localhost") != NULL);
}

static void files(void) {
    char bytes[64];
    struct stat status;
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0);
    CHECK_EQ(pwrite(fd, "0123456789", 10, 0), 10);
    CHECK_EQ(pread(fd, bytes, sizeof bytes, 0), 10);
    CHECK(memcmp(bytes, "0123456789", 10) == 0);
    CHECK_EQ(fstat(fd, &status), 0);
    CHECK_EQ(status.st_size, 10);
    CHECK_EQ(close(fd), 0);
}

static void works(void *argument) {
    int may_end = (int)(intptr_t)argument;
    for (unsigned count = any(5); count > 0; count--) {
        switch (any(may_end ? 4 : 6)) {
        case 0: dyco_coroutine_sleep(any(3)); break;
        case 1: CHECK_EQ(dyco_offload_setPool(1 + (int)any(8), (int)any(3) * 10), 0); break;
        case 4: looks_up(); break;
        case 5: files(); break;
        default: hands_over(may_end);
        }
    }
}

static void aborts(void *argument) {
    dyco_coroutine_sleep((uint32_t)(intptr_t)argument);
    dyco_schedcall_abort();
}

/* Rounds that run to their end, and rounds that are cut short: then the function alone owns its work, because who waits
 * may not come back. */
static void *thread(void *argument) {
    seed = (unsigned)(intptr_t)argument * 7919 + 1;
    for (int round = 0; round < rounds; round++) {
        int cut = (int)any(2);
        CHECK(dyco_hook_files((int)any(2)) >= 0);
        for (int i = 0; i < COROUTINES; i++) {
            int cid = spawn(works, (void *)(intptr_t)cut);
            if (any(2)) CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 32768), 1);
        }
        if (cut) spawn(aborts, (void *)(intptr_t)any(10));
        CHECK_EQ(dyco_schedule_run(), cut ? -1 : 0);
        if (any(4) == 0) dyco_schedule_free(NULL);
    }
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS];
    if (argc > 1) rounds = atoi(argv[1]);
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, "0123456789", 10), 10);
    CHECK_EQ(close(fd), 0);
    int fds = count_fds();
    for (intptr_t i = 0; i < THREADS; i++) CHECK_EQ(pthread_create(&threads[i], NULL, thread, (void *)i), 0);
    for (int i = 0; i < THREADS; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
    /* What was taken back from coroutines that were ended never began, and its memory is nobody's. */
    for (int64_t until = now_ms() + 5000; now_ms() < until;) {
        if (__atomic_load_n(&begun, __ATOMIC_SEQ_CST) == __atomic_load_n(&ended, __ATOMIC_SEQ_CST)) break;
        usleep(10000);
    }
    usleep(50000);
    CHECK_EQ(begun, ended);
    CHECK_BETWEEN(begun + never_begun, handed_over / 2, handed_over);
    CHECK_EQ(kept, handed_over - begun - never_begun);
    CHECK(count_fds() <= fds);
    CHECK_EQ(unlink(path), 0);
    return test_done();
}
