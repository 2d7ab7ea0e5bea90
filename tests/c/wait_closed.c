/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Descriptors that end under their waiters, in every way, and numbers that come again: waiters get EBADF, and what waits
 * on the new descriptor of that number is not confused with what waited on the old one.
 */
#include "core.h"

#include <sys/socket.h>

static int failed, woke, target, ends[2];

static void *fd(int number) {
    return (void *)(intptr_t)number;
}

static void waits(void *argument) {
    CHECK_ERRNO(dyco_coroutine_waitRead((int)(intptr_t)argument, -1), EBADF);
    failed++;
}

static void waits_long(void *argument) {
    int64_t begin = now_ms();
    CHECK_ERRNO(dyco_coroutine_waitRW((int)(intptr_t)argument, 60000), EBADF);
    CHECK(now_ms() - begin < 10000);
    failed++;
}

static void receives(void *argument) {
    char byte;
    ssize_t n = dyco_recv((int)(intptr_t)argument, &byte, 1, 0);
    CHECK_EQ(n, -1);
    CHECK_EQ(errno, EBADF);
    failed++;
}

static void reads_new(void *argument) {
    char byte = 0;
    CHECK(dyco_coroutine_waitRead((int)(intptr_t)argument, -1) > 0);
    CHECK_EQ(read((int)(intptr_t)argument, &byte, 1), 1);
    CHECK_EQ(byte, 'n');
    woke++;
}

static void by_close(void) { CHECK_EQ(close(target), 0); }
static void by_dyco_close(void) { CHECK_EQ(dyco_close(target), 0); }
static void by_dup2(void) { CHECK_EQ(dup2(ends[0], target), target); }
static void by_dup3(void) { CHECK_EQ(dup3(ends[0], target, O_CLOEXEC), target); }

static void *thread(void *argument) {
    (*(void (*const *)(void))argument)();
    return NULL;
}

static void by_thread(void) {
    pthread_t other;
    void (*close_it)(void) = by_close;
    CHECK_EQ(pthread_create(&other, NULL, thread, &close_it), 0);
    CHECK_EQ(pthread_join(other, NULL), 0);
}

static void by_thread_dup2(void) {
    pthread_t other;
    void (*close_it)(void) = by_dup2;
    CHECK_EQ(pthread_create(&other, NULL, thread, &close_it), 0);
    CHECK_EQ(pthread_join(other, NULL), 0);
}

static void ends_it(void *argument) {
    dyco_coroutine_sleep(10);
    (*(void (*const *)(void))argument)();
    dyco_coroutine_sleep(10);
    /* Whatever has the number now: the old waiters have gone, and a new one is woken by the new descriptor. */
    CHECK_EQ(failed, 9);
    int new_pair[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, new_pair), 0);
    if (new_pair[0] != target) CHECK_EQ(dup2(new_pair[0], target), target);
    for (int i = 0; i < 3; i++) spawn(reads_new, fd(target));
    dyco_coroutine_sleep(5);
    CHECK_EQ(woke, 0);
    CHECK_EQ(write(new_pair[1], "nnn", 3), 3);
    while (woke < 3) dyco_coroutine_sleep(1);
    close(new_pair[1]);
    if (new_pair[0] != target) close(new_pair[0]);
    close(target);
}

static void one(void (*close_it)(void), int has_duplicate) {
    int pair[2];
    failed = woke = 0;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    target = pair[0];
    int duplicate = has_duplicate ? dup(target) : -1;
    for (int i = 0; i < 3; i++) {
        spawn(waits, fd(target));
        spawn(receives, fd(target));
        spawn_own(waits, fd(target), 16384);
    }
    spawn(ends_it, &close_it);
    run_all();
    CHECK_EQ(failed, 9);
    CHECK_EQ(woke, 3);
    if (has_duplicate) { /* what the duplicate says wakes nobody, and is still to be had */
        CHECK_EQ(write(pair[1], "d", 1), 1);
        spawn(nothing, NULL);
        run_all();
        char byte = 0;
        CHECK_EQ(read(duplicate, &byte, 1), 1);
        CHECK_EQ(byte, 'd');
        close(duplicate);
    }
    close(pair[1]);
}

/* Closed behind the library's back, and the number taken at once by something else that gets ready. */
static void taken_over(void *argument) {
    int raw = (int)(intptr_t)argument, pair[2], next_pair[2];
    for (int round = 0; round < 20; round++) {
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        CHECK_EQ(dyco_coroutine_waitRead(pair[0], 1), 0);
        if (raw) {
            syscall(SYS_close, pair[0]);
        } else {
            FILE *stream = fdopen(pair[0], "r");
            CHECK(stream != NULL);
            CHECK_EQ(fclose(stream), 0);
        }
        CHECK_EQ(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, next_pair), 0);
        CHECK_EQ(next_pair[0], pair[0]);
        CHECK_EQ(dyco_coroutine_waitRead(next_pair[0], 1), 0);
        CHECK_EQ(syscall(SYS_write, next_pair[1], "x", 1), 1);
        CHECK(dyco_coroutine_waitRead(next_pair[0], 5000) > 0);
        syscall(SYS_close, next_pair[0]);
        syscall(SYS_close, next_pair[1]);
        CHECK_ERRNO(dyco_coroutine_waitRead(next_pair[0], 1000), EBADF);
        close(pair[1]);
    }
    woke++;
}

int main(void) {
    void (*const ways[])(void) = {by_close, by_dyco_close, by_dup2, by_dup3, by_thread, by_thread_dup2};
    CHECK_EQ(pipe(ends), 0);
    for (size_t i = 0; i < COUNT(ways); i++) {
        one(ways[i], 0);
        one(ways[i], 1);
    }
    woke = 0;
    spawn(taken_over, NULL);
    run_all();
    spawn(taken_over, fd(1));
    run_all();
    CHECK_EQ(woke, 2);

    failed = 0;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    static char block[65536];
    while (send(ends[0], block, sizeof block, MSG_DONTWAIT) > 0) continue;
    for (int i = 0; i < 5; i++) spawn(waits_long, fd(ends[0]));
    target = ends[0];
    spawn((proc_coroutine)(void (*)(void))by_close, NULL);
    run_all();
    CHECK_EQ(failed, 5);
    return test_done();
}
