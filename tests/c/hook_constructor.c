// modes: shared ring
// arch: x86_64
// needs: gcc
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Another library's constructor calls hooked names before ours has run, whichever comes first on the command line; and
 * a library that knows nothing of us waits in the coroutine that calls it, also when it is loaded late.
 */
#include "net.h"

#include <dlfcn.h>
#include <stdarg.h>

static char folder[] = "/tmp/dyco-test-XXXXXX", path[PATH_MAX], library[PATH_MAX];

static const char other[] =
    "#include <sys/socket.h>\n#include <unistd.h>\n#include <errno.h>\n#include <poll.h>\n"
    "int other_ok;\n"
    "__attribute__((constructor)) static void start(void) {\n"
    "    int ends[2]; char b;\n"
    "    other_ok = close(-1) == -1 && errno == EBADF && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 &&\n"
    "        send(ends[1], \"x\", 1, 0) == 1 && read(ends[0], &b, 1) == 1 && poll(0, 0, 1) == 0 &&\n"
    "        usleep(1) == 0 && close(ends[0]) == 0 && close(ends[1]) == 0;\n"
    "}\n"
    "long other_wait(int fd) { char b; return recv(fd, &b, 1, 0); }\n";

static const char program[] = "extern int other_ok; int dyco_schedule_run(void);\n"
                              "int main(void) { return !(other_ok && dyco_schedule_run() == -2); }\n";

static void put(const char *name, const char *text) {
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    CHECK(fputs(text, file) >= 0);
    CHECK_EQ(fclose(file), 0);
}

__attribute__((format(printf, 1, 2))) static void shell(const char *format, ...) {
    static char command[4 * PATH_MAX];
    va_list list;
    va_start(list, format);
    vsnprintf(command, sizeof command, format, list);
    va_end(list);
    if (system(command) != 0) TEST_FAIL("failed: %.400s", command);
}

static long (*other_wait)(int);
static int ends[2], received;

static void waits(void *argument) {
    (void)argument;
    CHECK_EQ(other_wait(ends[0]), 1);
    received = 1;
}

static void sends(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(300);
    CHECK_EQ(send(ends[1], "x", 1, 0), 1);
}

int main(void) {
    Dl_info info;
    CHECK(dladdr((void *)dyco_schedule_run, &info) != 0 && realpath(info.dli_fname, library) != NULL);
    CHECK(mkdtemp(folder) != NULL);
    put("other.c", other);
    put("program.c", program);
    shell("gcc -shared -fPIC -o %s/libother.so %s/other.c", folder, folder);
    shell("gcc -Wl,--no-as-needed -o %s/first %s/program.c %s %s/libother.so", folder, folder, library, folder);
    shell("gcc -Wl,--no-as-needed -o %s/last %s/program.c %s/libother.so %s", folder, folder, folder, library);
    shell("LD_LIBRARY_PATH=$(dirname %s) %s/first", library, folder);
    shell("LD_LIBRARY_PATH=$(dirname %s) %s/last", library, folder);
    shell("LD_LIBRARY_PATH=$(dirname %s) LD_PRELOAD=%s/libother.so %s/first", library, folder, folder);

    snprintf(path, sizeof path, "%s/libother.so", folder);
    void *handle = dlopen(path, RTLD_NOW);
    if (handle == NULL) TEST_FAIL("%s", dlerror());
    CHECK((*(void **)&other_wait = dlsym(handle, "other_wait")) != NULL);
    CHECK_EQ(*(int *)dlsym(handle, "other_ok"), 1);
    stream_pair(AF_UNIX, ends);
    spawn(waits, NULL);
    spawn(sends, NULL);
    run_with_ticker();
    CHECK_EQ(received, 1);
    shell("rm -r %s", folder);
    return test_done();
}
