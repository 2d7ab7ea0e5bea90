/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * system, popen and pclose in a coroutine are libc's: statuses, errors, what the command inherits, and what is ignored
 * while it runs.
 */
#include "same.h"

#include <sys/stat.h>

static char folder[] = "/tmp/dyco-command-XXXXXX";

static int run(const char *command) {
    errno = 77;
    int status = system(command);
    say("system(%s) = %#x, errno %d\n", command, status, errno == 77 ? 0 : errno);
    return status;
}

static void statuses(void) {
    static const char *commands[] = {"exit 0", "exit 7", "true", "false", "no-such-command-here 2>/dev/null", "kill -9 $$",
                                     "kill -INT $$", "kill -QUIT $$", "kill -TERM $$", "", " ", "#", "exit 2 3",
                                     "echo a b >/dev/null", "sleep 0.2; exit 3", "exit 300"};
    for (size_t i = 0; i < COUNT(commands); i++) run(commands[i]);
    say("system(NULL) = %d\n", system(NULL));
}

/* The mask of blocked signals and what is ignored are the command's as with libc. */
static void inherits(void) {
    char line[128];
    sigset_t set;
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    for (int round = 0; round < 3; round++) {
        sigemptyset(&set);
        sigaddset(&set, SIGUSR2);
        if (round == 1) CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
        if (round == 2) CHECK_EQ(sigaction(SIGQUIT, &ignore, &before), 0);
        run("grep -E 'Sig(Blk|Ign)' /proc/self/status >signals");
        FILE *file = fopen("signals", "r");
        CHECK(file != NULL);
        while (fgets(line, sizeof line, file)) say("%d %s", round, line);
        fclose(file);
        file = popen("grep -E 'Sig(Blk|Ign)' /proc/self/status", "r");
        CHECK(file != NULL);
        while (fgets(line, sizeof line, file)) say("popen %d %s", round, line);
        say("%d\n", pclose(file));
        if (round == 1) CHECK_EQ(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
        if (round == 2) CHECK_EQ(sigaction(SIGQUIT, &before, NULL), 0);
    }
}

static void never(int signal) {
    TEST_FAIL("signal %d was handled", signal);
}

static void interrupt(void *argument) {
    (void)argument;
    kill(getpid(), SIGINT);
    kill(getpid(), SIGQUIT);
}

/* SIGINT and SIGQUIT are nothing to who waits; the handlers are back afterwards. */
static void ignores(void) {
    struct sigaction handler = {.sa_handler = never}, before[2], now;
    CHECK_EQ(sigaction(SIGINT, &handler, &before[0]), 0);
    CHECK_EQ(sigaction(SIGQUIT, &handler, &before[1]), 0);
    after(100, interrupt, NULL);
    run("sleep 0.3");
    CHECK_EQ(sigaction(SIGINT, &before[0], &now), 0);
    CHECK(now.sa_handler == never);
    CHECK_EQ(sigaction(SIGQUIT, &before[1], &now), 0);
    CHECK(now.sa_handler == never);
}

/* Without children that can be waited for. */
static void no_children(void) {
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    CHECK_EQ(sigaction(SIGCHLD, &ignore, &before), 0);
    run("exit 3");
    run("sleep 0.1");
    FILE *file = popen("exit 3", "r");
    CHECK(file != NULL);
    TRY(pclose(file));
    CHECK_EQ(sigaction(SIGCHLD, &before, NULL), 0);
}

static void piped(void) {
    char line[256];
    static const char *modes[] = {"r", "re", "er"};
    for (size_t i = 0; i < COUNT(modes); i++) {
        FILE *file = popen("echo one; echo two; exit 5", modes[i]);
        CHECK(file != NULL);
        say("%s cloexec %d\n", modes[i], fcntl(fileno(file), F_GETFD));
        while (fgets(line, sizeof line, file)) say("read %s", line);
        TRY(pclose(file));
    }
    FILE *file = popen("cat >written; exit 6", "w");
    CHECK(file != NULL);
    say("w cloexec %d\n", fcntl(fileno(file), F_GETFD));
    fprintf(file, "some text\n");
    TRY(pclose(file));
    CHECK((file = fopen("written", "r")) != NULL);
    while (fgets(line, sizeof line, file)) say("wrote %s", line);
    fclose(file);
    static const char *bad[] = {"", "x", "rw", "rx", "+", "r+", "wr"};
    for (size_t i = 0; i < COUNT(bad); i++) say("%s: %lld\n", bad[i], TRY(popen("true", bad[i]) == NULL));
    /* What the stream holds back is more than the pipe takes, and the reader is slow; or it is gone. */
    CHECK((file = popen("sleep 0.2; wc -c >/dev/null", "w")) != NULL);
    char *much = calloc(2, 200000);
    CHECK(much != NULL);
    CHECK_EQ(setvbuf(file, much, _IOFBF, 200000), 0);
    say("%zu\n", fwrite(much + 200000, 1, 150000, file));
    TRY(pclose(file));
    free(much);
    signal(SIGPIPE, SIG_IGN);
    CHECK((file = popen("exec <&-; exit 0", "w")) != NULL);
    struct pollfd reader = {.fd = fileno(file)};
    CHECK_EQ(syscall(SYS_ppoll, &reader, 1, NULL, NULL, 8), 1); /* POLLERR: it is gone */
    fprintf(file, "to nobody\n");
    TRY(pclose(file));
    signal(SIGPIPE, SIG_DFL);
}

/* The end of an earlier stream is not left to a later command, which would keep the first from its end of file. */
static void several(void) {
    FILE *first = popen("cat >/dev/null; exit 1", "w"), *second = popen("cat >/dev/null; exit 2", "w");
    CHECK(first && second);
    TRY(pclose(first));
    TRY(pclose(second));
    first = popen("echo first", "r");
    second = popen("sleep 0.1; exit 4", "r");
    CHECK(first && second);
    TRY(pclose(second));
    TRY(pclose(first));
}

int main(void) {
    CHECK(mkdtemp(folder) != NULL);
    CHECK_EQ(chdir(folder), 0);
    same_start();
    SAME(statuses);
    SAME(inherits);
    SAME(ignores);
    SAME(no_children);
    SAME(piped);
    SAME(several);
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    CHECK_EQ(system(command), 0);
    return test_done();
}
