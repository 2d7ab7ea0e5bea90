// busy: much
// timeout: 60
// nofile: 4000
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Everything at once, at random: coroutines on all kinds of stack sleep, wait, get woken, closed under, made urgent, end
 * themselves, stop the scheduler. Each must find its locals as it left them, and each must end. `stress SEED` repeats one.
 */
#include "core.h"

#include <sys/socket.h>

#define WORKERS 300
#define SLOTS 40
#define STEPS 60

static unsigned seed;
static int live, ended, spawned;
static struct { int fd[2]; } pairs[SLOTS];
static char memory[WORKERS][20480]; /* AddressSanitizer makes frames twice as large */
static int cids[WORKERS];

static unsigned next(unsigned *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void make_pair(int slot) {
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pairs[slot].fd), 0);
}

static void check(const volatile unsigned char *block, size_t size, unsigned char value) {
    for (size_t i = 0; i < size; i++)
        if (block[i] != value) TEST_FAIL("seed %u: byte %zu of %zu changed", seed, i, size);
}

static int nested(unsigned *state, int depth);

static void step(unsigned *state, int depth) {
    int slot = (int)(next(state) % SLOTS), side = (int)(next(state) % 2), timeout = (int)(next(state) % 8);
    int fd = pairs[slot].fd[side];
    char byte;
    switch (next(state) % 14) {
    case 0: case 1: dyco_coroutine_sleep(0); break;
    case 2: dyco_coroutine_sleep((uint32_t)timeout); break;
    case 3: case 4: {
        int64_t begin = now_ns();
        int result = dyco_coroutine_waitRead(fd, timeout);
        if (result == 0) CHECK(now_ns() - begin >= timeout * INT64_C(1000000));
        if (result < 0) CHECK_EQ(errno, EBADF);
        break;
    }
    case 5: if (dyco_coroutine_waitRW(fd, timeout) < 0) CHECK_EQ(errno, EBADF); break;
    case 6: if (write(fd, "x", 1) < 0) CHECK(errno == EAGAIN || errno == EBADF || errno == EPIPE); break;
    case 7: while (read(fd, &byte, 1) == 1) continue; break;
    case 8: {
        struct pollfd items[3] = {{fd, POLLIN, 0}, {pairs[(slot + 1) % SLOTS].fd[0], POLLIN | POLLOUT, 0}, {-1, 0, 0}};
        CHECK(poll(items, 3, timeout) >= 0);
        break;
    }
    case 9: { /* closes it under everybody, and reuses the number */
        int old[2] = {pairs[slot].fd[0], pairs[slot].fd[1]};
        make_pair(slot);
        if (next(state) % 2) {
            close(old[0]);
            close(old[1]);
        } else {
            syscall(SYS_close, old[0]);
            syscall(SYS_close, old[1]);
        }
        break;
    }
    case 10: {
        int cid = cids[next(state) % WORKERS];
        int result = next(state) % 2 ? dyco_coroutine_setUrgent(cid) : dyco_coroutine_unsetUrgent(cid);
        if (result < 0) CHECK_EQ(errno, ESRCH);
        break;
    }
    case 11: if (depth < 6) nested(state, depth + 1); break;
    case 12: if (next(state) % 8 == 0) dyco_schedcall_stop(); break;
    default: usleep((useconds_t)(next(state) % 300)); break;
    }
}

static int nested(unsigned *state, int depth) {
    volatile unsigned char block[300];
    size_t size = 10 + next(state) % 290;
    unsigned char value = (unsigned char)next(state);
    memset((void *)block, value, size);
    step(state, depth);
    check(block, size, value);
    step(state, depth);
    check(block, size, value);
    return depth;
}

static void worker(void *argument);

static void start(int index) {
    cids[index] = spawn(worker, (void *)(intptr_t)index);
    unsigned kind = seed + (unsigned)spawned;
    if (kind % 3 == 1) CHECK_EQ(dyco_coroutine_setStack(cids[index], NULL, 16384), 1);
    if (kind % 3 == 2) CHECK_EQ(dyco_coroutine_setStack(cids[index], memory[index], sizeof memory[0]), 1);
    spawned++;
    live++;
}

static void worker(void *argument) {
    int index = (int)(intptr_t)argument;
    unsigned state = seed * 7919u + (unsigned)spawned * 104729u + (unsigned)index;
    int self = dyco_coroutine_coroID();
    errno = index;
    for (int i = 0; i < STEPS; i++) {
        nested(&state, 0);
        CHECK_EQ(dyco_coroutine_coroID(), self);
    }
    live--;
    ended++;
    /* Another in its place, on its own stack memory only when that is free again: so on another index. */
    if (spawned < 2 * WORKERS) {
        int other = WORKERS - 1 - index;
        if (dyco_coroutine_getSchedCount(cids[other]) < 0) start(other);
    }
    if (state % 3 == 0) dyco_coroutine_abort();
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    for (int round = 0; round < 4; round++) {
        seed = argc > 1 ? (unsigned)atoi(argv[1]) : (unsigned)now_ns() % 1000000;
        spawned = ended = live = 0;
        memset(cids, 0, sizeof cids);
        for (int i = 0; i < SLOTS; i++) make_pair(i);
        for (int i = 0; i < WORKERS; i++) start(i);
        int result;
        while ((result = dyco_schedule_run()) == 1) continue;
        if (result != 0 || live != 0 || ended != spawned)
            TEST_FAIL("seed %u: run %d errno %d, %d of %d ended", seed, result, errno, ended, spawned);
        CHECK_EQ(dyco_schedule_getCoroCount(), 0);
        for (int i = 0; i < SLOTS; i++) {
            close(pairs[i].fd[0]);
            close(pairs[i].fd[1]);
        }
        if (round == 1) dyco_schedule_free(NULL);
    }
    return test_done();
}
