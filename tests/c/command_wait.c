/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Commands hold up their coroutine only. Nobody who waits for any child takes theirs, and they take nobody's; one that is
 * ended from outside leaves nothing behind.
 *
 * An archive leaves these names to libc.
 */
// modes: shared fortify ring
// timeout: 60
#include "net.h"
#include "heap.h"


static int finished;
static long slack;

static pid_t child_after(int ms, int code) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
        syscall(SYS_nanosleep, &time, NULL);
        _exit(code);
    }
    return child;
}

static void commands(void *argument) {
    int number = (int)(intptr_t)argument;
    char command[64];
    snprintf(command, sizeof command, "sleep 0.3; exit %d", number);
    CHECK_EQ(system(command), number << 8);
    finished++;
}

static void pipes(void *argument) {
    int number = (int)(intptr_t)argument;
    char command[64];
    snprintf(command, sizeof command, "sleep 0.3; exit %d", number);
    FILE *file = popen(command, number % 2 ? "w" : "r");
    CHECK(file != NULL);
    CHECK_EQ(pclose(file), number << 8);
    finished++;
}

/* What the command says, and what it is told, is waited for as well. */
static void talks(void *argument) {
    int number = (int)(intptr_t)argument;
    char command[64], line[16];
    snprintf(command, sizeof command, "sleep 0.3; echo %d", number);
    FILE *file = popen(command, "r");
    CHECK(file != NULL);
    CHECK(fgets(line, sizeof line, file) != NULL);
    CHECK_EQ(atoi(line), number);
    CHECK(fgets(line, sizeof line, file) == NULL && feof(file));
    CHECK_EQ(pclose(file), 0);
    file = popen("sleep 0.2; wc -c >/dev/null", "w");
    CHECK(file != NULL);
    for (int i = 0; i < 3 * 65536 / 16; i++) CHECK_EQ(fprintf(file, "%015d\n", i), 16);
    CHECK_EQ(pclose(file), 0);
    finished++;
}

static void own_child(void *argument) {
    int number = (int)(intptr_t)argument, status;
    pid_t child = child_after(100, number);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, number << 8);
    finished++;
}

/* Takes children that nobody else waits for, and only these. */
static void any_child(void *argument) {
    pid_t mine[5];
    int status;
    (void)argument;
    for (int i = 0; i < 5; i++) mine[i] = child_after(50 + 50 * i, 70 + i);
    for (int i = 0; i < 5; i++) {
        pid_t child = waitpid(-1, &status, 0);
        int found = 0;
        for (int m = 0; m < 5; m++)
            if (mine[m] == child) {
                CHECK_EQ(status, (70 + m) << 8);
                found = 1;
            }
        CHECK_EQ(found, 1);
    }
    finished++;
}

static void looks_for_any(void *argument) {
    int64_t until = now_ms() + (intptr_t)argument;
    while (now_ms() < until) {
        pid_t child = waitpid(-1, NULL, WNOHANG);
        CHECK(child <= 0);
        dyco_coroutine_sleep(1);
    }
    finished++;
}

static volatile sig_atomic_t taken, handled;

static void takes_any(int signal) {
    int error = errno;
    (void)signal;
    handled++;
    while (waitpid(-1, NULL, WNOHANG) > 0) taken++;
    errno = error;
}

static void *waits_in_thread(void *argument) {
    while (!__atomic_load_n((int *)argument, __ATOMIC_SEQ_CST)) {
        if (waitpid(-1, NULL, WNOHANG) > 0) taken++;
        struct timespec pause = {0, 500000};
        syscall(SYS_nanosleep, &pause, NULL);
    }
    return NULL;
}

static void together(void) {
    finished = 0;
    int64_t began = now_ms();
    for (int i = 1; i <= 8; i++) {
        spawn(commands, (void *)(intptr_t)i);
        spawn(pipes, (void *)(intptr_t)(i + 20));
        spawn(own_child, (void *)(intptr_t)(i + 40));
        spawn(talks, (void *)(intptr_t)(i + 60));
    }
    spawn(any_child, NULL);
    run_with_ticker();
    CHECK_EQ(finished, 33);
    CHECK_TOOK(now_ms() - began, 300, 4000);
}

static void against_others(void) {
    pthread_t thread;
    static int stop;
    finished = 0;
    CHECK(signal(SIGCHLD, takes_any) != SIG_ERR);
    CHECK_EQ(pthread_create(&thread, NULL, waits_in_thread, &stop), 0);
    for (int i = 1; i <= 8; i++) {
        spawn(commands, (void *)(intptr_t)i);
        spawn(pipes, (void *)(intptr_t)(i + 20));
    }
    spawn(looks_for_any, (void *)500);
    run_with_ticker();
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(signal(SIGCHLD, SIG_DFL) != SIG_ERR);
    CHECK_EQ(finished, 17);
    CHECK_EQ(taken, 0);
    CHECK(handled > 0);
}

/* --- streams that change sides */

static FILE *stream;

static void opens(void *argument) {
    CHECK((stream = popen("sleep 0.1; exit 9", argument)) != NULL);
}

static void closes(void *argument) {
    (void)argument;
    CHECK_EQ(pclose(stream), 9 << 8);
    finished++;
}

static void sides(void) {
    in_coroutine(opens, "r");
    CHECK_EQ(pclose(stream), 9 << 8);
    in_coroutine(opens, "w");
    for (int64_t until = now_ms() + 300; now_ms() < until;) CHECK(waitpid(-1, NULL, WNOHANG) <= 0); /* pclose's alone */
    CHECK_EQ(pclose(stream), 9 << 8);
    in_coroutine(opens, "r");
    in_coroutine(looks_for_any, (void *)300);
    in_coroutine(closes, NULL);
    opens("w");
    in_coroutine(closes, NULL);
    opens("r");
    in_coroutine(closes, NULL);
}

/* --- ended from outside */

static void handler(int signal) {
    (void)signal;
}

static void lasts(void *argument) {
    CHECK_EQ(system(argument), 0);
    TEST_FAIL("came back");
}

static void lasts_piped(void *argument) {
    pclose(popen(argument, "r"));
    TEST_FAIL("came back");
}

static void aborts(void *argument) {
    struct sigaction now;
    (void)argument;
    dyco_coroutine_sleep(50);
    CHECK_EQ(sigaction(SIGINT, NULL, &now), 0);
    CHECK(now.sa_handler == SIG_IGN);
    dyco_schedcall_abort();
}

static void ended(void) {
    struct sigaction now;
    size_t before = 0;
    int fds = count_fds(), ends[2];
    char command[64], quiet[80];
    CHECK(signal(SIGINT, handler) != SIG_ERR);
    for (int round = 0; round < 6; round++) {
        /* They last until we close the other end. */
        CHECK_EQ(pipe(ends), 0);
        CHECK_EQ(fcntl(ends[1], F_SETFD, FD_CLOEXEC), 0);
        snprintf(command, sizeof command, "read x </proc/self/fd/%d || :", ends[0]);
        snprintf(quiet, sizeof quiet, "exec >&-; %s", command);
        for (int i = 0; i < 4; i++) {
            spawn(lasts, command);
            spawn(lasts_piped, quiet);
        }
        spawn(aborts, NULL);
        CHECK_EQ(dyco_schedule_run(), -1);
        CHECK_EQ(sigaction(SIGINT, NULL, &now), 0);
        CHECK(now.sa_handler == handler);
        CHECK_EQ(close(ends[1]), 0);
        CHECK_EQ(close(ends[0]), 0);
        /* They are the program's now. */
        int status;
        for (int i = 0; i < 8; i++) {
            CHECK(waitpid(-1, &status, 0) > 0);
            CHECK_EQ(status, 0);
        }
        CHECK_ERRNO(waitpid(-1, &status, 0), ECHILD);
        if (round == 1) before = heap();
    }
    CHECK_BETWEEN((long)(heap() - before), LONG_MIN, slack + 1000);
    CHECK_EQ(count_fds(), fds);
}

static void overlapping(void *argument) {
    dyco_coroutine_sleep((uint32_t)(intptr_t)argument);
    CHECK_EQ(system("sleep 0.3"), 0);
    finished++;
}

static void checks_ignored(void *argument) {
    struct sigaction now;
    (void)argument;
    for (dyco_coroutine_sleep(10); finished < 2; dyco_coroutine_sleep(10)) {
        CHECK_EQ(sigaction(SIGINT, NULL, &now), 0);
        CHECK(now.sa_handler == SIG_IGN);
    }
}

/* The last of several makes the signals what they were before the first. */
static void nested(void) {
    struct sigaction now;
    finished = 0;
    spawn(overlapping, (void *)0);
    spawn(overlapping, (void *)60);
    spawn(checks_ignored, NULL);
    run_with_ticker();
    CHECK_EQ(sigaction(SIGINT, NULL, &now), 0);
    CHECK(now.sa_handler == handler);
}

/* libc's own, in a plain thread, ignores and puts back, too: however the two overlap, each command is interrupted as
 * ever, who waits is not, and in the end all is as before. */
static int thread_waits;

static void *calls_libc(void *argument) {
    const int *times = argument;
    __atomic_store_n(&thread_waits, 1, __ATOMIC_SEQ_CST);
    if (times[1] < 0) {
        CHECK_EQ(system("sleep 10"), 0);
        TEST_FAIL("was not cancelled");
    }
    char command[64];
    snprintf(command, sizeof command, "sleep 0.%d; kill -INT $$", times[1]);
    CHECK_EQ(system(command), SIGINT);
    __atomic_store_n(&thread_waits, 0, __ATOMIC_SEQ_CST);
    return NULL;
}

static void overlaps_libc(void *argument) {
    const int *times = argument;
    char command[64];
    struct sigaction now;
    dyco_coroutine_sleep((uint32_t)times[2] * 100);
    snprintf(command, sizeof command, "sleep 0.%d; kill -INT $$", times[3]);
    CHECK_EQ(system(command), SIGINT);
    CHECK_EQ(sigaction(SIGINT, NULL, &now), 0);
    CHECK(now.sa_handler == (__atomic_load_n(&thread_waits, __ATOMIC_SEQ_CST) ? SIG_IGN : handler));
    finished++;
}

static void starts_libc(void *argument) {
    const int *times = argument;
    pthread_t thread;
    dyco_coroutine_sleep((uint32_t)times[0] * 100);
    CHECK_EQ(pthread_create(&thread, NULL, calls_libc, argument), 0);
    if (times[1] < 0) {
        dyco_coroutine_sleep(200);
        CHECK_EQ(pthread_cancel(thread), 0);
        __atomic_store_n(&thread_waits, 0, __ATOMIC_SEQ_CST);
    }
    /* While one of them lasts. */
    dyco_coroutine_sleep(70);
    while (finished == 0) {
        struct sigaction now;
        CHECK_EQ(sigaction(SIGINT, NULL, &now), 0);
        CHECK(finished > 0 || now.sa_handler == SIG_IGN);
        dyco_coroutine_sleep(5);
    }
    while (__atomic_load_n(&thread_waits, __ATOMIC_SEQ_CST)) dyco_coroutine_sleep(5);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void beside_libc(void) {
    /* libc's begins and lasts, ours begins and lasts, in tenths of seconds. */
    static int orders[][4] = {{0, 4, 1, 1}, {0, 2, 1, 4}, {1, 4, 0, 3}, {1, 1, 0, 5}, {0, -1, 1, 4}, {1, -1, 0, 5}, {0, -1, 1, 0}};
    for (size_t i = 0; i < COUNT(orders); i++) {
        struct sigaction now;
#ifdef __SANITIZE_ADDRESS__ /* which takes the frames of a thread that was cancelled for live ones */
        if (orders[i][1] < 0) continue;
#endif
        finished = 0;
        spawn(overlaps_libc, orders[i]);
        spawn(starts_libc, orders[i]);
        run_with_ticker();
        CHECK_EQ(finished, 1);
        CHECK_EQ(sigaction(SIGINT, NULL, &now), 0);
        CHECK(now.sa_handler == handler);
    }
}

#ifndef __aarch64__
/* A forked child's system is its own, and its parent's commands are not its children. */
static void forks(void *argument) {
    int status;
    (void)argument;
    dyco_coroutine_sleep(50);
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        CHECK_EQ(system("exit 4"), 4 << 8);
        CHECK_ERRNO(pclose(stream), ECHILD);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    finished++;
}
#endif

int main(int argc, char **argv) {
    (void)argc;
    slack = (long)heap_start(argv);
    warm_up();
    together();
    against_others();
    sides();
    ended();
    warm_up();
    nested();
    beside_libc();
#ifndef __aarch64__
    finished = 0;
    in_coroutine(opens, "r");
    spawn(commands, (void *)1);
    in_coroutine(forks, NULL);
    CHECK_EQ(finished, 2);
    CHECK_EQ(pclose(stream), 9 << 8);
#endif
    return test_done();
}
