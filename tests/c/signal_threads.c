/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Holders in several threads: a signal to the process reaches every holder, one to a thread only that thread's.
 */
#include "core.h"

#define THREADS 4
#define HOLDERS 3
#define ROUNDS 50

static volatile int ready, finished, quit;
static int of_process[THREADS][HOLDERS], of_thread[THREADS][HOLDERS];
static pthread_t threads[THREADS];

static void holder(void *argument) {
    int thread = (int)(intptr_t)argument / HOLDERS, index = (int)(intptr_t)argument % HOLDERS;
    struct signalfd_siginfo info;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    CHECK_EQ(dyco_signal_init(&set), 0);
    __atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        CHECK_EQ(dyco_signal_wait(&info, 20000), sizeof info);
        if (info.ssi_signo == SIGTERM) break;
        if (info.ssi_signo == (uint32_t)SIGRTMIN) {
            CHECK_EQ(info.ssi_int, of_process[thread][index]); /* in order, none missing */
            __atomic_add_fetch(&of_process[thread][index], 1, __ATOMIC_SEQ_CST);
        } else {
            of_thread[thread][index]++;
        }
    }
    __atomic_add_fetch(&finished, 1, __ATOMIC_SEQ_CST);
}

/* Every holder has got that many: of two threads that each read a signal, either may post first. */
static void await_all(int count) {
    for (int holder = 0; holder < THREADS * HOLDERS; holder++) {
        int64_t until = now_ms() + 20000;
        while (__atomic_load_n(&of_process[holder / HOLDERS][holder % HOLDERS], __ATOMIC_SEQ_CST) < count) {
            CHECK(now_ms() < until);
            usleep(500);
        }
    }
}

static void *run(void *argument) {
    int thread = (int)(intptr_t)argument;
    for (int i = 0; i < HOLDERS; i++) spawn(holder, (void *)(intptr_t)(thread * HOLDERS + i));
    CHECK_EQ(dyco_schedule_run(), 0);
    return NULL;
}

int main(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    int fds = count_fds();
    for (int i = 0; i < THREADS; i++) CHECK_EQ(pthread_create(&threads[i], NULL, run, (void *)(intptr_t)i), 0);
    while (ready < THREADS * HOLDERS) usleep(1000);
    for (int i = 0; i < ROUNDS; i++) {
        union sigval value = {.sival_int = i};
        CHECK_EQ(sigqueue(getpid(), SIGRTMIN, value), 0);
        await_all(i + 1);
        if (i % 10 == 0) CHECK_EQ(pthread_kill(threads[2], SIGUSR1), 0);
    }
    usleep(20000);
    CHECK_EQ(kill(getpid(), SIGTERM), 0);
    for (int i = 0; i < THREADS; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(finished, THREADS * HOLDERS);
    for (int i = 0; i < THREADS; i++)
        for (int j = 0; j < HOLDERS; j++) {
            CHECK_EQ(of_process[i][j], ROUNDS);
            CHECK_EQ(of_thread[i][j], i == 2 ? ROUNDS / 10 : 0);
        }
    CHECK_EQ(count_fds(), fds);
    return test_done();
}
