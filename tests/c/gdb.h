/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A test that runs itself under gdb, with a script of tests/gdb/.
 */
#ifndef DYCO_TEST_GDB_H
#define DYCO_TEST_GDB_H

#include "core.h"

#define UNDER_GDB "DYCO_TEST_UNDER_GDB"

/* The script's path: beside this file's folder. */
static inline void run_gdb(const char *script) {
    static char path[4096], self[4096], output[65536];
    const char *slash = strrchr(__FILE__, '/');
    snprintf(path, sizeof path, "%.*s/../gdb/%s", slash ? (int)(slash - __FILE__) : 1, slash ? __FILE__ : ".", script);
    if (access(path, R_OK) != 0) TEST_FAIL("%s: %s", path, strerror(errno));
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    CHECK(length > 0);
    int ends[2], status;
    CHECK_EQ(pipe(ends), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        setenv(UNDER_GDB, "1", 1);
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        execlp("gdb", "gdb", "-nx", "-batch", "-x", path, self, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    size_t used = 0;
    ssize_t n;
    while ((n = read(ends[0], output + used, sizeof output - used - 1)) > 0) {
        used += (size_t)n;
        if (used > sizeof output / 2) { /* the end of it counts */
            memmove(output, output + used / 2, used - used / 2);
            used -= used / 2;
        }
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    if (strstr(output, "ptrace: Operation not permitted") || strstr(output, "Could not trace the inferior"))
        TEST_SKIP("no ptrace here");
    if (status != 0 || !strstr(output, "PASSED")) {
        fputs(output, stderr);
        TEST_FAIL("gdb ended with %#x", status);
    }
}

#endif
