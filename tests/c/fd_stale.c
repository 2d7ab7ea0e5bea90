// timeout: 60
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A number that was waited for is closed behind the library's back, in every way there is, and used again: who waits
 * on the new descriptor gets what comes there, and nothing of the old one.
 */
#include "net.h"

static int ends[2], old_peer, number;

/* The descriptor is registered with the poller: it has been waited for, and may still be. */
static void touch(void) {
    stream_pair(AF_UNIX, ends);
    number = ends[0];
    CHECK_EQ(dyco_coroutine_waitRead(number, 1), 0);
    char b;
    CHECK_EQ(send(ends[1], "o", 1, 0), 1);
    CHECK_EQ(recv(number, &b, 1, 0), 1);
}

static void send_new(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(100);
    CHECK_EQ(send(ends[1], "n", 1, 0), 1);
}

/* The number names another socket now. */
static void use_again(void) {
    char b = 0;
    spawn(send_new, NULL);
    int64_t begin = now_ms();
    CHECK_EQ(recv(number, &b, 1, 0), 1);
    CHECK_EQ(b, 'n');
    CHECK_TOOK(now_ms() - begin, 100, 2000);
    CHECK_EQ(dyco_coroutine_waitRead(number, 20), 0);
    fill(number);
    CHECK_EQ(dyco_coroutine_waitWrite(number, 20), 0);
    drain(ends[1]);
    CHECK(dyco_coroutine_waitWrite(number, 5000) > 0);
    CHECK_EQ(close(number), 0);
    CHECK_EQ(close(ends[1]), 0);
}

/* A new pair, whose first end takes the number: it is free or about to be replaced. */
static void new_pair_at(int how) {
    int pair[2];
    CHECK_EQ(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, pair), 0);
    if (pair[0] != number) {
        if (pair[1] == number) {
            int other = pair[0];
            pair[0] = pair[1];
            pair[1] = other;
        } else if (how == SYS_dup3) {
            CHECK_EQ(syscall(SYS_dup3, pair[0], number, 0), number);
            CHECK_EQ(syscall(SYS_close, pair[0]), 0);
        } else {
            CHECK_EQ(how == 0 ? dup2(pair[0], number) : dup3(pair[0], number, O_CLOEXEC), number);
            CHECK_EQ(syscall(SYS_close, pair[0]), 0);
        }
    }
    ends[0] = number;
    ends[1] = pair[1];
}

static void by_raw_close(void *argument) {
    (void)argument;
    touch();
    old_peer = ends[1];
    CHECK_EQ(syscall(SYS_close, number), 0);
    CHECK_EQ(syscall(SYS_close, old_peer), 0);
    new_pair_at(SYS_close);
    use_again();
}

static void by_fclose(void *argument) {
    (void)argument;
    touch();
    FILE *file = fdopen(number, "r+");
    CHECK(file != NULL);
    CHECK_EQ(fclose(file), 0);
    CHECK_EQ(syscall(SYS_close, ends[1]), 0);
    new_pair_at(SYS_close);
    use_again();
}

static void by_dup2(void *argument) {
    touch();
    old_peer = ends[1];
    new_pair_at((int)(intptr_t)argument);
    use_again();
    CHECK_EQ(close(old_peer), 0);
}

static void raw_close_number(void *argument) {
    (void)argument;
    CHECK_EQ(syscall(SYS_close, number), 0);
    CHECK_EQ(syscall(SYS_close, ends[1]), 0);
}

static void by_thread(void *argument) {
    (void)argument;
    touch();
    after(0, raw_close_number, NULL);
    dyco_coroutine_sleep(50);
    new_pair_at(SYS_close);
    use_again();
}

static void close_range_number(void) {
#ifdef SYS_close_range
    if (syscall(SYS_close_range, number, number, 0) == 0) return;
#endif
    CHECK_EQ(syscall(SYS_close, number), 0);
}

static void by_close_range(void *argument) {
    (void)argument;
    touch();
    close_range_number();
    CHECK_EQ(close(ends[1]), 0);
    new_pair_at(SYS_close);
    use_again();
}

/* A duplicate keeps the old socket alive, and it goes on telling of itself: not to those who wait on the number. */
static void with_living_duplicate(void *argument) {
    char b;
    touch();
    int twin = argument ? dup(number) : (int)syscall(SYS_dup, number), far = ends[1];
    CHECK_EQ(argument ? close(number) : (int)syscall(SYS_close, number), 0);
    new_pair_at(SYS_close);
    CHECK_EQ(send(far, "old", 3, 0), 3);
    spawn(send_new, NULL);
    int64_t begin = now_ms();
    CHECK_EQ(dyco_coroutine_waitRead(number, 40), 0);
    CHECK(now_ms() - begin >= 40);
    CHECK_EQ(recv(number, &b, 1, 0), 1);
    CHECK_EQ(b, 'n');
    CHECK(dyco_coroutine_waitRead(twin, 1000) > 0);
    CHECK_EQ(recv(twin, &b, 1, 0), 1);
    CHECK_EQ(b, 'o');
    CHECK_EQ(close(far), 0);
    CHECK_EQ(dyco_coroutine_waitRead(number, 40), 0);
    CHECK_EQ(close(twin), 0);
    CHECK_EQ(close(number), 0);
    CHECK_EQ(close(ends[1]), 0);
}

/* The number changes under a waiter: the old socket is gone, what comes for the new one wakes those who then wait. */
static int old_done;

static void waits_on_old(void *argument) {
    char b = 0;
    (void)argument;
    ssize_t n = recv(number, &b, 1, 0);
    CHECK((n == -1 && errno == EBADF) || (n == 1 && b == 'n'));
    old_done = 1;
}

static void replaced_under_waiter(void *argument) {
    int pair[2];
    char b;
    touch();
    old_peer = ends[1];
    old_done = 0;
    spawn(waits_on_old, NULL);
    dyco_coroutine_sleep(20);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CHECK_EQ(argument ? dup3(pair[0], number, O_CLOEXEC) : dup2(pair[0], number), number);
    dyco_coroutine_sleep(20);
    CHECK_EQ(send(pair[1], "n", 1, 0), 1);
    for (int i = 0; i < 400 && !old_done; i++) dyco_coroutine_sleep(5);
    CHECK(old_done);
    recv(number, &b, 1, MSG_DONTWAIT);
    CHECK_EQ(close(pair[0]), 0);
    ends[1] = pair[1];
    use_again();
    CHECK_EQ(close(old_peer), 0);
}

/* Many numbers, many times: connections that come and go by hooks and behind them, the numbers handed on. */
static void churn(void *argument) {
    char b;
    for (int i = 0; i < 300; i++) {
        int pair[2];
        CHECK_EQ(i % 3 ? socketpair(AF_UNIX, SOCK_STREAM, 0, pair) : (int)syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, pair), 0);
        CHECK_EQ(dyco_coroutine_waitRead(pair[i % 2], i % 4 ? 0 : 1), 0);
        CHECK_EQ(send(pair[0], argument, 1, 0), 1);
        CHECK_EQ(recv(pair[1], &b, 1, 0), 1);
        CHECK_EQ(b, *(char *)argument);
        if (i % 5 == 0) dyco_coroutine_sleep(0);
        CHECK_EQ(i % 7 ? close(pair[0]) : (int)syscall(SYS_close, pair[0]), 0);
        CHECK_EQ(recv(pair[1], &b, 1, 0), 0);
        CHECK_EQ(i % 11 ? close(pair[1]) : (int)syscall(SYS_close, pair[1]), 0);
    }
}

int main(void) {
    warm_up();
    int fds = count_fds();
    in_coroutine(by_raw_close, NULL);
    in_coroutine(by_fclose, NULL);
    in_coroutine(by_dup2, (void *)0);
    in_coroutine(by_dup2, (void *)1);
    in_coroutine(by_dup2, (void *)SYS_dup3);
    in_coroutine(by_thread, NULL);
    in_coroutine(by_close_range, NULL);
    in_coroutine(with_living_duplicate, (void *)0);
    in_coroutine(with_living_duplicate, (void *)1);
    in_coroutine(replaced_under_waiter, (void *)0);
    in_coroutine(replaced_under_waiter, (void *)1);
    static char letters[] = "abcdefgh";
    for (int i = 0; i < 8; i++) spawn(churn, letters + i);
    run_with_ticker();
    join_later();
    CHECK_EQ(count_fds(), fds);
    return test_done();
}
