// busy: much
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Lengths that no buffer has: one call moves at most 0x7ffff000 bytes, as Linux has it; what is longer than any address
 * space is refused at once; and so are mistakes that need no descriptor.
 */
// timeout: 120
// arch: x86_64
// modes: shared archive static ring
#include "same.h"

#include <fcntl.h>
#include <pty.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#define MOST 0x7ffff000
#define LENGTH (5UL << 30)

static char *large;
static int pair[2];

/* Takes all that comes, without looking at it. */
static void take_all(void) {
    static char room[1 << 20];
    while (recv(pair[1], room, sizeof room, MSG_TRUNC) > 0)
        ;
    close(pair[1]);
}

static void reader(void *unused) {
    (void)unused;
    take_all();
}

static void writer(void *unused) {
    (void)unused;
    struct iovec pieces[3] = {{large, 5}, {large, LENGTH}, {large, 9}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 3};
    CHECK_EQ(send(pair[0], large, LENGTH, 0), MOST);
    CHECK_EQ(sendmsg(pair[0], &message, 0), MOST);
    close(pair[0]);
}

static void absurd(void) {
    char byte = 'x', *nowhere = (char *)8;
    size_t lengths[] = {SIZE_MAX, SSIZE_MAX, (size_t)1 << 62};
    int fds[8], ends[2], off = open("/dev/null", O_RDONLY), memory = memfd_create("same", 0);
    off_t offset = 0;
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds + 2), 0);
    CHECK_EQ(openpty(fds + 4, fds + 5, NULL, NULL, NULL), 0);
    CHECK_EQ(pipe(ends), 0);
    fds[6] = -1, fds[7] = 1 << 20;
    for (int index = 0; index < 8; index++)
        for (int length = 0; length < 3; length++) {
            say("fd %d, length %d\n", index, length);
            TRY(read(fds[index], &byte, lengths[length]));
            TRY(read(fds[index], nowhere, lengths[length]));
            TRY(write(fds[index], &byte, lengths[length]));
            TRY(sendfile(fds[index], memory, &offset, lengths[0]));
            TRY(splice(ends[0], NULL, fds[index], NULL, 0, 0));
            TRY(splice(ends[0], NULL, fds[index], NULL, 2, 0x1234));
        }
    for (int index = 0; index < 6; index++) close(fds[index]);
    close(ends[0]), close(ends[1]), close(off), close(memory);
}

static void largest(void) {
    alarm(0);
    large = mmap(NULL, LENGTH, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (large == MAP_FAILED) TEST_SKIP("not enough address space");
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CHECK(dyco_coroutine_create(reader, NULL) > 0);
    CHECK(dyco_coroutine_create(writer, NULL) > 0);
    CHECK_EQ(dyco_schedule_run(), 0);
}

int main(void) {
    same_start();
    SAME(absurd);
    if (!PLAIN) largest();
    return test_done();
}
