/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * select() with a count beyond what its sets have room for, as programs pass that mean all descriptors there could be: nobody
 * looks further than the kernel, also where no descriptor is free. Sets larger than usual are used as a whole.
 */
// modes: shared archive static ring
// arch: x86_64
// nofile: 4096
#include "core.h"

#include <sys/select.h>

enum { FAR = 3000 };

static int ends[2], counts[] = {1025, 4096, 65536, 1 << 20, INT_MAX};

/* A set after which there is no memory. */
static fd_set *at_the_edge(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED);
    CHECK_EQ(mprotect(pages + page, page, PROT_NONE), 0);
    return (fd_set *)(pages + page) - 1;
}

static void looks(void *argument) {
    fd_set *set = argument;
    for (size_t i = 0; i < COUNT(counts); i++) {
        FD_ZERO(set);
        FD_SET(ends[0], set);
        CHECK_EQ(select(counts[i], set, NULL, NULL, &(struct timeval){0, 2000}), 0);
        CHECK(!FD_ISSET(ends[0], set));
        FD_SET(ends[0], set);
        FD_SET(ends[1], set);
        CHECK_EQ(select(counts[i], NULL, set, NULL, NULL), 1);
        CHECK(!FD_ISSET(ends[0], set) && FD_ISSET(ends[1], set));
    }
}

static void looks_far(void *argument) {
    static uint64_t set[(1 << 20) / 64];
    (void)argument;
    for (size_t i = 1; i < COUNT(counts); i++) {
        if (counts[i] > 1 << 20) continue;
        set[FAR / 64] = 1ull << FAR % 64;
        CHECK_EQ(select(counts[i], NULL, (fd_set *)set, NULL, NULL), 1);
        CHECK_EQ(set[FAR / 64], 1ull << FAR % 64);
        CHECK_EQ(select(counts[i], (fd_set *)set, NULL, NULL, &(struct timeval){0, 2000}), 0);
        CHECK_EQ(set[FAR / 64], 0);
    }
}

static void all(fd_set *set) {
    spawn(looks, set);
    spawn_own(looks, set, 32 << 10);
    run_all();
}

int main(void) {
    fd_set *set = at_the_edge();
    struct rlimit limit, before;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_EQ(pipe(ends), 0);
    all(set);

    /* No descriptor is free. */
    limit = before;
    limit.rlim_cur = (rlim_t)ends[1] + 8;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    while (dup(ends[0]) >= 0) continue;
    CHECK_EQ(errno, EMFILE);
    all(set);

    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_EQ(dup2(ends[1], FAR), FAR);
    spawn(looks_far, NULL);
    run_all();
    return test_done();
}
