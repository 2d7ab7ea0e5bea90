// needs: valgrind
// modes: shared
// arch: x86_64
// timeout: 120
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Valgrind finds nothing to say of coroutines that switch, on each kind of stack, nor a byte lost.
 */
#include "core.h"

#define UNDER_VALGRIND "DYCO_TEST_UNDER_VALGRIND"

static int finished;

static int recurse(int depth) {
    volatile char block[500];
    memset((void *)block, depth, sizeof block);
    if (depth > 0) recurse(depth - 1);
    dyco_coroutine_sleep(depth % 3 == 0);
    return block[499];
}

static void works(void *argument) {
    int ends[2];
    char byte = 0;
    CHECK_EQ(pipe(ends), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(recurse(i * 5), i * 5);
        CHECK_EQ(dyco_coroutine_waitRead(ends[0], 1), 0);
        CHECK_EQ(write(ends[1], "x", 1), 1);
        CHECK_EQ(read(ends[0], &byte, 1), 1);
        CHECK_EQ(byte, 'x');
    }
    close(ends[0]);
    close(ends[1]);
    finished++;
    if (argument) dyco_coroutine_abort();
}

static void run(void) {
    static char memory[10][16384];
    for (int i = 0; i < 60; i++) {
        int cid = spawn(works, i % 2 ? memory : NULL);
        if (i % 3 == 1) CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 16384), 1);
        if (i % 6 == 2) CHECK_EQ(dyco_coroutine_setStack(cid, memory[i / 6], sizeof memory[0]), 1);
    }
    run_all();
    CHECK_EQ(finished, 60);
    dyco_schedule_free(NULL);
}

static void start_valgrind(void) {
    static char self[4096];
    CHECK(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    setenv(UNDER_VALGRIND, "1", 1);
    execlp("valgrind", "valgrind", "-q", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite",
           self, (char *)NULL);
    _exit(127);
}

int main(void) {
    static char output[65536];
    if (getenv(UNDER_VALGRIND)) {
        run();
        return 0;
    }
    int status = in_child(start_valgrind, output, sizeof output);
    /* "--" lines are of valgrind itself: system calls that it does not know yet. */
    if (status != 0 || strstr(output, "==")) TEST_FAIL("valgrind ended with %#x:\n%.400s", status, output);
    return test_done();
}
