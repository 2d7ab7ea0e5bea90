/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * One stream on a socket, and several coroutines of a thread inside it: one reads while others write, and nothing is lost
 * or mixed up; who closes or reopens it waits until the others are out.
 */
// modes: shared fortify ring
// timeout: 60
#include "net.h"

#include <signal.h>
#include <stdio.h>

#define LINES 2000
#define WRITERS 4

static int ends[2], lines_read, lines_seen[WRITERS];
static FILE *shared;

static void reads_lines(void *argument) {
    char line[200];
    int number;
    (void)argument;
    while (fgets(line, sizeof line, shared)) {
        CHECK_EQ(sscanf(line, "in %d\n", &number), 1);
        CHECK_EQ(number, lines_read);
        lines_read++;
    }
    CHECK(feof(shared) && !ferror(shared));
}

static void writes_lines(void *argument) {
    int who = (int)(intptr_t)argument;
    for (int i = 0; i < LINES; i++) {
        CHECK(fprintf(shared, "out %d %d %0*d\n", who, i, 1 + i % 90, 0) > 0);
        if (i % 5 == who) CHECK_EQ(fflush(shared), 0);
        if (i % 11 == who) dyco_coroutine_sleep(i % 33 == who);
    }
    CHECK_EQ(fflush(shared), 0);
}

/* Sends a few lines at a time, and is slow to take what comes. */
static void *peer(void *argument) {
    static char text[1 << 20];
    int total = (int)(intptr_t)argument, wanted = 0, sent = 0;
    size_t used = 0;
    for (int i = 0; i < LINES; i++) wanted += WRITERS * snprintf(NULL, 0, "out %d %d %0*d\n", 0, i, 1 + i % 90, 0);
    CHECK(wanted < (int)sizeof text);
    while ((int)used < wanted) {
        for (int i = 0; i < 3 && sent < total; i++, sent++) {
            char line[32];
            size_t length = (size_t)sprintf(line, "in %d\n", sent);
            CHECK_EQ(syscall(SYS_write, ends[1], line, length), (long)length);
        }
        ssize_t got = syscall(SYS_read, ends[1], text + used, 900);
        CHECK(got > 0);
        used += (size_t)got;
    }
    for (char *at = text; *at;) {
        int who = -1, number = -1, length = 0;
        CHECK_EQ(sscanf(at, "out %d %d %*[0]%n", &who, &number, &length), 2);
        CHECK(who >= 0 && who < WRITERS && at[length] == '\n');
        CHECK_EQ(number, lines_seen[who]);
        lines_seen[who]++;
        at += length + 1;
    }
    CHECK_EQ(shutdown(ends[1], SHUT_WR), 0);
    return NULL;
}

static void both_ways_at_once(void) {
    pthread_t thread;
    int small = 4096, total = 300;
    stream_pair(AF_UNIX, ends);
    CHECK_EQ(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    shared = fdopen(ends[0], "r+");
    CHECK(shared != NULL);
    CHECK_EQ(pthread_create(&thread, NULL, peer, (void *)(intptr_t)total), 0);
    CHECK(dyco_coroutine_create(reads_lines, NULL) > 0);
    for (int i = 0; i < WRITERS; i++) CHECK(dyco_coroutine_create(writes_lines, (void *)(intptr_t)i) > 0);
    CHECK_EQ(dyco_schedule_run(), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(lines_read, total);
    for (int i = 0; i < WRITERS; i++) CHECK_EQ(lines_seen[i], LINES);
    CHECK_EQ(fclose(shared), 0);
    CHECK_EQ(close(ends[1]), 0);
}

/* A reader that has something to read waits for its turn, having written what was in the buffer, and a writer waits for
 * room, while another one flushes. */
#define LONG_WORD 40000

static void reads_word(void *argument) {
    char word[16];
    CHECK(fgets(word, sizeof word, shared) == word);
    CHECK_STR(word, "word\n");
    ++*(int *)argument;
}

static void writes_word(void *argument) {
    CHECK_EQ(fprintf(shared, "%0*d", (int)(intptr_t)argument, 0), (intptr_t)argument);
    CHECK_EQ(fflush(shared), 0);
}

static void flushed_while_others_wait(void *argument) {
    static char got[1 << 16];
    int small = 4096, has_read = 0;
    size_t used = 0;
    ssize_t n;
    (void)argument;
    stream_pair(AF_UNIX, ends);
    CHECK_EQ(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    shared = fdopen(ends[0], "r+");
    CHECK(shared != NULL);
    CHECK_EQ(setvbuf(shared, NULL, _IOFBF, 1 << 16), 0);
    size_t filled = fill(ends[0]);
    spawn_own(reads_word, &has_read, 65536);
    dyco_coroutine_sleep(10);
    CHECK_EQ(fputs("0", shared), 1);
    CHECK_EQ(syscall(SYS_write, ends[1], "word\n", 5L), 5);
    dyco_coroutine_sleep(10);
    spawn_own(writes_word, (void *)LONG_WORD, 65536);
    dyco_coroutine_sleep(10);
    while (filled > 0) {
        CHECK((n = recv(ends[1], got, filled < sizeof got ? filled : sizeof got, 0)) > 0);
        filled -= (size_t)n;
    }
    dyco_coroutine_sleep(10);
    spawn_own(writes_word, (void *)1, 65536);
    dyco_coroutine_sleep(10);
    while (used < LONG_WORD + 2) {
        CHECK((n = recv(ends[1], got + used, sizeof got - used, 0)) > 0);
        used += (size_t)n;
    }
    CHECK_EQ(used, LONG_WORD + 2);
    CHECK_EQ(strspn(got, "0"), used);
    dyco_coroutine_sleep(10);
    CHECK_EQ(has_read, 1);
    CHECK_EQ(fclose(shared), 0);
    CHECK_EQ(close(ends[1]), 0);
}

static int inside, came_back;

static void waits_to_read(void *argument) {
    char text[16];
    (void)argument;
    inside++;
    errno = 0;
    CHECK(fgets(text, sizeof text, shared) == NULL);
    CHECK_EQ(errno, EBADF);
    came_back++;
}

static void waits_to_write(void *argument) {
    static char block[1 << 20];
    (void)argument;
    inside++;
    CHECK(fwrite(block, 1, sizeof block, shared) < sizeof block);
    came_back++;
}

static void closes(void *argument) {
    dyco_coroutine_sleep(30);
    CHECK_EQ(came_back, 0);
    if (argument) {
        CHECK(freopen("/dev/null", "r", shared) == shared);
        CHECK_EQ(came_back, inside);
        CHECK_EQ(getc(shared), EOF);
    }
    fclose(shared); /* what could not be written is an error */
    CHECK_EQ(came_back, inside);
}

/* Waits to write look again after a tenth of a second: one that has just been woken for that when the stream is closed
 * does not wait then. */
static void holds_up(void *argument) {
    int64_t end = now_ms() + 200;
    (void)argument;
    dyco_coroutine_sleep(10);
    while (now_ms() < end) {}
}

static void closed_while_looked_at(void) {
    inside = came_back = 0;
    stream_pair(AF_UNIX, ends);
    shared = fdopen(ends[0], "w");
    CHECK(shared != NULL);
    CHECK(dyco_coroutine_create(waits_to_write, NULL) > 0);
    CHECK(dyco_coroutine_create(closes, NULL) > 0);
    CHECK(dyco_coroutine_create(holds_up, NULL) > 0);
    CHECK_EQ(dyco_schedule_run(), 0);
    CHECK_EQ(came_back, inside);
    CHECK_EQ(close(ends[1]), 0);
}

static void closed_while_in_use(const char *mode, void (*first)(void *), void (*second)(void *), int reopens) {
    inside = came_back = 0;
    stream_pair(AF_UNIX, ends);
    shared = fdopen(ends[0], mode);
    CHECK(shared != NULL);
    CHECK(dyco_coroutine_create(first, NULL) > 0);
    if (second) CHECK(dyco_coroutine_create(second, NULL) > 0);
    CHECK(dyco_coroutine_create(closes, reopens ? ends : NULL) > 0);
    CHECK_EQ(dyco_schedule_run(), 0);
    CHECK_EQ(came_back, inside);
    CHECK_EQ(close(ends[1]), 0);
}

int main(void) {
    warm_up();
    signal(SIGPIPE, SIG_IGN);
    int fds = count_fds();
    both_ways_at_once();
    spawn_own(flushed_while_others_wait, NULL, 65536);
    run_all();
    for (int reopens = 0; reopens < 2; reopens++) {
        closed_while_in_use("r", waits_to_read, NULL, reopens);
        closed_while_in_use("r+", waits_to_read, NULL, reopens);
        closed_while_in_use("w", waits_to_write, NULL, reopens);
        closed_while_in_use("w", waits_to_write, waits_to_write, reopens);
        closed_while_in_use("r+", waits_to_read, waits_to_write, reopens);
    }
    closed_while_looked_at();
    CHECK_EQ(count_fds(), fds);
    return test_done();
}
