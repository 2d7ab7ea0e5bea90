// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Signals as messages, and child processes, without handlers.
 *
 * From dyco_signal_init() to dyco_signal_destroy(), or to the coroutine's end,
 * its signals are blocked for the thread and wait in line for the coroutine.
 * A program with several threads blocks them before it creates these.
 */
#include "dyco_coroutine.h"

// Receives SIGUSR1 until SIGTERM comes, and notices when nothing comes.
static void receiver(void *arg)
{
    const char *name = arg;
    struct signalfd_siginfo info;
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigaddset(&mask, SIGTERM);
    if (dyco_signal_init(&mask) < 0) {
        perror("dyco_signal_init");
        return;
    }
    for (;;) {
        if (dyco_signal_wait(&info, 100) < 0) { // ETIMEDOUT
            printf("%s: nothing for 100 ms\n", name);
            continue;
        }
        printf("%s: %s\n", name, strsignal((int)info.ssi_signo));
        if (info.ssi_signo == SIGTERM)
            break;
    }
    dyco_signal_destroy();
}

static void sender(void *arg)
{
    (void)arg;
    dyco_coroutine_sleep(50);
    kill(getpid(), SIGUSR1); // every receiver gets it
    dyco_coroutine_sleep(150);
    kill(getpid(), SIGTERM);
}

// Starts a child that exits with a status, and waits for it alone.
static void parent(void *arg)
{
    int wanted = (int)(intptr_t)arg, status;
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        return;
    }
    if (child == 0) { // only this coroutine goes on in the child
        usleep(350000 + 100000 * (useconds_t)wanted);
        _exit(wanted);
    }
    while (dyco_signal_waitchild(child, &status, 10) == 0) {
        // There is time for other things every 10 ms.
    }
    printf("child %d has exited with %d\n", wanted, WEXITSTATUS(status));
}

int main(void)
{
    if (dyco_coroutine_create(receiver, "first receiver") < 0 || dyco_coroutine_create(receiver, "second receiver") < 0 ||
        dyco_coroutine_create(sender, NULL) < 0) {
        perror("dyco_coroutine_create");
        return 1;
    }
    for (int i = 1; i <= 3; i++) {
        if (dyco_coroutine_create(parent, (void *)(intptr_t)i) < 0) {
            perror("dyco_coroutine_create");
            return 1;
        }
    }
    return dyco_schedule_run();
}
