// modes: shared fortify ring
// timeout: 60
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * stdio on sockets, pipes and terminals: each call returns in a coroutine what it returns in a plain thread, and only the
 * coroutine waits.
 */
#include "same.h"

#include <dlfcn.h>
#include <poll.h>

static int family, ends[2], ours_outside;
static FILE *(*libc_fdopen)(int, const char *);

/* In a plain thread: libc's own stream, unless ours is to be tried there, too. */
static FILE *stream_on(int fd, const char *mode) {
    return !in_a_coroutine() && !ours_outside ? libc_fdopen(fd, mode) : fdopen(fd, mode);
}

static void speak(void *argument) {
    size_t length = strlen(argument);
    CHECK_EQ(syscall(SYS_write, ends[1], argument, length), (long)length);
}

static void hang_up(void *argument) {
    (void)argument;
    CHECK_EQ(syscall(SYS_close, ends[1]), 0);
}

static size_t heard;

static void listen_to_all(void *argument) {
    static __thread char sink[65536];
    size_t want = (size_t)(intptr_t)argument;
    for (heard = 0; heard < want;) {
        ssize_t n = syscall(SYS_read, ends[1], sink, sizeof sink);
        if (n <= 0) break;
        heard += (size_t)n;
    }
}

static void open_ends(void) {
    if (family == AF_UNSPEC) {
        CHECK_EQ(pipe(ends), 0);
    } else {
        stream_pair(family, ends);
        set_buffer(ends[0], SO_SNDBUF, 50000);
        set_buffer(ends[1], SO_RCVBUF, 50000);
    }
}

/* AddressSanitizer wraps streams, and loses its wrapper in freopen. */
#ifdef __SANITIZE_ADDRESS__
#define HAS_FREOPEN 0
#else
#define HAS_FREOPEN 1
#endif

#define STATE(file) say("%d: eof %d error %d\n", __LINE__, feof(file) != 0, ferror(file) != 0)

static void reads(void) {
    char text[64] = "", *line = NULL;
    size_t room = 0;
    int a = 0, b = 0;
    open_ends();
    FILE *file = stream_on(ends[0], "r");
    CHECK(file != NULL);
    say("%d\n", fileno(file) == ends[0]);
    after(100, speak, "one\ntwo\nthr");
    COMES(100, TRY(fgets(text, sizeof text, file) == text));
    say("%s", text);
    TRY(getc(file));
    TRY(ungetc('t', file));
    TRY(getline(&line, &room, file));
    say("%s", line);
    after(100, speak, "ee\n12 34 five");
    COMES(100, TRY(getline(&line, &room, file)));
    say("%s", line);
    TRY(fscanf(file, "%d %d", &a, &b));
    say("%d %d\n", a, b);
    STATE(file);
    after(100, hang_up, NULL);
    COMES(100, TRY(fread(text, 1, sizeof text, file)));
    say("%.5s\n", text);
    STATE(file);
    TRY(getc(file));
    clearerr(file);
    STATE(file);
    TRY(getc(file));
    STATE(file);
    TRY(ftell(file));
    TRY(fseek(file, 0, SEEK_SET));
    TRY(fputc('x', file));
    STATE(file);
    free(line);
    TRY(fclose(file));
    TRY(fcntl(ends[0], F_GETFD));
}

static void writes(void) {
    static char block[1 << 20];
    char text[64] = "";
    open_ends();
    if (family == AF_UNSPEC) {
        int swap = ends[0];
        ends[0] = ends[1];
        ends[1] = swap;
    }
    FILE *file = stream_on(ends[0], "w");
    CHECK(file != NULL);
    TRY(fprintf(file, "%s %d\n", "hello", 42));
    struct pollfd entry = {ends[1], POLLIN, 0};
    TRY(poll(&entry, 1, 20));
    TRY(fflush(file));
    TRY(poll(&entry, 1, 20));
    TRY(read(ends[1], text, sizeof text));
    after(100, listen_to_all, (void *)(intptr_t)(sizeof block + 3));
    TRY(fputs("abc", file) >= 0);
    COMES(100, TRY(fwrite(block, 1, sizeof block, file)));
    TRY(fflush(file));
    later_is_over();
    say("%zu\n", heard);
    /* Without a buffer, and by lines. */
    TRY(setvbuf(file, NULL, _IONBF, 0));
    TRY(fputc('x', file));
    TRY(read(ends[1], text, sizeof text));
    TRY(setvbuf(file, NULL, _IOLBF, 100));
    TRY(fputs("a line\nmore", file) >= 0);
    entry.fd = ends[1];
    TRY(poll(&entry, 1, 20));
    TRY(fputs("\n", file) >= 0);
    ssize_t all = 0;
    while (poll(&entry, 1, 50) > 0) all += read(ends[1], text, sizeof text);
    say("%zd\n", all);
    TRY(getc(file));
    STATE(file);
    clearerr(file);
    hang_up(NULL);
    usleep(20000);
    TRY(fputs("gone\n", file) < 0 || fputs("gone\n", file) < 0 || fflush(file) < 0);
    STATE(file);
    TRY(fclose(file) <= 0);
}

static void both_ways(void) {
    char text[64] = "";
    if (family == AF_UNSPEC) return say("nothing\n");
    open_ends();
    FILE *file = stream_on(ends[0], "r+");
    CHECK(file != NULL);
    TRY(fputs("question\n", file) >= 0);
    TRY(fflush(file));
    TRY(read(ends[1], text, sizeof text));
    after(60, speak, "answer\n");
    COMES(60, TRY(fgets(text, sizeof text, file) == text));
    say("%s", text);
    TRY(fputs("thanks\n", file) >= 0);
    TRY(fflush(file));
    memset(text, 0, sizeof text);
    TRY(read(ends[1], text, sizeof text));
    say("%s", text);
    set_timeout(ends[0], SO_RCVTIMEO, 100);
    TAKES(100, TRY(fgets(text, sizeof text, file) == NULL));
    STATE(file);
    clearerr(file);
    set_nonblock(ends[0], 1);
    TRY(fgets(text, sizeof text, file) == NULL);
    STATE(file);
    TRY(fclose(file));
    char b;
    TRY(read(ends[1], &b, 1));
    CHECK_EQ(close(ends[1]), 0);
}

static void modes(void) {
    static const char *const wrong[] = {"", "x", "+r", "r+", "rw", "rb+", "wb", "a", "w+b", "abc+"};
    CHECK_EQ(pipe(ends), 0);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        for (int end = 0; end < 2; end++) {
            int copy = dup(ends[end]);
            errno = 0;
            FILE *file = stream_on(copy, wrong[i]);
            say("%s %d: %d %d %x\n", wrong[i], end, file != NULL, file ? 0 : errno, flags_of(copy));
            if (file) CHECK_EQ(fclose(file), 0);
            else CHECK_EQ(close(copy), 0);
        }
    }
    TRY(stream_on(-1, "r") != NULL);
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(ends[1]), 0);
    /* A file is libc's own affair. */
    FILE *other = tmpfile(), *file = stream_on(dup(fileno(other)), "w+");
    CHECK(file != NULL);
    TRY(fputs("text", file) >= 0);
    TRY(fseek(file, 1, SEEK_SET));
    TRY(getc(file));
    TRY(ftell(file));
    CHECK_EQ(fclose(file), 0);
    CHECK_EQ(fclose(other), 0);
}

static void by_other_names(void) {
    char text[16] = "";
    stream_pair(AF_UNIX, ends);
    FILE *file = stream_on(ends[0], "r+");
    CHECK(file != NULL);
    TRY(fputs("lost?", file) >= 0);
    FILE *same = freopen("/dev/null", "r", file);
    say("%d %d\n", same == file, same != NULL && fileno(same) == ends[0]);
    TRY(read(ends[1], text, sizeof text));
    TRY(read(ends[1], text, sizeof text));
    TRY(getc(file));
    STATE(file);
    TRY(fclose(file));
    CHECK_EQ(close(ends[1]), 0);
    stream_pair(AF_UNIX, ends);
    file = stream_on(ends[0], "r+");
    TRY(freopen("/nonexistent/file", "r", file) != NULL);
    TRY(read(ends[1], text, sizeof text));
    CHECK_EQ(close(ends[1]), 0);
    file = fopen("/dev/zero", "r");
    TRY(fread(text, 1, sizeof text, file));
    TRY(freopen64("/dev/null", "r", file) == file);
    TRY(fclose(file));
    file = fopen("/dev/full", "w");
    TRY(fputs("x", file) >= 0);
    TRY(fclose(file));
}

/* A terminal: by lines, both ways. */
static void terminal(void) {
    char text[64] = "";
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    CHECK(slave >= 0);
    ends[1] = master;
    FILE *file = stream_on(slave, "r+");
    CHECK(file != NULL);
    after(100, speak, "typed\n");
    COMES(100, TRY(fgets(text, sizeof text, file) == text));
    say("%s", text);
    struct pollfd entry = {master, POLLIN, 0};
    while (poll(&entry, 1, 100) > 0) CHECK(read(master, text, sizeof text) > 0);
    TRY(fputs("some", file) >= 0);
    TRY(poll(&entry, 1, 50));
    TRY(fputs("thing\n", file) >= 0);
    TRY(poll(&entry, 1, 50));
    memset(text, 0, sizeof text);
    /* The terminal passes a line on in pieces, if the machine is busy. */
    for (size_t length = 0; strchr(text, '\n') == NULL;) {
        ssize_t n = read(master, text + length, sizeof text - 1 - length);
        CHECK(n > 0);
        length += (size_t)n;
    }
    say("%s", text);
    TRY(fclose(file));
    CHECK_EQ(close(master), 0);
}

/* Made outside, used inside and the other way round. */
static FILE *made;

static void makes(void *argument) {
    (void)argument;
    made = fdopen(ends[0], "r");
    CHECK(made != NULL);
}

static void uses(void *argument) {
    char text[16];
    (void)argument;
    CHECK(fgets(text, sizeof text, made) == text);
}

/* Many coroutines print to one stream, whose reader is slow: each line arrives once and whole. */
#define WRITERS 20
#define LINES 200

static FILE *shared;
static int seen[WRITERS], writers_done;

static void prints(void *argument) {
    int who = (int)(intptr_t)argument;
    for (int i = 0; i < LINES; i++) {
        CHECK(fprintf(shared, "%d:%d:%0*d\n", who, i, 20 + i % 50, 0) > 0);
        if (i % 7 == who % 7) CHECK_EQ(fflush(shared), 0);
        if (i % 50 == 49) dyco_coroutine_sleep(1);
    }
    if (++writers_done == WRITERS) CHECK_EQ(fclose(shared), 0);
}

static void *reads_slowly(void *argument) {
    static char text[1 << 20];
    size_t length = 0;
    ssize_t n;
    (void)argument;
    while ((n = syscall(SYS_read, ends[0], text + length, 3000)) > 0) {
        length += (size_t)n;
        usleep(500);
    }
    text[length] = 0;
    for (char *at = text; *at;) {
        int who, line, got = 0;
        CHECK_EQ(sscanf(at, "%d:%d:%*[0]%n", &who, &line, &got), 2);
        CHECK(who >= 0 && who < WRITERS && at[got] == '\n');
        CHECK_EQ(line, seen[who]);
        seen[who]++;
        at += got + 1;
    }
    return NULL;
}

static void waits_in_vain(void *argument) {
    char text[16];
    FILE *file = argument;
    char *line = fgets(text, sizeof text, file);
    TEST_FAIL("came back with %p", (void *)line);
}

static void ends_them(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(50);
    dyco_schedcall_abort();
}

static void waits_read(void *argument) {
    char b;
    CHECK_ERRNO(read(*(int *)argument, &b, 1), EBADF);
}

static void closes_stream(void *argument) {
    dyco_coroutine_sleep(50);
    CHECK_EQ(fclose(argument), 0);
}

static void rounds(void *argument) {
    char text[16];
    (void)argument;
    for (int i = 0; i < 2000; i++) {
        stream_pair(AF_UNIX, ends);
        FILE *file = fdopen(ends[0], "r+");
        CHECK(file != NULL && fputs("x\n", file) >= 0 && fflush(file) == 0);
        CHECK_EQ(read(ends[1], text, sizeof text), 2);
        if (HAS_FREOPEN && i % 2) CHECK(freopen("/dev/null", "r", file) == file);
        CHECK_EQ(fclose(file), 0);
        CHECK_EQ(close(ends[1]), 0);
    }
}

static void among_coroutines(void) {
    pthread_t thread;
    for (int round = 0; round < 2; round++) {
        stream_pair(AF_UNIX, ends);
        if (round) in_coroutine(makes, NULL);
        else makes(NULL);
        after(50, speak, "hello\n");
        if (round) uses(NULL);
        else in_coroutine(uses, NULL);
        join_later();
        CHECK_EQ(fclose(made), 0);
        CHECK_EQ(close(ends[1]), 0);
    }
    CHECK_EQ(pipe(ends), 0);
    shared = fdopen(ends[1], "w");
    CHECK(shared != NULL);
    CHECK_EQ(pthread_create(&thread, NULL, reads_slowly, NULL), 0);
    for (intptr_t i = 0; i < WRITERS; i++) spawn(prints, (void *)i);
    run_with_ticker();
    CHECK_EQ(pthread_join(thread, NULL), 0);
    for (int i = 0; i < WRITERS; i++) CHECK_EQ(seen[i], LINES);
    CHECK_EQ(close(ends[0]), 0);
    /* A coroutine that is ended inside leaves a stream that can be closed. */
    stream_pair(AF_UNIX, ends);
    made = fdopen(ends[0], "r");
    spawn(waits_in_vain, made);
    spawn(ends_them, NULL);
    CHECK_EQ(dyco_schedule_run(), -1);
    CHECK_EQ(fclose(made), 0);
    CHECK_EQ(close(ends[1]), 0);
    /* fclose wakes those who wait for the number, also on a stream of libc's own. */
    stream_pair(AF_UNIX, ends);
    made = fdopen(ends[0], "r");
    spawn(waits_read, &ends[0]);
    spawn(closes_stream, made);
    run_all();
    CHECK_EQ(close(ends[1]), 0);
    int fds = fds_left();
    in_coroutine(rounds, NULL);
    long memory = rss_kb();
    in_coroutine(rounds, NULL);
#ifdef __SANITIZE_ADDRESS__ /* which keeps what was freed */
    (void)memory;
#else
    CHECK_BETWEEN(rss_kb() - memory, -100000, 100);
#endif
    CHECK_EQ(fds_left(), fds);
}

int main(void) {
    static const int families[] = {AF_UNIX, AF_INET, AF_UNSPEC};
    same_start();
    signal(SIGPIPE, SIG_IGN);
    libc_fdopen = (FILE * (*)(int, const char *))dlsym(dlopen("libc.so.6", RTLD_NOW), "fdopen");
    CHECK(libc_fdopen != NULL && (libc_fdopen == fdopen) == PLAIN);
    for (ours_outside = 0; ours_outside < 2; ours_outside++) {
        for (size_t i = 0; i < COUNT(families); i++) {
            family = families[i];
            SAME(reads);
            SAME(writes);
            SAME(both_ways);
        }
        SAME(modes);
        if (HAS_FREOPEN) SAME(by_other_names);
        SAME(terminal);
    }
    if (!PLAIN) among_coroutines();
    return test_done();
}
