/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* To create a thread and see it finish, one at a time. */
#include <pthread.h>

#include "../common/bench.h"

static void *nothing(void *arg)
{
    return arg;
}

static void threads(uint64_t loops)
{
    while (loops--) {
        pthread_t thread;
        MUST((errno = pthread_create(&thread, NULL, nothing, NULL)) == 0);
        MUST((errno = pthread_join(thread, NULL)) == 0);
    }
}

int main(void)
{
    measure(NULL, threads, 1);
    return 0;
}
