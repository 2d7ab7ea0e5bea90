/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Files that wait in their coroutine are read, written, opened and looked at with libc's results: short reads, offsets,
 * vectors, bad arguments of every kind; from the cache and from a disk that is never cached.
 */
// timeout: 60
#include "same.h"

#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/sysmacros.h>

static char folder[64];
/* The compiler is not to know. */
static void *volatile nowhere = (void *)16;
static volatile int fewer_than_none = -1;

static const char *in_folder(const char *name) {
    static char path[2][128];
    static int turn;
    turn ^= 1;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static void say_bytes(const char *bytes, ssize_t length) {
    unsigned sum = 0;
    for (ssize_t i = 0; i < length; i++) sum = sum * 31 + (unsigned char)bytes[i];
    say("  %zd bytes: %.*s... %u\n", length, (int)(length < 0 ? 0 : length < 10 ? length : 10), bytes, sum);
}

static void say_stat(const struct stat *status) {
    say("  mode %o size %lld links %d\n", status->st_mode, (long long)status->st_size, (int)status->st_nlink);
}

static void make(const char *name, size_t length) {
    int fd = open(in_folder(name), O_RDWR | O_CREAT | O_TRUNC, 0640);
    CHECK(fd >= 0);
    for (size_t i = 0; i < length; i++) {
        char letter = (char)('a' + i % 26);
        CHECK_EQ(write(fd, &letter, 1), 1);
    }
    CHECK_EQ(close(fd), 0);
}

static void reading(void) {
    char bytes[3000];
    make("read", 2000);
    int fd = TRY_FD(open(in_folder("read"), O_RDONLY));
    for (int i = 0; i < 5; i++) say_bytes(bytes, TRY(read(fd, bytes, 700)));
    for (off_t at = -2; at < 2500; at += 333) say_bytes(bytes, TRY(pread(fd, bytes, 500, at)));
    TRY(read(fd, bytes, 0));
    TRY(read(fd, nowhere, 0));
    TRY(pread(fd, bytes, 0, 100000));
    TRY(lseek(fd, 100, SEEK_SET));
    TRY(read(fd, nowhere, 10));
    TRY(pread(fd, nowhere, 10, 0));
    TRY(pread(fd, bytes, 10, INT64_MAX));
    TRY(lseek(fd, 0, SEEK_CUR));
    TRY(write(fd, bytes, 1));
    TRY(pwrite(fd, bytes, 1, 0));
    TRY(close(fd));
    TRY(read(fd, bytes, 1));
    TRY(pread(fd, bytes, 1, 0));
    fd = TRY_FD(open(in_folder("read"), O_WRONLY | O_APPEND));
    TRY(read(fd, bytes, 1));
    TRY(pread(fd, bytes, 1, 0));
    TRY(close(fd));
    fd = TRY_FD(open(folder, O_RDONLY | O_DIRECTORY));
    TRY(read(fd, bytes, 1));
    TRY(pread(fd, bytes, 1, 0));
    TRY(fsync(fd));
    TRY(close(fd));
    TRY(pread(-1, bytes, 1, 0));
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    TRY(pread(ends[0], bytes, 1, 0));
    TRY(pwrite(ends[1], bytes, 1, 0));
    TRY(fsync(ends[0]));
    close_pair(ends);
}

static void vectors(void) {
    char bytes[6][400];
    static struct iovec many[1100];
    static char sink[1100];
    struct iovec list[6] = {{bytes[0], 400}, {bytes[1], 0}, {bytes[2], 1}, {bytes[3], 399}, {NULL, 0}, {bytes[5], 400}};
    make("vector", 1500);
    int fd = TRY_FD(open(in_folder("vector"), O_RDWR));
    for (int count = 0; count <= 6; count++) {
        memset(bytes, 0, sizeof bytes);
        TRY(preadv(fd, list, count, 300));
        say_bytes(bytes[0], sizeof bytes);
        memset(bytes, 0, sizeof bytes);
        TRY(lseek(fd, 900, SEEK_SET));
        TRY(readv(fd, list, count));
        say_bytes(bytes[0], sizeof bytes);
        TRY(lseek(fd, 0, SEEK_CUR));
    }
    TRY(preadv(fd, list, fewer_than_none, 0));
    TRY(readv(fd, list, fewer_than_none));
    TRY(preadv(fd, list, 6, -1));
    TRY(preadv(fd, nowhere, 1, 0));
    TRY(readv(fd, nowhere, 2));
    TRY(pwritev(fd, nowhere, 1, 0));
    TRY(writev(fd, nowhere, 2));
    for (int i = 0; i < 1100; i++) many[i] = (struct iovec){sink + i, 1};
    TRY(preadv(fd, many, 1024, 0));
    say_bytes(sink, 1024);
    TRY(preadv(fd, many, 1025, 0));
    TRY(pwritev(fd, many, 1025, 0));
    list[3].iov_base = nowhere;
    memset(bytes, 0, sizeof bytes);
    TRY(preadv(fd, list, 6, 0));
    TRY(preadv(fd, list + 3, 2, 0));
    TRY(pwritev(fd, list + 3, 2, 0));
    list[3] = (struct iovec){bytes[3], (size_t)-1};
    TRY(preadv(fd, list, 6, 0));
    TRY(pwritev(fd, list, 6, 0));
    list[3] = (struct iovec){bytes[3], 400};
    if (syscall(SYS_preadv2, fd, NULL, 0L, 0L, 0L, 0) < 0) return (void)close(fd); /* emulators have none */
    TRY(preadv2(fd, list, 6, -1, 0));
    TRY(lseek(fd, 0, SEEK_SET));
    TRY(preadv2(fd, list, 6, -1, 0));
    TRY(preadv2(fd, list, 6, 10, 0));
    TRY(preadv2(fd, list, 6, -2, 0));
    TRY(preadv2(fd, list, 6, 0, 0x40000000));
    TRY(pwritev2(fd, list, 6, 0, RWF_DSYNC));
    TRY(pwritev2(fd, list, 1, 0, RWF_APPEND));
    TRY(lseek(fd, 0, SEEK_END));
    TRY(close(fd));
}

static int signals;

static void too_large(int number) {
    (void)number;
    signals++;
}

static void writing(void) {
    char bytes[2000];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)('A' + i % 26);
    int fd = TRY_FD(open(in_folder("write"), O_RDWR | O_CREAT | O_EXCL, 0600));
    TRY(write(fd, bytes, sizeof bytes));
    TRY(write(fd, bytes, 0));
    TRY(write(fd, nowhere, 10));
    TRY(pwrite(fd, bytes + 3, 100, 5000));
    TRY(pwrite(fd, bytes, 10, -1));
    TRY(pwrite(fd, nowhere, 10, 0));
    struct iovec list[3] = {{bytes + 1, 100}, {bytes, 0}, {bytes + 7, 300}};
    TRY(writev(fd, list, 3));
    TRY(pwritev(fd, list, 3, 1000));
    TRY(fsync(fd));
    TRY(fdatasync(fd));
    TRY(fsync(-1));
    struct stat status;
    TRY(fstat(fd, &status));
    say_stat(&status);
    char back[6000];
    say_bytes(back, TRY(pread(fd, back, sizeof back, 0)));
    TRY(close(fd));
    TRY(open(in_folder("write"), O_RDWR | O_CREAT | O_EXCL, 0600));
    fd = TRY_FD(open(in_folder("write"), O_WRONLY | O_APPEND));
    TRY(write(fd, bytes, 100));
    TRY(pwrite(fd, bytes, 100, 0));
    TRY(lseek(fd, 0, SEEK_CUR));
    TRY(close(fd));
    TRY(unlink(in_folder("write")));
    struct rlimit limit, small = {3000, RLIM_INFINITY};
    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, too_large);
    small.rlim_max = limit.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    fd = TRY_FD(open(in_folder("small"), O_RDWR | O_CREAT, 0600));
    TRY(write(fd, bytes, sizeof bytes));
    TRY(write(fd, bytes, sizeof bytes));
    TRY(write(fd, bytes, sizeof bytes));
    TRY(pwrite(fd, bytes, 1, 3000));
    say("  SIGXFSZ %d times\n", signals);
    signals = 0;
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    TRY(close(fd));
    TRY(unlink(in_folder("small")));
}

static void looking(void) {
    struct stat status;
    make("look", 10);
    CHECK_EQ(symlink("look", in_folder("link")), 0);
    CHECK_EQ(mkfifo(in_folder("fifo"), 0600), 0);
    static const char *names[] = {"look", "link", "fifo", "none", ".", "look/below", "", NULL};
    int dir = open(folder, O_RDONLY | O_DIRECTORY);
    CHECK(dir >= 0);
    for (const char **name = names; *name; name++) {
        memset(&status, 0, sizeof status);
        TRY(stat(in_folder(*name), &status));
        say_stat(&status);
        memset(&status, 0, sizeof status);
        TRY(lstat(in_folder(*name), &status));
        say_stat(&status);
        memset(&status, 0, sizeof status);
        TRY(fstatat(dir, *name, &status, 0));
        say_stat(&status);
        memset(&status, 0, sizeof status);
        TRY(fstatat(dir, *name, &status, AT_SYMLINK_NOFOLLOW));
        say_stat(&status);
        struct statx more;
        memset(&more, 0, sizeof more);
        TRY(statx(dir, *name, 0, STATX_BASIC_STATS, &more));
        say("  statx %o %lld\n", more.stx_mode, (long long)more.stx_size);
    }
    TRY(fstatat(dir, "", &status, AT_EMPTY_PATH));
    say_stat(&status);
    TRY(stat(nowhere, &status));
    TRY(stat(in_folder("look"), nowhere));
    TRY(fstat(dir, nowhere));
    TRY(fstat(-1, &status));
    TRY(fstatat(-1, "look", &status, 0));
    TRY(fstatat(dir, "look", &status, 0x8000000));
    int ends[2];
    stream_pair(AF_UNIX, ends);
    TRY(fstat(ends[0], &status));
    say("  %o\n", status.st_mode & S_IFMT);
    close_pair(ends);
    /* Descriptors and what they are. */
    char long_name[5000];
    memset(long_name, 'x', sizeof long_name);
    long_name[sizeof long_name - 1] = 0;
    TRY(open(long_name, O_RDONLY));
    TRY(stat(long_name, &status));
    TRY(open(nowhere, O_RDONLY));
    TRY(open(in_folder("none"), O_RDONLY));
    TRY(openat(-1, "look", O_RDONLY));
    int fd = TRY_FD(openat(dir, "look", O_RDONLY | O_CLOEXEC));
    say("  flags %#x %d\n", fcntl(fd, F_GETFL), fcntl(fd, F_GETFD));
    TRY(close(fd));
    fd = TRY_FD(open(in_folder("fifo"), O_RDWR));
    TRY(close(fd));
    fd = TRY_FD(open(in_folder("fifo"), O_RDONLY | O_NONBLOCK));
    TRY(close(fd));
    TRY(open(in_folder("fifo"), O_WRONLY | O_NONBLOCK));
    fd = TRY_FD(open(in_folder("made"), O_RDWR | O_CREAT, 0421));
    TRY(fstat(fd, &status));
    say_stat(&status);
    TRY(close(fd));
    fd = TRY_FD(open(in_folder("link"), O_RDONLY | O_NOFOLLOW));
    fd = TRY_FD(open("/proc/thread-self/comm", O_RDONLY));
    char comm[32] = "";
    TRY(read(fd, comm, 31));
    say("  %s", comm);
    TRY(close(fd));
    TRY(unlink(in_folder("made")));
    TRY(unlink(in_folder("fifo")));
    TRY(unlink(in_folder("link")));
    CHECK_EQ(close(dir), 0);
}

static void all_in(const char *parent) {
    snprintf(folder, sizeof folder, "%s/dyco-files-XXXXXX", parent);
    if (mkdtemp(folder) == NULL) return;
    SAME(reading);
    SAME(vectors);
    SAME(writing);
    SAME(looking);
    const char *left[] = {"read", "vector", "look"};
    for (size_t i = 0; i < COUNT(left); i++) CHECK_EQ(unlink(in_folder(left[i])), 0);
    CHECK_EQ(rmdir(folder), 0);
}

int main(void) {
    same_start();
    umask(022);
    pthread_setname_np(pthread_self(), "test");
    if (!PLAIN) CHECK_EQ(dyco_hook_files(1), 0);
    all_in("/tmp");
    nowhere = (void *)0x700000000000;
    all_in("/dev/shm");
    return test_done();
}
