// timeout: 120
// arch: x86_64
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Not under emulation: qemu-user knows only some of the terminal's ioctls.
 *
 * A pseudo terminal from both sides: lines, single characters, timeouts, the end of input, output that is stopped, a
 * hang-up. The same in a coroutine as in a plain thread.
 */
#include "same.h"

#include <termios.h>

static int ends[2]; /* the terminal, and the side of the emulator */

static void terminal(int is_raw) {
    struct termios mode;
    char *name;
    ends[1] = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(ends[1] >= 0 && grantpt(ends[1]) == 0 && unlockpt(ends[1]) == 0 && (name = ptsname(ends[1])) != NULL);
    CHECK((ends[0] = open(name, O_RDWR | O_NOCTTY)) >= 0);
    CHECK_EQ(tcgetattr(ends[0], &mode), 0);
    if (is_raw) cfmakeraw(&mode);
    else mode.c_lflag &= ~(tcflag_t)ECHO;
    CHECK_EQ(tcsetattr(ends[0], TCSANOW, &mode), 0);
}

static void set_counts(int least, int tenths) {
    struct termios mode;
    CHECK_EQ(tcgetattr(ends[0], &mode), 0);
    mode.c_cc[VMIN] = (cc_t)least;
    mode.c_cc[VTIME] = (cc_t)tenths;
    CHECK_EQ(tcsetattr(ends[0], TCSANOW, &mode), 0);
}

static void type(void *argument) {
    const char *text = argument;
    CHECK_EQ(write(ends[1], text, strlen(text)), (ssize_t)strlen(text));
}

/* Not in the frame of a coroutine that waits. */
static char *line[] = {"half a li", "ne\n"}, *four[] = {"ab", "cd"}, *half[] = {"half", "\n"};

/* The halves are apart in one thread: of two, either may come first. */
static void type_halves(void *argument) {
    char **halves = argument;
    type(halves[0]);
    usleep(60000);
    type(halves[1]);
}

static void show(ssize_t n, const char *text) {
    say("  ");
    for (ssize_t i = 0; i < n; i++) say(text[i] >= ' ' ? "%c" : "\\%o", text[i]);
    say("\n");
}

#define READ(fd, size) \
    do { \
        char read_text[256]; \
        show(TRY(read(fd, read_text, size)), read_text); \
    } while (0)

/* A line comes as a whole, once it is ended. */
static void lines(void) {
    char b[16], c[16];
    struct iovec pieces[2] = {{b, 2}, {c, sizeof c}};
    int waiting = -1;
    terminal(0);
    after(30, type_halves, line);
    COMES(90, READ(ends[0], 100));
    after(30, type, "mistakx\177e\n");
    READ(ends[0], 100);
    after(30, type, "one\ntwo\n");
    READ(ends[0], 100);
    READ(ends[0], 100);
    after(30, type, "longer than asked for\n");
    READ(ends[0], 6);
    TRY(ioctl(ends[0], FIONREAD, &waiting));
    say("%d\n", waiting);
    READ(ends[0], 0);
    READ(ends[0], 100);
    after(30, type, "vector\n");
    ssize_t n = TRY(readv(ends[0], pieces, 2));
    show(2, b);
    show(n - 2, c);
    /* The end of input, once after half a line and once alone: what follows is read all the same. */
    after(30, type, "half\004");
    READ(ends[0], 100);
    after(30, type, "\004");
    READ(ends[0], 100);
    after(30, type, "again\n");
    READ(ends[0], 100);
    set_nonblock(ends[0], 1);
    READ(ends[0], 100);
    type("no end");
    usleep(20000);
    READ(ends[0], 100);
    type("\n");
    usleep(20000);
    READ(ends[0], 100);
    TRY(close(ends[0]));
    TRY(close(ends[1]));
}

/* VMIN and VTIME; a limit between characters (both) holds up the thread where there is no io_uring. */
static void characters(void) {
    terminal(1);
    set_counts(3, 0);
    after(30, type_halves, four);
    COMES(90, READ(ends[0], 100));
    after(30, type, "abcd");
    READ(ends[0], 2);
    /* Two are left. */
    after(60, type, "e");
    READ(ends[0], 100);
    if (has_ring()) {
        set_counts(3, 3);
        after(50, type, "a");
        COMES(350, READ(ends[0], 100));
    }
    set_counts(0, 2);
    TAKES(200, READ(ends[0], 100));
    after(50, type, "x");
    READ(ends[0], 100);
    set_counts(0, 0);
    READ(ends[0], 100);
    set_counts(1, 0);
    set_nonblock(ends[0], 1);
    READ(ends[0], 100);
    TRY(close(ends[0]));
    TRY(close(ends[1]));
}

static void start_output(void *argument) {
    (void)argument;
    CHECK_EQ(tcflow(ends[0], TCOON), 0);
}

static char block[40000];
static volatile int all_read;

static void read_much(void *argument) {
    (void)argument;
    CHECK_EQ(read_bytes(ends[1], sizeof block), sizeof block);
    all_read = 1;
}

/* Output that is stopped, or that nobody reads, waits. */
static void output(void) {
    terminal(1);
    memset(block, 'w', sizeof block);
    TRY(write(ends[0], "hello\n", 6));
    READ(ends[1], 100);
    TRY(tcflow(ends[0], TCOOFF));
    after(60, start_output, NULL);
    COMES(60, TRY(write(ends[0], "stopped", 7)));
    READ(ends[1], 100);
    TRY(tcflow(ends[0], TCOOFF));
    set_nonblock(ends[0], 1);
    TRY(write(ends[0], "stopped", 7));
    set_nonblock(ends[0], 0);
    TRY(tcflow(ends[0], TCOON));
    all_read = 0;
    after(60, read_much, NULL);
    COMES(60, TRY(write(ends[0], block, sizeof block)));
    while (!all_read) usleep(1000);
    TRY(close(ends[0]));
    TRY(close(ends[1]));
}

static void close_terminal(void *argument) {
    (void)argument;
    CHECK_EQ(close(ends[0]), 0);
}

static void close_emulator(void *argument) {
    (void)argument;
    CHECK_EQ(close(ends[1]), 0);
}

static void hang_up(void) {
    struct pollfd entry;
    terminal(1);
    after(40, close_emulator, NULL);
    COMES(40, READ(ends[0], 100));
    READ(ends[0], 100);
    TRY(write(ends[0], "x", 1));
    entry = (struct pollfd){ends[0], POLLIN | POLLOUT, 99};
    TRY(poll(&entry, 1, 1000));
    say("%x\n", entry.revents);
    TRY(close(ends[0]));
    terminal(1);
    TRY(write(ends[0], "last", 4));
    after(40, close_terminal, NULL);
    READ(ends[1], 100);
    COMES(40, READ(ends[1], 100));
    entry = (struct pollfd){ends[1], POLLIN | POLLOUT, 99};
    TRY(poll(&entry, 1, 1000));
    say("%x\n", entry.revents);
    TRY(close(ends[1]));
}

/* Not open for that: EBADF, and no wait. */
static void wrong_direction(void) {
    char b[4], *name;
    terminal(1);
    CHECK((name = ptsname(ends[1])) != NULL);
    int out = open(name, O_WRONLY | O_NOCTTY), in = open(name, O_RDONLY | O_NOCTTY);
    CHECK(out >= 0 && in >= 0);
    TRY(read(out, b, sizeof b));
    TRY(readv(out, &(struct iovec){b, sizeof b}, 1));
    TRY(write(in, "x", 1));
    TRY(writev(in, &(struct iovec){b, sizeof b}, 1));
    TRY(write(out, "x", 1));
    TRY(close(out));
    TRY(close(in));
    TRY(close(ends[0]));
    TRY(close(ends[1]));
}

static void waits(void) {
    struct pollfd entry;
    struct epoll_event event = {.events = EPOLLIN};
    struct timeval limit = {5, 0};
    fd_set set;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    terminal(0);
    entry = (struct pollfd){ends[0], POLLIN, 99};
    TRY(poll(&entry, 1, 20));
    after(30, type_halves, half);
    COMES(90, TRY(poll(&entry, 1, 5000)));
    say("%x\n", entry.revents);
    READ(ends[0], 100);
    CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event), 0);
    after(30, type, "line\n");
    COMES(30, TRY(epoll_wait(epoll, &event, 1, 5000)));
    say("%x\n", event.events);
    READ(ends[0], 100);
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    after(30, type, "line\n");
    COMES(30, TRY(select(ends[0] + 1, &set, NULL, NULL, &limit)));
    READ(ends[0], 100);
    TRY(close(epoll));
    TRY(close(ends[0]));
    TRY(close(ends[1]));
}

int main(void) {
    same_start();
    SAME(lines);
    SAME(characters);
    SAME(output);
    SAME(hang_up);
    SAME(wrong_direction);
    SAME(waits);
    return test_done();
}
