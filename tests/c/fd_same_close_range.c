/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * close_range and closefrom return in a coroutine what they return in a plain thread, and close what they close there, all
 * other descriptors of the program left alone.
 */
#include "same.h"

#include <sys/wait.h>

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE 2
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4
#endif

/* Numbers that nothing else has. */
#define FIRST 500
#define LAST 509

static void open_all(void) {
    for (int fd = FIRST; fd <= LAST; fd++) CHECK_EQ(dup2(2, fd), fd);
}

static void which(void) {
    for (int fd = FIRST; fd <= LAST; fd++) {
        int flags = fcntl(fd, F_GETFD);
        say("%c", flags < 0 ? '-' : flags ? 'x' : '+');
    }
    say("\n");
}

static void ranges(void) {
    open_all();
    TRY(close_range(FIRST + 2, FIRST + 4, 0));
    which();
    TRY(close_range(FIRST + 2, FIRST + 4, 0));
    TRY(close_range(FIRST + 6, FIRST + 7, CLOSE_RANGE_CLOEXEC));
    which();
    TRY(close_range(FIRST + 5, FIRST + 4, 0));
    TRY(close_range(FIRST + 5, FIRST + 4, CLOSE_RANGE_CLOEXEC));
    TRY(close_range(FIRST, FIRST, 0x100));
    which();
    TRY(close_range(FIRST + 8, FIRST + 8, 0));
    TRY(close_range(LAST, ~0U, 0));
    which();
    TRY(close_range(FIRST, FIRST + 7, CLOSE_RANGE_CLOEXEC));
    which();
    TRY(close_range(FIRST, LAST, 0));
    which();
    TRY(close_range(LAST + 1, ~0U, 0));
}

static void from(void) {
    open_all();
    closefrom(LAST);
    which();
    closefrom(FIRST + 4);
    which();
    TRY(close_range(FIRST, LAST, 0));
}

/* In a child, which has nothing else to lose. */
static void all(void) {
    for (int way = 0; way < 3; way++) {
        int status, ends[2];
        CHECK_EQ(pipe(ends), 0);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            int result = way == 0 ? close_range(3, ~0U, 0) : way == 1 ? close_range(3, ~0U, CLOSE_RANGE_UNSHARE) : 0;
            if (way == 2) closefrom(-1);
            _exit(result == 0 && fcntl(ends[0], F_GETFD) < 0 && fcntl(ends[1], F_GETFD) < 0 ? 7 : 8);
        }
        TRY(waitpid(child, &status, 0) == child);
        say("%d %#x\n", way, (unsigned)status);
        close_pair(ends);
    }
}

/* What was closed is nobody's: its number is free for the next one. */
static void anew(void) {
    int ends[2];
    char b[4];
    stream_pair(AF_UNIX, ends);
    CHECK_EQ(dup2(ends[0], FIRST), FIRST);
    CHECK_EQ(fcntl(FIRST, F_SETFL, O_NONBLOCK), 0);
    TRY(read(FIRST, b, 4));
    TRY(close_range(FIRST, FIRST, 0));
    TRY(read(FIRST, b, 4));
    close_pair(ends);
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(dup2(ends[0], FIRST), FIRST);
    TRY(write(ends[1], "abc", 3));
    TRY(read(FIRST, b, 4));
    TRY(close_range(FIRST, FIRST, 0));
    close_pair(ends);
}

int main(void) {
    if (close_range(FIRST, FIRST, 0) != 0) TEST_SKIP("no close_range");
    same_start();
    SAME(ranges);
    SAME(from);
    SAME(all);
    SAME(anew);
    return test_done();
}
