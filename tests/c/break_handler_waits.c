/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Hooked calls that wait, in a signal handler on an alternate stack that has interrupted a coroutine: the thread waits, as
 * without the library. The coroutine's own stack, and the handler's, stay whole.
 */
#include "core.h"

#include <sys/socket.h>
#include <sys/time.h>

static int pair[2], handled, rounds;

static void handles(int signal) {
    volatile char block[2000];
    char byte;
    struct pollfd items[2] = {{pair[0], POLLIN, 0}, {-1, 0, 0}};
    int saved = errno, seen = handled, in_coroutine = dyco_coroutine_coroID() > 0;
    int64_t begin = now_ns();
    (void)signal;
    memset((void *)block, seen, sizeof block);
    usleep(500);
    CHECK(now_ns() - begin >= 500000);
    begin = now_ns();
    CHECK_EQ(poll(items, 2, 2), 0);
    CHECK(now_ns() - begin >= 2000000);
    CHECK_ERRNO(recv(pair[0], &byte, 1, 0), EAGAIN); /* its timeout */
    CHECK(now_ns() - begin >= 4000000);
    for (size_t i = 0; i < sizeof block; i++) CHECK_EQ(block[i], (char)seen);
    handled += in_coroutine;
    errno = saved;
}

static void works(void *argument) {
    volatile unsigned char block[400];
    memset((void *)block, (int)(intptr_t)argument, sizeof block);
    while (handled < 20) {
        for (int64_t end = now_ns() + 200000; now_ns() < end;) continue;
        dyco_coroutine_sleep((uint32_t)(rounds++ % 2));
        for (size_t i = 0; i < sizeof block; i++) CHECK_EQ(block[i], (unsigned char)(intptr_t)argument);
    }
}

int main(void) {
    stack_t stack = {.ss_size = 65536};
    struct sigaction action = {.sa_handler = handles, .sa_flags = SA_ONSTACK};
    struct itimerval timer = {{0, 10000}, {0, 10000}};
    struct timeval limit = {0, 2000};
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CHECK_EQ(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    spawn(nothing, NULL);
    run_all();
    stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack.ss_sp != MAP_FAILED);
    CHECK_EQ(sigaltstack(&stack, NULL), 0);
    CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
    CHECK_EQ(sigaction(SIGVTALRM, &action, NULL), 0); /* interrupts the other handler now and then */
    for (int own = 0; own < 2; own++) {
        handled = 0;
        for (intptr_t i = 0; i < 40; i++) {
            int cid = spawn(works, (void *)i);
            if (own) CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 16384), 1);
        }
        CHECK_EQ(setitimer(ITIMER_REAL, &timer, NULL), 0);
        CHECK_EQ(setitimer(ITIMER_VIRTUAL, &timer, NULL), 0);
        run_all();
        setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
        setitimer(ITIMER_VIRTUAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    }
    return test_done();
}
