// busy: much
// timeout: 60
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Signal handlers on the stack of a coroutine that they have interrupted anywhere, in the library or in malloc: hooked calls
 * that wait make the thread wait, no other coroutine runs meanwhile, and nothing is harmed. Stop and abort work there. What
 * sigaction and signal tell is what the program has asked for.
 */
#include "core.h"

#include <setjmp.h>
#include <sys/socket.h>
#include <sys/time.h>

enum { KINDS = 4, ROUNDS = 40, SLEEPERS = 5 };

static int pair[2], links[4][2];
static volatile int kind, handled, inside, switches, quit;

static void every(long microseconds) {
    struct itimerval interval = {{0, microseconds}, {0, microseconds}};
    CHECK_EQ(setitimer(ITIMER_REAL, &interval, NULL), 0);
}

static void waits(int signal) {
    struct timespec time = {0, 300000};
    struct pollfd item = {pair[0], POLLIN, 0};
    char byte;
    int saved = errno, seen = switches;
    int64_t begin = now_ns();
    (void)signal;
    switch (kind) {
    case 0: CHECK_EQ(nanosleep(&time, NULL), 0); break;
    case 1: CHECK_EQ(poll(&item, 1, 1), 0); break;
    case 2: CHECK_ERRNO(recv(pair[0], &byte, 1, 0), EAGAIN); break; /* its timeout, in ticks of the kernel */
    default: dyco_coroutine_sleep(1); break;
    }
    CHECK(kind == 2 || now_ns() - begin >= 300000);
    CHECK_EQ(switches, seen);
    inside += dyco_coroutine_coroID() > 0;
    handled++;
    errno = saved;
}

static void child(void *argument) {
    switches++;
    free(malloc((size_t)(intptr_t)argument));
}

static void churns(void *argument) {
    (void)argument;
    while (!quit) {
        for (int i = 0; i < 30; i++) spawn(child, (void *)(intptr_t)(100 + i * 30));
        void *block = malloc(5000);
        dyco_coroutine_sleep(0);
        free(block);
        switches++;
    }
}

static void asks(void *argument) {
    int *link = argument;
    for (char byte = 0, answer; !quit; byte++) {
        CHECK_EQ(send(link[0], &byte, 1, 0), 1);
        CHECK_EQ(recv(link[0], &answer, 1, 0), 1);
        CHECK_EQ(answer, byte);
        switches++;
    }
    CHECK_EQ(shutdown(link[0], SHUT_RDWR), 0);
}

static void answers(void *argument) {
    int *link = argument;
    char byte;
    while (recv(link[1], &byte, 1, 0) == 1) {
        CHECK_EQ(send(link[1], &byte, 1, MSG_NOSIGNAL), 1);
        switches++;
    }
}

static void sleeps(void *argument) {
    (void)argument;
    while (!quit) {
        dyco_coroutine_sleep(1);
        switches++;
    }
}

static void ends(void *argument) {
    (void)argument;
    while (inside < ROUNDS) dyco_coroutine_sleep(5);
    every(0);
    quit = 1;
}

static void start(proc_coroutine function, void *argument, int own) {
    if (own) spawn_own(function, argument, 65536);
    else spawn(function, argument);
}

static void populate(void) {
    quit = inside = 0;
    spawn(churns, NULL);
    spawn(ends, NULL);
    for (int i = 0; i < SLEEPERS; i++) spawn(sleeps, NULL);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, links[i]), 0);
        start(asks, links[i], i % 2);
        spawn(answers, links[i]);
    }
}

static void leave(void) {
    for (int i = 0; i < 4; i++) {
        close(links[i][0]);
        close(links[i][1]);
    }
}

static void waiting(void) {
    struct timeval limit = {0, 1000};
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CHECK_EQ(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    CHECK(signal(SIGALRM, waits) == SIG_DFL);
    for (kind = 0; kind < KINDS; kind++) {
        populate();
        every(kind == 2 ? 20000 : 6000);
        CHECK_EQ(dyco_schedule_run(), 0);
        leave();
    }
    close(pair[0]);
    close(pair[1]);
}

static void stops(int signal) {
    (void)signal;
    inside += dyco_coroutine_coroID() > 0;
    dyco_schedcall_stop();
}

static void aborts(int signal) {
    (void)signal;
    inside += dyco_coroutine_coroID() > 0;
    dyco_schedcall_abort();
}

static void ending(void) {
    int stopped = 0, result;
    CHECK(signal(SIGALRM, stops) == waits);
    populate();
    every(1500);
    while ((result = dyco_schedule_run()) == 1) stopped++;
    CHECK_EQ(result, 0);
    CHECK(stopped > 0);
    leave();
    CHECK(signal(SIGALRM, aborts) == stops);
    for (int i = 0; i < ROUNDS; i++) {
        populate();
        every(1500);
        CHECK_EQ(dyco_schedule_run(), -1);
        every(0);
        /* One more may have come after the end. */
        if (dyco_schedule_getCoroCount() > 0) CHECK_EQ(dyco_schedule_run(), -1);
        CHECK_EQ(dyco_schedule_getCoroCount(), 0);
        leave();
    }
    dyco_schedule_free(NULL);
}

static sigjmp_buf out;

static void jumps(int signal) {
    (void)signal;
    siglongjmp(out, 1);
}

static void deep(int depth) {
    volatile char room[400];
    memset((void *)room, depth, sizeof room);
    if (depth > 0) deep(depth - 1);
    else dyco_coroutine_sleep(5);
    CHECK_EQ(room[399], depth);
}

/* After a jump out of a handler the coroutine waits as before. */
static void jumper(void *argument) {
    for (int i = 0; i < 20; i++) {
        if (sigsetjmp(out, 1) == 0) {
            CHECK_EQ(raise((int)(intptr_t)argument), 0);
            CHECK(!"reached");
        }
        int seen = switches;
        deep(8);
        CHECK(switches > seen);
    }
    quit = 1;
}

static void jumping(void) {
    struct sigaction open = {.sa_handler = jumps, .sa_flags = SA_NODEFER};
    CHECK(signal(SIGUSR1, jumps) == SIG_DFL);
    CHECK_EQ(sigaction(SIGUSR2, &open, NULL), 0);
    for (int own = 0; own < 4; own++) {
        quit = 0;
        start(jumper, (void *)(intptr_t)(own & 1 ? SIGUSR1 : SIGUSR2), own & 2);
        spawn(sleeps, NULL);
        CHECK_EQ(dyco_schedule_run(), 0);
    }
}

static volatile int caught;
static siginfo_t told;

static void catches(int signal) {
    caught = signal;
}

static void catches_more(int signal, siginfo_t *info, void *context) {
    CHECK(context != NULL);
    told = *info;
    caught = -signal;
}

static void visible(void) {
    struct sigaction action, old;
    CHECK(signal(SIGUSR1, SIG_IGN) == jumps);
    CHECK(signal(SIGUSR1, catches) == SIG_IGN);
    CHECK_EQ(sigaction(SIGUSR1, NULL, &old), 0);
    CHECK(old.sa_handler == catches && (old.sa_flags & ~0x04000000) == SA_RESTART);
    memset(&action, 0, sizeof action);
    action.sa_sigaction = catches_more;
    action.sa_flags = SA_SIGINFO | SA_RESETHAND;
    sigaddset(&action.sa_mask, SIGUSR2);
    CHECK_EQ(sigaction(SIGUSR1, &action, &old), 0);
    CHECK(old.sa_handler == catches);
    CHECK_EQ(sigaction(SIGUSR1, NULL, &old), 0);
    CHECK(old.sa_sigaction == catches_more && sigismember(&old.sa_mask, SIGUSR2) == 1);
    CHECK_EQ(old.sa_flags & ~0x04000000, (int)(SA_SIGINFO | SA_RESETHAND));
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(caught, -SIGUSR1);
    CHECK_EQ(told.si_pid, getpid());
    CHECK_EQ(sigaction(SIGUSR1, NULL, &old), 0);
    CHECK(old.sa_handler == SIG_DFL);
    /* In place, old and new the same. */
    action.sa_handler = catches;
    action.sa_flags = 0;
    struct sigaction *same = &action;
    CHECK_EQ(sigaction(SIGUSR1, &action, same), 0);
    CHECK(action.sa_handler == SIG_DFL);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(caught, SIGUSR1);
    /* What fails changes nothing. */
    CHECK_ERRNO(sigaction(SIGKILL, &old, NULL), EINVAL);
    CHECK_ERRNO(sigaction(0, &old, NULL), EINVAL);
    CHECK_ERRNO(sigaction(-1, NULL, &old), EINVAL);
    CHECK_ERRNO(sigaction(INT_MAX, &action, NULL), EINVAL);
    CHECK_ERRNO((intptr_t)signal(SIGSTOP, catches), EINVAL);
    CHECK_ERRNO((intptr_t)signal(65, catches), EINVAL);
    CHECK_EQ(sigaction(SIGRTMIN + 2, NULL, &old), 0);
    CHECK(old.sa_handler == SIG_DFL);
    CHECK(signal(SIGRTMIN + 2, catches) == SIG_DFL);
    CHECK_EQ(raise(SIGRTMIN + 2), 0);
    CHECK_EQ(caught, SIGRTMIN + 2);
    /* A vfork child's are its own. */
    int status = -1;
    pid_t pid = vfork();
    if (pid == 0) {
        signal(SIGRTMIN + 2, SIG_IGN);
        _exit(signal(SIGUSR1, SIG_DFL) == catches ? 0 : 1);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    caught = 0;
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(caught, SIGUSR1);
    CHECK(signal(SIGRTMIN + 2, SIG_DFL) == catches);
}

static void visible_inside(void *argument) {
    (void)argument;
    CHECK(signal(SIGUSR1, jumps) == catches);
    visible();
}

int main(void) {
    waiting();
    ending();
    jumping();
    visible();
    spawn_own(visible_inside, NULL, 65536);
    CHECK_EQ(dyco_schedule_run(), 0);
    return test_done();
}
